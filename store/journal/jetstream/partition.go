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

var errClosed = errors.New("jetstream: the journal is closed, nothing was stored")

// A partition is a [journal.Journal]: a stream, from Open to Close.
type partition struct {
	engine   *Engine
	name     string
	identity identity
	owner    owner // of the identity
	stream   js.Stream
	created  time.Time // when the stream was
	decode   func([]byte) (entry, error)
	carrying bool // another's journal is made this one: see Carry

	// What the next entry must follow.
	journal.Position
	last     uint64 // sequence of the last entry
	previous digest // of the last entry
	horizon  uint64

	ended error // why it is finished

	fenced chan struct{}
	notice sync.Once
	later  *nats.Subscription // hears of later holders
}

// Append implements [journal.Journal].
func (p *partition) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if err := p.usable(ctx); err != nil {
		return journal.Position{}, err
	}
	if err := p.Limits().Check(b); err != nil {
		return journal.Position{}, err
	}
	at := journal.Position{Epoch: p.Epoch, Index: p.Index + 1}
	if err := p.write(ctx, entry{kind: kindBatch, position: at, id: b.ID, body: encodeChanges(b)}); err != nil {
		return journal.Position{}, err
	}
	return p.Position, nil
}

// usable returns nil, or finishes the journal and returns why.
func (p *partition) usable(ctx context.Context) error {
	if p.ended != nil {
		return p.ended
	}
	select {
	case <-p.fenced:
		p.ended = fmt.Errorf("%w: stream %s: a later holder is there, or on its way", journal.ErrFenced, p.name)
	default:
		if ctx.Err() != nil {
			p.ended = fmt.Errorf("%w: %w", errClosed, context.Cause(ctx))
		}
	}
	return p.ended
}

// write stores an entry behind the last one, in parts if it must. Any error but
// ErrRejected finishes the journal.
func (p *partition) write(ctx context.Context, r entry) error {
	r.horizon, r.owner = p.horizon, p.owner
	a, err := p.attempt(r)
	if err != nil {
		return err
	}
	switch err = a.resolve(ctx); {
	case err == nil:
		p.last += uint64(len(a.messages))
		p.previous, p.Position = a.digest, r.position
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
	r.parts = uint32(parts)
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

// Close implements [journal.Journal]. The servers hold nothing that it must give up.
func (p *partition) Close(context.Context) error {
	if p.ended == nil {
		p.ended = errClosed
	}
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
