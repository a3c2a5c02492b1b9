package disk

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A writer appends to the log. Its goroutine takes what the partitions append, as much as
// waits, and writes it as one frame with one sync.
type writer struct {
	appends chan *appending
	written chan struct{}         // closed when the goroutine has ended
	halted  atomic.Pointer[error] // why nothing more is taken, before anything is written
	inPlace func() error          // of the pages

	mu        sync.Mutex
	positions pages.Positions // of all partitions, with what is in the log
}

// An appending is an entry on its way into the log.
type appending struct {
	wal.Entry
	err chan error // has room for one
}

const (
	// maxFrame is about how many bytes of batches a frame takes; a batch may be larger.
	maxFrame = 8 << 20

	// behind is how many checkpoints the log may be behind before an append waits for
	// one. It waits for one at most.
	behind = 8
)

func (w *writer) start(d *directory) {
	w.appends, w.written = make(chan *appending), make(chan struct{})
	go w.run(d)
}

func (w *writer) stop() {
	close(w.appends)
	<-w.written
}

// append appends an entry, and returns when it is durable.
func (w *writer) append(e wal.Entry) error {
	a := &appending{e, make(chan error, 1)}
	w.appends <- a
	return <-a.err
}

// position returns where a partition stands.
func (w *writer) position(name string) journal.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.positions[name]
}

func (w *writer) run(d *directory) {
	defer close(w.written)
	var failed error
	var round []*appending
	var entries []wal.Entry
	for first := range w.appends {
		round, entries = w.gather(append(round[:0], first)), entries[:0]
		for _, a := range round {
			entries = append(entries, a.Entry)
		}
		err := failed
		if err == nil {
			if err = d.store(entries); err != nil && !errors.Is(err, journal.ErrRejected) {
				err = fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
				failed = fmt.Errorf("an earlier append has failed: %w", err)
			}
		}
		for i, a := range round {
			a.err <- err
			round[i], entries[i] = nil, wal.Entry{}
		}
	}
}

// gather takes what else waits.
func (w *writer) gather(round []*appending) []*appending {
	bytes := round[0].bytes()
	for bytes < maxFrame {
		select {
		case a, ok := <-w.appends:
			if !ok {
				return round
			}
			round = append(round, a)
			bytes += a.bytes()
		default:
			return round
		}
	}
	return round
}

func (a *appending) bytes() int64 { return journal.Batch{Changes: a.Changes}.Bytes() }

// store writes entries to the log, and notes them when they are durable and where they
// will be found.
func (d *directory) store(entries []wal.Entry) error {
	if d.log.Backlog() > behind*d.opts.CheckpointBytes {
		d.awaitCheckpoint()
	}
	if halted := d.halted.Load(); halted != nil {
		return fmt.Errorf("%w: %w", journal.ErrRejected, *halted)
	}
	if err := d.log.Append(entries); err != nil {
		return err
	}
	if err := d.stillThere(); err != nil {
		return fmt.Errorf("the batch was stored, but its journal is not at its path any more: %w", err)
	}
	d.mu.Lock()
	for _, e := range entries {
		d.positions[e.Partition] = e.Position
	}
	d.mu.Unlock()
	if d.log.Backlog() >= d.opts.CheckpointBytes {
		d.kickCheckpoint()
	}
	return nil
}
