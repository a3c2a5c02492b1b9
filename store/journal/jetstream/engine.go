package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Options are how an [Engine] keeps its partitions. The zero value is useful.
type Options struct {
	// Prefix begins the name of every stream. "" means "loopstore".
	Prefix string

	// Replicas is on how many servers a new stream is kept: 1, 3 or 5. 0 means 3.
	// One that exists with fewer is refused.
	Replicas int

	// Timeout is how long one question to the servers, or one try to append up to
	// 4 MiB, may take. 0 means 2 s.
	Timeout time.Duration

	// Patience is how long Append, and the taking over in Open, go on trying,
	// while the servers do not answer or have no leader. An append that is not
	// settled then is journal.ErrAmbiguous. 0 means 30 s.
	Patience time.Duration

	// Domain is the JetStream domain, "" for that of the connection.
	Domain string
}

// An Engine is a [journal.Engine] that keeps each partition in a stream of its
// own. It may be used by any number of goroutines.
type Engine struct {
	conn    *nats.Conn
	js      js.JetStream
	api     string // begins the subjects of the servers' API
	options Options
}

// New returns an engine on a connection, which stays the caller's: it may be
// shared, and is to be closed after the last journal. nats.MaxReconnects(-1) lets
// it outlive the servers' failures.
func New(conn *nats.Conn, o Options) (*Engine, error) {
	if o.Prefix == "" {
		o.Prefix = "loopstore"
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if !plainName(o.Prefix) {
		return nil, fmt.Errorf("jetstream: the prefix %q is not of letters, digits, - and _", o.Prefix)
	}
	e := &Engine{conn: conn, api: "$JS.API.", options: o}
	if o.Domain != "" {
		e.api = "$JS." + o.Domain + ".API."
	}
	var err error
	if e.js, err = js.NewWithAPIPrefix(conn, e.api, js.WithDefaultTimeout(o.Timeout)); err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return e, nil
}

// Open is that of [journal.Engine]. It makes the stream if there is none, writes
// the record of a new epoch behind the last record, and then reads all that is
// before it: whoever answers with less than that is asked again, until ctx ends
// or nothing has come for as long as Options.Patience.
func (e *Engine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	name, err := e.StreamName(partition)
	if err != nil {
		return nil, err
	}
	j, err := e.open(ctx, name, emit)
	if err != nil {
		return nil, fmt.Errorf("jetstream: stream %s: %w", name, err)
	}
	return j, nil
}

func (e *Engine) open(ctx context.Context, name string, emit func(journal.Change) error) (*owned, error) {
	stream, err := e.stream(ctx, name)
	if err != nil {
		return nil, err
	}
	j := &owned{engine: e, name: name, stream: stream, fenced: make(chan struct{})}
	if err := j.takeOver(ctx); err != nil {
		return nil, err
	}
	j.announce()
	err = j.watch()
	if err == nil {
		err = j.replay(ctx, emit)
	}
	if err != nil {
		return nil, errors.Join(err, j.Close(ctx))
	}
	return j, nil
}

// within bounds one question to the servers.
func (e *Engine) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.options.Timeout)
}
