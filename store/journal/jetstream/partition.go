package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

var errClosed = fmt.Errorf("jetstream: nothing was stored: %w", journal.ErrClosed)

var _ journal.Beside = (*partition)(nil)

// A partition is a [journal.Beside]: a stream, from Open to Close.
type partition struct {
	engine   *Engine
	name     string
	identity identity
	owner    owner // of the identity
	stream   js.Stream
	created  time.Time // when the stream was
	decode   func([]byte) (entry, error)
	carrying bool // another's journal is made this one: see Carry

	// turn is full while somebody writes an entry. Who waits for it gets it in turn, so
	// that an append waits for one copy at most. What is below belongs to whoever has it.
	turn chan struct{}

	// What the next entry must follow.
	journal.Position
	last     uint64 // sequence of the last entry
	previous digest // of the last entry
	horizon  uint64 // nothing before is needed
	stored   uint64 // the horizon that the last entry has

	space space
	ended error // why it is finished

	standing standing
	cleaning

	fenced chan struct{}
	notice sync.Once
	later  *nats.Subscription // hears of later holders
}

// Append implements [journal.Journal].
func (p *partition) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if err := p.usable(ctx); err != nil {
		return journal.Position{}, err
	}
	if err := p.Limits().Check(b); err != nil {
		return journal.Position{}, err
	}
	at := journal.Position{Epoch: p.Epoch, Index: p.Index + 1}
	r := entry{kind: kindBatch, position: at, id: b.ID, body: encodeChanges(b.Changes)}
	a, err := p.attempt(r)
	if err != nil {
		return journal.Position{}, err
	}
	if err := p.admit(ctx, a, b.Changes, len(r.body)); err != nil {
		p.cleanIfFull()
		return journal.Position{}, err
	}
	if err := p.store(ctx, a, r); err != nil {
		if errors.Is(err, journal.ErrRejected) { // the servers know of less room
			_ = p.askSpace(ctx)
			p.cleanIfFull()
		}
		return journal.Position{}, err
	}
	p.standing.apply(p.last, b.Changes)
	p.cleanIfWorth(b.Changes)
	return p.Position, nil
}

// usable returns nil, or finishes the journal and returns why.
func (p *partition) usable(ctx context.Context) error {
	if err := p.finished(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		p.ended = fmt.Errorf("jetstream: stream %s: the journal has ended, nothing was stored: %w", p.name, context.Cause(ctx))
	}
	return p.ended
}

// finished returns why nothing more can be stored, nil if it can.
func (p *partition) finished() error {
	if p.ended != nil {
		return p.ended
	}
	select {
	case <-p.fenced:
		p.ended = fmt.Errorf("%w: stream %s: a later holder is there, or on its way", journal.ErrFenced, p.name)
	default:
	}
	return p.ended
}

// write stores an entry behind the last one, in parts if it must. Any error but
// ErrRejected finishes the journal.
func (p *partition) write(ctx context.Context, r entry) error {
	a, err := p.attempt(r)
	if err != nil {
		return err
	}
	return p.store(ctx, a, r)
}

// store makes the attempt to store an entry.
func (p *partition) store(ctx context.Context, a *attempt, r entry) error {
	err := a.resolve(ctx)
	switch {
	case err == nil:
		p.last += uint64(len(a.messages))
		p.previous, p.Position, p.stored = a.digest, r.position, p.horizon
		p.took(a.amount(), len(r.body))
	case !errors.Is(err, journal.ErrRejected):
		p.ended = err
	}
	return err
}

// attempt makes the messages of an entry.
func (p *partition) attempt(r entry) (*attempt, error) {
	size := p.room()
	parts := max(1, (len(r.body)+size-1)/size)
	if size <= 0 || parts > maxParts {
		return nil, fmt.Errorf("%w: %d bytes do not fit into %d messages of the servers' limit of %d bytes",
			journal.ErrRejected, len(r.body), maxParts, p.engine.conn.MaxPayload())
	}
	a := &attempt{partition: p, id: r.id, expected: p.last, digest: p.previous}
	r.parts, r.horizon, r.owner = uint32(parts), p.horizon, p.owner
	body := r.body
	for ; r.part < r.parts; r.part++ {
		n := min(size, len(body))
		r.body, body = body[:n], body[n:]
		r.previous = a.digest
		data := r.encode()
		a.digest = sha256.Sum256(data)
		a.messages = append(a.messages, &nats.Msg{Subject: p.engine.subject(p.name), Data: data})
	}
	return a, nil
}

const (
	maxParts   = 1000 // messages that a server takes in one atomic batch
	headerRoom = 512  // bytes for the headers of a message
	// maxBatch leaves room for a session of 64 MiB and what is committed with it.
	// The servers queue at most 128 MiB for a stream.
	maxBatch = 72 << 20
)

// room returns how many bytes of a body fit into one message.
func (p *partition) room() int {
	most := p.engine.conn.MaxPayload()
	if limit := int64(p.stream.CachedInfo().Config.MaxMsgSize); limit > 0 {
		most = min(most, limit)
	}
	return roomIn(most)
}

func roomIn(message int64) int { return int(message) - headerRoom - headLength - sumLength }

// batchLimit leaves a tenth for the bytes that a change takes besides its key and
// value. A batch of many small changes may be rejected although it is smaller.
func batchLimit(room int) int64 { return max(1, min(maxBatch, maxParts*int64(room)*9/10)) }

// Limits implements [journal.Journal]: 72 MiB, or what fits into 1,000 messages.
func (p *partition) Limits() journal.Limits { return journal.Limits{BatchBytes: batchLimit(p.room())} }

// Fenced implements [journal.Journal].
func (p *partition) Fenced() <-chan struct{} { return p.fenced }

// watch listens for later holders, who announce themselves.
func (p *partition) watch() (err error) {
	at := p.Position
	p.later, err = p.engine.conn.Subscribe(p.engine.holderSubject(p.name), func(m *nats.Msg) {
		if announcedBy(m.Data, p.owner, at) {
			p.notice.Do(func() { close(p.fenced) })
		}
	})
	return err
}

// announce tells earlier holders of this one, which may still be taking over. It is
// a hint, so an error does not matter.
func (p *partition) announce() {
	_ = p.engine.conn.Publish(p.engine.holderSubject(p.name), p.announcement())
}

// Close implements [journal.Journal]. It waits until a compaction has let go, which its
// end makes at once. The servers hold nothing that it must give up.
func (p *partition) Close(context.Context) error {
	p.stopCleaning()
	p.turn <- struct{}{}
	p.ended = errClosed
	<-p.turn
	p.engine.watch.remove(p)
	if p.later == nil || !p.later.IsValid() {
		return nil
	}
	if err := p.later.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("jetstream: stream %s: %w", p.name, err)
	}
	return nil
}

// newID returns the ID of an entry that is no batch.
func newID() (id [16]byte) {
	_, _ = rand.Read(id[:])
	return id
}
