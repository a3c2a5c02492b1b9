package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Options configure an [Engine]. The zero value is useful.
type Options struct {
	// Prefix begins the name of every stream. "" means "loopstore".
	Prefix string

	// Replicas is the number of servers that keep a new stream: 1, 3 or 5. 0 means
	// 3. An existing stream with fewer replicas is refused.
	Replicas int

	// Timeout bounds one question to the servers, and one try to append up to 4
	// MiB. After it, and half of it again, a server that hangs is left for another
	// one. 0 means 2 s.
	Timeout time.Duration

	// Patience bounds the retries of Append, and of the takeover in Open, while the
	// servers do not answer or have no leader. If what came of an append is still
	// unknown then, it is journal.ErrAmbiguous. 0 means 30 s.
	Patience time.Duration

	// Domain is the JetStream domain, "" for the connection's own.
	Domain string
}

// An Engine is a [journal.Engine] that keeps each partition in a stream of its
// own. It is safe for concurrent use.
type Engine struct {
	conn    *nats.Conn
	js      js.JetStream
	api     string // begins the subjects of the servers' API
	options Options

	checking atomic.Bool // the connection
}

// New returns an engine on a connection, which stays the caller's: it may be
// shared, and must outlive the last journal. One that [Connect] returns survives the
// servers' failures. The engine makes the connection go to another server when its own
// falls silent.
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
		return nil, fmt.Errorf("jetstream: the prefix %q has other characters than letters, digits, - and _", o.Prefix)
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

// Open implements [journal.Engine]. It creates the stream if there is none, writes
// the entry of a new epoch behind the last entry, and then reads all entries before
// it. It asks again for whatever a server lacks, until ctx ends or nothing new has
// come for as long as Options.Patience.
func (e *Engine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	name, err := e.StreamName(partition)
	if err != nil {
		return nil, err
	}
	p, err := e.open(ctx, name, emit)
	if err != nil {
		return nil, fmt.Errorf("jetstream: stream %s: %w", name, err)
	}
	return p, nil
}

func (e *Engine) open(ctx context.Context, name string, emit func(journal.Change) error) (*partition, error) {
	stream, err := e.stream(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &partition{engine: e, name: name, stream: stream, fenced: make(chan struct{})}
	if err := p.takeOver(ctx); err != nil {
		return nil, err
	}
	p.announce()
	if err = p.watch(); err == nil {
		err = p.replay(ctx, emit)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}
