package jetstream

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/loopstore/loopstore/store/journal"
)

// replay reads all entries from the horizon to the last, which is this holder's, and
// emits what stands.
func (p *partition) replay(ctx context.Context, emit func(journal.Change) error) error {
	values := map[string][]byte{}
	h := history{next: p.horizon, end: p.last, whole: func(sequence uint64, changes []journal.Change, size int) error {
		put(values, changes)
		p.standing.apply(sequence, changes)
		p.space.largest = max(p.space.largest, size)
		return nil
	}}
	if err := p.read(ctx, &h); err != nil {
		return err
	}
	if h.previous != p.previous || h.owner != p.owner || h.position != p.Position || h.waits() {
		return fmt.Errorf("%w: sequence %d: the entry is not what its holder wrote", journal.ErrCorrupt, p.last)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := emit(journal.Change{Key: []byte(key), Value: values[key]}); err != nil {
			return err
		}
		delete(values, key)
	}
	return nil
}

// put makes changes to the values of keys.
func put(values map[string][]byte, changes []journal.Change) {
	for _, c := range changes {
		if c.Delete {
			delete(values, string(c.Key))
		} else {
			values[string(c.Key)] = bytes.Clone(c.Value)
		}
	}
}

// read adds to h all entries up to its end.
func (p *partition) read(ctx context.Context, h *history) error {
	progress := time.Now()
	for pause := newPause(); h.next <= h.end; {
		select {
		case <-p.fenced:
			return journal.ErrFenced
		default:
		}
		before := h.next
		err := p.readSome(ctx, h)
		switch {
		case err != nil && !errors.Is(err, errAgain):
			return err
		case h.next > before:
			progress, pause = time.Now(), newPause()
		case time.Since(progress) > p.engine.options.Patience || !pause.wait(ctx):
			return fmt.Errorf("no server returned the entry at sequence %d: %w", h.next, cmp.Or(context.Cause(ctx), err))
		}
	}
	return nil
}

// errAgain means that the servers must be asked again.
var errAgain = errors.New("the servers do not answer")

const (
	readMessages = 1024
	readBytes    = 4 << 20
)

// readSome asks one server for entries. An entry that it lacks, or has damaged, comes
// from another.
func (p *partition) readSome(ctx context.Context, h *history) error {
	asking, cancel := p.engine.within(ctx)
	defer cancel()
	all, err := jetstreamext.GetBatch(asking, p.engine.js, p.name, readMessages,
		jetstreamext.GetBatchSeq(h.next), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	for m, err := range all {
		if err != nil {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return p.readOne(ctx, h)
			}
			return fmt.Errorf("%w: %w", errAgain, err)
		}
		if err := p.take(ctx, h, m); err != nil {
			return err
		}
		if h.next > h.end {
			break
		}
	}
	return errAgain
}

// take adds an entry that a server has sent, or what others have in its place.
func (p *partition) take(ctx context.Context, h *history, m *js.RawStreamMsg) error {
	if m.Sequence < h.next {
		return nil
	}
	for m.Sequence > h.next {
		if err := p.readOne(ctx, h); err != nil {
			return err
		}
	}
	if r, err := p.decode(m.Data); err == nil {
		return h.add(r, m.Data)
	}
	return p.readOne(ctx, h)
}

// readOne adds the next entry, from any server that has it whole.
func (p *partition) readOne(ctx context.Context, h *history) error {
	r, data, err := p.entry(ctx, h.next, h.end)
	if err != nil {
		return err
	}
	return h.add(r, data)
}

// A history is what the entries say, one after another.
type history struct {
	next     uint64 // sequence
	end      uint64 // sequence of the last entry that is asked for
	previous digest
	owner    owner
	position journal.Position
	horizon  uint64

	// whole gets the changes of each batch and copy, which share memory that is used
	// again, with the sequence of its last message, and their length.
	whole func(sequence uint64, changes []journal.Change, size int) error

	// A batch that lacks some of its parts.
	body        []byte
	part, parts uint32
	id          [16]byte
}

// waits reports whether a batch still lacks parts.
func (h *history) waits() bool { return h.part < h.parts }

// add adds the next entry. data is its encoded form.
func (h *history) add(r entry, data []byte) error {
	if err := h.check(r); err != nil {
		return fmt.Errorf("%w: sequence %d: %w", journal.ErrCorrupt, h.next, err)
	}
	if r.kind == kindBatch || r.kind == kindCopy {
		h.body = append(h.body, r.body...)
	}
	h.part, h.parts, h.id = r.part+1, r.parts, r.id
	if !h.waits() {
		changes, err := decodeChanges(h.body)
		if err != nil {
			return fmt.Errorf("sequence %d: %w", h.next, err)
		}
		if err := h.whole(h.next, changes, len(h.body)); err != nil {
			return err
		}
		h.body = h.body[:0]
	}
	h.previous, h.owner, h.position, h.horizon = sha256.Sum256(data), r.owner, r.position, r.horizon
	h.next++
	return nil
}

// check returns why an entry cannot follow the one before, nil if it can.
func (h *history) check(r entry) error {
	before := h.owner
	if h.parts == 0 { // the first entry
		before = r.owner
	}
	if err := r.checkOwner(before); err != nil {
		return err
	}
	switch {
	case r.kind < kindEpoch || r.kind > kindHorizon:
		return fmt.Errorf("an entry of kind %d", r.kind)
	case r.part >= r.parts || r.horizon > h.next:
		return errors.New("impossible numbers")
	case h.waits() && (r.part != h.part || r.parts != h.parts || r.id != h.id || r.position != h.position):
		return fmt.Errorf("part %d of %d of a batch is missing", h.part+1, h.parts)
	case !h.waits() && r.part != 0:
		return fmt.Errorf("it is part %d of %d, and the first is missing", r.part+1, r.parts)
	case h.parts == 0: // the first entry
		return nil
	case r.previous != h.previous:
		return errors.New("it does not follow the entry before")
	case r.horizon < h.horizon:
		return errors.New("its horizon goes back")
	case h.waits():
		return nil
	}
	want := h.position
	switch r.kind {
	case kindEpoch:
		want.Epoch++
	case kindBatch:
		want.Index++
	case kindCopy, kindHorizon:
	}
	if r.position != want {
		return fmt.Errorf("it is at epoch %d, index %d, and should be at %d, %d", r.position.Epoch, r.position.Index, want.Epoch, want.Index)
	}
	return nil
}
