package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// errClosed is what a journal fails with that is closed.
var errClosed = errors.New("jetstream: the journal is closed, nothing was stored")

// owned is one ownership of a stream.
type owned struct {
	engine *Engine
	name   string
	stream js.Stream

	// What the next record must follow.
	journal.Position
	last     uint64 // sequence of the last record
	previous digest // of it
	horizon  uint64

	ended error // why it is of no use any more

	fenced chan struct{}
	notice sync.Once
	others *nats.Subscription
}

// Append is that of [journal.Journal].
func (j *owned) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if err := j.usable(ctx); err != nil {
		return journal.Position{}, err
	}
	if err := j.Limits().Check(b); err != nil {
		return journal.Position{}, err
	}
	at := journal.Position{Epoch: j.Epoch, Index: j.Index + 1}
	if err := j.write(ctx, record{kind: kindBatch, position: at, id: b.ID, body: encodeChanges(b)}); err != nil {
		return journal.Position{}, err
	}
	return j.Position, nil
}

// usable returns why nothing can be stored, if so, and ends the ownership then.
func (j *owned) usable(ctx context.Context) error {
	if j.ended != nil {
		return j.ended
	}
	select {
	case <-j.fenced:
		j.ended = fmt.Errorf("%w: stream %s: a later owner is there, or on its way", journal.ErrFenced, j.name)
	default:
		if ctx.Err() != nil {
			j.ended = fmt.Errorf("%w: %w", errClosed, context.Cause(ctx))
		}
	}
	return j.ended
}

// write stores a record, in parts if it must, behind the last one. Any error but
// ErrRejected ends the ownership.
func (j *owned) write(ctx context.Context, r record) error {
	r.horizon = j.horizon
	a, err := j.attempt(r)
	if err != nil {
		return err
	}
	switch err = a.settle(ctx); {
	case err == nil:
		j.last += uint64(len(a.messages))
		j.previous, j.Position = a.digest, r.position
	case !errors.Is(err, journal.ErrRejected):
		j.ended = err
	}
	return err
}

// attempt makes the messages of a record.
func (j *owned) attempt(r record) (*attempt, error) {
	size := j.room()
	parts := max(1, (len(r.body)+size-1)/size)
	if size <= 0 || parts > maxParts {
		return nil, fmt.Errorf("%w: %d bytes do not fit into %d messages of the servers' limit of %d bytes",
			journal.ErrRejected, len(r.body), maxParts, j.engine.conn.MaxPayload())
	}
	a := &attempt{journal: j, id: r.id, expected: j.last, digest: j.previous}
	r.parts = uint32(parts)
	body := r.body
	for ; r.part < r.parts; r.part++ {
		n := min(size, len(body))
		r.body, body = body[:n], body[n:]
		r.previous = a.digest
		data := r.encode()
		a.digest = sha256.Sum256(data)
		a.messages = append(a.messages, &nats.Msg{Subject: subject(j.name), Data: data})
	}
	return a, nil
}

const (
	// maxParts is how many messages a server takes in one atomic batch.
	maxParts = 1000
	// headerRoom is what is left for the headers of a message.
	headerRoom = 512
	// maxBatch leaves a session of 64 MiB room for what is committed with it. The
	// servers queue no more than 128 MiB for a stream.
	maxBatch = 72 << 20
)

// room is how many bytes of a body fit into one message.
func (j *owned) room() int {
	most := j.engine.conn.MaxPayload()
	if limit := int64(j.stream.CachedInfo().Config.MaxMsgSize); limit > 0 {
		most = min(most, limit)
	}
	return roomIn(most)
}

func roomIn(message int64) int { return int(message) - headerRoom - headLength - sumLength }

// batchLimit leaves a tenth for what a change has besides its key and value. One
// of many small changes may be rejected below it.
func batchLimit(room int) int64 { return max(1, min(maxBatch, maxParts*int64(room)*9/10)) }

// Limits is that of [journal.Journal]: 72 MiB, or what fits into 1,000 messages.
func (j *owned) Limits() journal.Limits { return journal.Limits{BatchBytes: batchLimit(j.room())} }

// Fenced is that of [journal.Journal].
func (j *owned) Fenced() <-chan struct{} { return j.fenced }

// watch listens to later owners, who announce themselves.
func (j *owned) watch() (err error) {
	epoch := j.Epoch
	j.others, err = j.engine.conn.Subscribe(ownerSubject(j.name), func(m *nats.Msg) {
		if r, err := decode(m.Data); err == nil && r.kind == kindEpoch && r.position.Epoch > epoch {
			j.notice.Do(func() { close(j.fenced) })
		}
	})
	return err
}

// announce tells earlier owners of this one, or of one that tries to be. It is a
// hint: an error is none.
func (j *owned) announce() {
	r := record{kind: kindEpoch, position: j.Position}
	_ = j.engine.conn.Publish(ownerSubject(j.name), r.encode())
}

// Close is that of [journal.Journal]. There is nothing to give up at the servers.
func (j *owned) Close(context.Context) error {
	if j.ended == nil {
		j.ended = errClosed
	}
	if j.others == nil || !j.others.IsValid() {
		return nil
	}
	if err := j.others.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("jetstream: stream %s: %w", j.name, err)
	}
	return nil
}

// newID returns the ID of a record that is no batch's.
func newID() (id [16]byte) {
	_, _ = rand.Read(id[:])
	return id
}
