package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Options configure an [Engine]. The zero value is useful.
type Options struct {
	// Prefix begins the name of every stream: lower-case letters, digits, - and _. ""
	// means "loopstore".
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

	// Domain is the JetStream domain, "" for that of the connection's server. Names of
	// subjects carry it, so domains that are joined do not meet.
	Domain string

	// Logger is told of settings of a stream that are not as they should be, also when
	// they change while the journal is open, and of compactions that failed. nil is
	// silent. A panic of it is dropped.
	Logger *slog.Logger
}

// An Engine is a [journal.Engine] that keeps each partition in a stream of its
// own. It is safe for concurrent use.
type Engine struct {
	conn    *nats.Conn
	options Options

	// What settle fixes before anything else is asked.
	settling chan struct{} // has room for who does it
	settled  bool
	domain   string
	js       js.JetStream
	api      string // begins the subjects of the servers' API

	watch   watch // over the open journals' streams
	account account

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
	if err := errors.Join(checkPrefix(o.Prefix), checkDomain(o.Domain)); err != nil {
		return nil, err
	}
	e := &Engine{conn: conn, options: o, settling: make(chan struct{}, 1)}
	if err := e.speakTo(o.Domain); err != nil {
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
	p, err := e.open(ctx, name, partition, emit)
	if err != nil {
		return nil, fmt.Errorf("jetstream: stream %s: %w", name, err)
	}
	return p, nil
}

func (e *Engine) open(ctx context.Context, name, partitionName string, emit func(journal.Change) error) (*partition, error) {
	p, err := e.find(ctx, name, partitionName)
	if err != nil {
		return nil, err
	}
	if err := p.takeOver(ctx); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	p.announce()
	if err = p.watch(); err == nil {
		err = p.replay(ctx, emit)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	p.cleanOpened()
	e.watch.add(p)
	return p, nil
}

// find returns a partition that has taken nothing over yet.
func (e *Engine) find(ctx context.Context, name, partitionName string) (*partition, error) {
	if err := e.settle(ctx); err != nil {
		return nil, err
	}
	info, err := e.stream(ctx, name, partitionName)
	if err != nil {
		return nil, err
	}
	return e.attach(ctx, info, e.identity(partitionName))
}

// attach returns a partition that is on a stream.
func (e *Engine) attach(ctx context.Context, info *streamInfo, who identity) (*partition, error) {
	name := info.Config.Name
	stream, err := persist(ctx, e, func(ctx context.Context) (js.Stream, error) { return e.js.Stream(ctx, name) })
	if err != nil {
		return nil, err
	}
	return &partition{
		engine: e, name: name, identity: who, owner: who.owner(), stream: stream, created: info.Created, decode: decode,
		turn: make(chan struct{}, 1), cleaning: newCleaning(), fenced: make(chan struct{}),
	}, nil
}
