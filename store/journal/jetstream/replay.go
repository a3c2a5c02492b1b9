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

// replay reads all records from the horizon to the last, which is this owner's,
// and emits what stands.
func (j *owned) replay(ctx context.Context, emit func(journal.Change) error) error {
	h := history{next: j.horizon, standing: map[string][]byte{}}
	if err := j.read(ctx, &h); err != nil {
		return err
	}
	if h.previous != j.previous || h.position != j.Position || h.waits() {
		return fmt.Errorf("%w: sequence %d: the record is not what its owner wrote", journal.ErrCorrupt, j.last)
	}
	for _, key := range slices.Sorted(maps.Keys(h.standing)) {
		if err := emit(journal.Change{Key: []byte(key), Value: h.standing[key]}); err != nil {
			return err
		}
		delete(h.standing, key)
	}
	return nil
}

// read reads the records that h has not, up to the last.
func (j *owned) read(ctx context.Context, h *history) error {
	progress := time.Now()
	for pause := newPause(); h.next <= j.last; {
		select {
		case <-j.fenced:
			return journal.ErrFenced
		default:
		}
		before := h.next
		err := j.readSome(ctx, h)
		switch {
		case err != nil && !errors.Is(err, errAgain):
			return err
		case h.next > before:
			progress, pause = time.Now(), newPause()
		case time.Since(progress) > j.engine.options.Patience || !pause.wait(ctx):
			return fmt.Errorf("nobody gives the record at sequence %d: %w", h.next, cmp.Or(context.Cause(ctx), err))
		}
	}
	return nil
}

// errAgain means that the servers are to be asked again.
var errAgain = errors.New("the servers do not answer")

const (
	readMessages = 1024
	readBytes    = 4 << 20
)

// readSome asks one server for records. If it has a gap there, or a record is
// damaged, others are asked for that one.
func (j *owned) readSome(ctx context.Context, h *history) error {
	asking, cancel := j.engine.within(ctx)
	defer cancel()
	all, err := jetstreamext.GetBatch(asking, j.engine.js, j.name, readMessages,
		jetstreamext.GetBatchSeq(h.next), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	for m, err := range all {
		if err != nil {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return j.readOne(ctx, h)
			}
			return fmt.Errorf("%w: %w", errAgain, err)
		}
		if err := j.take(ctx, h, m); err != nil {
			return err
		}
		if h.next > j.last {
			break
		}
	}
	return errAgain
}

// take adds a record that a server has sent, or what others have in its place.
func (j *owned) take(ctx context.Context, h *history, m *js.RawStreamMsg) error {
	if m.Sequence < h.next {
		return nil
	}
	for m.Sequence > h.next {
		if err := j.readOne(ctx, h); err != nil {
			return err
		}
	}
	if r, err := decode(m.Data); err == nil {
		return h.add(r, m.Data)
	}
	return j.readOne(ctx, h)
}

// readOne adds the next record, from any server that has it whole.
func (j *owned) readOne(ctx context.Context, h *history) error {
	r, data, err := j.record(ctx, h.next)
	if err != nil {
		return err
	}
	return h.add(r, data)
}

// A history is what the records say, one after another.
type history struct {
	next     uint64 // sequence
	begun    bool
	previous digest
	position journal.Position
	horizon  uint64
	standing map[string][]byte

	// A batch of which not all parts are there.
	body        []byte
	part, parts uint32
	id          [16]byte
}

// waits reports whether a batch is not whole yet.
func (h *history) waits() bool { return h.part < h.parts }

// add adds the next record, whose bytes are data.
func (h *history) add(r record, data []byte) error {
	if err := h.check(r); err != nil {
		return fmt.Errorf("%w: sequence %d: %w", journal.ErrCorrupt, h.next, err)
	}
	if r.kind == kindBatch || r.kind == kindCopy {
		h.body = append(h.body, r.body...)
	}
	h.part, h.parts, h.id = r.part+1, r.parts, r.id
	if !h.waits() {
		if err := decodeChanges(h.body, h.change); err != nil {
			return fmt.Errorf("sequence %d: %w", h.next, err)
		}
		h.body = h.body[:0]
	}
	h.begun, h.previous, h.position, h.horizon = true, sha256.Sum256(data), r.position, r.horizon
	h.next++
	return nil
}

func (h *history) change(c journal.Change) {
	if c.Delete {
		delete(h.standing, string(c.Key))
	} else {
		h.standing[string(c.Key)] = bytes.Clone(c.Value)
	}
}

// check returns how a record does not follow the one before.
func (h *history) check(r record) error {
	switch {
	case r.kind < kindEpoch || r.kind > kindHorizon:
		return fmt.Errorf("a record of kind %d", r.kind)
	case r.part >= r.parts || r.horizon > h.next:
		return errors.New("impossible numbers")
	case h.waits() && (r.part != h.part || r.parts != h.parts || r.id != h.id || r.position != h.position):
		return fmt.Errorf("part %d of %d of a batch is missing", h.part+1, h.parts)
	case !h.waits() && r.part != 0:
		return fmt.Errorf("it is part %d of %d, and the first is missing", r.part+1, r.parts)
	case !h.begun:
		return nil
	case r.previous != h.previous:
		return errors.New("it does not follow the record before")
	case r.horizon < h.horizon:
		return errors.New("its horizon is before the last one's")
	case h.waits():
		return nil
	}
	return h.checkPosition(r)
}

func (h *history) checkPosition(r record) error {
	epoch, index := h.position.Epoch, h.position.Index
	switch r.kind {
	case kindEpoch:
		epoch++
	case kindBatch:
		index++
	case kindCopy, kindHorizon:
	}
	if r.position.Epoch != epoch || r.position.Index != index {
		return fmt.Errorf("it is at epoch %d, index %d, behind epoch %d, index %d",
			r.position.Epoch, r.position.Index, h.position.Epoch, h.position.Index)
	}
	return nil
}
