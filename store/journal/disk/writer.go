package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A writer appends to the log. Partitions that append at the same time share a frame and
// its sync: each puts down what it has, and who comes to the turn first writes for all.
type writer struct {
	turn   chan struct{}         // has room for one: who has filled it writes
	failed error                 // of an append, since when what the log holds is unknown
	halted atomic.Pointer[error] // why nothing more is taken, before anything is written
	places places                // of who has the turn

	mu        sync.Mutex
	waiting   []*appending
	positions pages.Positions // of all partitions, with what is in the log or on its way
}

// An appending is an entry on its way into the log.
type appending struct {
	wal.Entry
	before journal.Position // of its partition
	done   bool             // somebody has written it, or tried to
	err    error
}

const (
	// maxFrame is about how many bytes of batches a frame takes; a batch may be larger.
	maxFrame = 8 << 20

	// behind is how many checkpoints the log may be behind before an append waits for
	// one. It waits for one at most.
	behind = 8
)

// append appends an entry, and returns when it is durable. If ctx ends while others write, the
// entry may be written all the same.
func (d *directory) append(ctx context.Context, e wal.Entry) error {
	a := &appending{Entry: e}
	d.mu.Lock()
	d.waiting = append(d.waiting, a)
	d.mu.Unlock()
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		d.withdraw(a)
		return context.Cause(ctx)
	}
	for !a.done {
		d.write(ctx, d.gather())
	}
	<-d.turn
	return a.err
}

// withdraw takes back an entry, unless somebody has gathered it.
func (w *writer) withdraw(a *appending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(other *appending) bool { return other == a })
}

// gather takes what waits. An entry that does not follow what its partition has is of a
// journal that was closed, and opened again since.
func (w *writer) gather() (round []*appending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for bytes := int64(0); bytes < maxFrame && len(w.waiting) > 0; {
		a := w.waiting[0]
		w.waiting = w.waiting[1:]
		a.before = w.positions[a.Partition]
		if w.positions.Add(a.Entry) != nil {
			a.done, a.err = true, journal.ErrClosed
			continue
		}
		round = append(round, a)
		bytes += journal.Batch{Changes: a.Changes}.Bytes()
	}
	return round
}

// refuse undoes gather.
func (w *writer) refuse(round []*appending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range slices.Backward(round) {
		w.positions[a.Partition] = a.before
	}
}

// write writes a round as one frame. After an error that leaves unknown what was written,
// nothing more is.
func (d *directory) write(ctx context.Context, round []*appending) {
	if len(round) == 0 {
		return
	}
	entries := make([]wal.Entry, len(round))
	for i, a := range round {
		entries[i] = a.Entry
	}
	err := d.failed
	if err == nil {
		if err = d.store(ctx, entries); err != nil {
			d.refuse(round)
		}
		if err != nil && !errors.Is(err, journal.ErrRejected) {
			err = fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
			d.failed = fmt.Errorf("an earlier append has failed: %w", err)
		}
	}
	for _, a := range round {
		a.done, a.err = true, err
	}
}

// store writes entries to the log. They are durable when it returns nil, and where they will
// be found.
func (d *directory) store(ctx context.Context, entries []wal.Entry) error {
	if d.log.Backlog()/behind > d.opts.CheckpointBytes {
		d.awaitCheckpoint(ctx)
	}
	if halted := d.halted.Load(); halted != nil {
		return fmt.Errorf("%w: %w", journal.ErrRejected, *halted)
	}
	if err := d.log.Append(entries); err != nil {
		return err
	}
	if err := d.stillThere(); err != nil {
		return fmt.Errorf("it was written to a journal that is not at its path any more: %w", err)
	}
	if d.log.Backlog() >= d.opts.CheckpointBytes {
		notify(d.kick)
	}
	return nil
}

// position returns where a partition stands.
func (w *writer) position(name string) journal.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.positions[name]
}
