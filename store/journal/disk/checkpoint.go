package disk

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A checkpointer brings the log into the pages, and writes those anew where too much of
// them is free. Its goroutine does so by size, and Compact at once, beside the writer. Who
// has taken the pages from their channel uses them, and nobody else.
type checkpointer struct {
	pages  chan *pages.File // has room for one
	reader *wal.Reader      // stands where the pages have got to; of whoever has them

	kick   chan struct{} // has room for one: there is enough to do
	passed chan struct{} // has room for one: a checkpoint was tried
	gone   chan struct{} // closed when the goroutine has ended

	busy      atomic.Bool // the pages are taken for long, so nobody waits for a checkpoint
	failing   atomic.Bool // there is no room for a checkpoint: nor here
	notBefore time.Time   // of the next compaction by itself

	ctx    context.Context
	cancel context.CancelFunc
}

const (
	minWaste   = 8 << 20     // bytes of pages that are free, for a compaction by itself
	compactNow = 0.25        // the free share for one that is asked for
	retry      = time.Second // after one that has found no room
	pause      = time.Minute // after a compaction that has failed
)

func (c *checkpointer) start(d *directory) {
	c.kick, c.passed, c.gone = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.run(d)
}

func (c *checkpointer) stop() {
	c.cancel()
	<-c.gone
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// awaitCheckpoint waits until a checkpoint was tried, unless that would take long.
func (c *checkpointer) awaitCheckpoint(ctx context.Context) {
	select {
	case <-c.passed: // an earlier one
	default:
	}
	if c.busy.Load() || c.failing.Load() {
		return
	}
	notify(c.kick)
	select {
	case <-c.passed:
	case <-c.gone:
	case <-ctx.Done():
	}
}

// take takes the pages, which give gives back.
func (c *checkpointer) take(ctx context.Context) (*pages.File, error) {
	select {
	case file := <-c.pages:
		if c.ctx.Err() != nil {
			c.give(file)
			return nil, journal.ErrClosed
		}
		return file, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done():
		return nil, journal.ErrClosed
	}
}

func (c *checkpointer) give(file *pages.File) { c.pages <- file }

func (c *checkpointer) run(d *directory) {
	defer close(c.gone)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-c.kick:
		case <-again.C:
		case <-c.ctx.Done():
			return
		}
		err := d.keepUp()
		switch {
		case c.ctx.Err() != nil:
			return
		case err == nil && c.failing.Load():
			d.opts.Logger.Info("journal: checkpoints go on", "path", d.path)
		case err != nil && !isFull(err):
			d.opts.Logger.Error("journal: the pages cannot be written", "path", d.path, "err", err)
			err = fmt.Errorf("the pages cannot be written, open the journal again: %w", err)
			d.halted.Store(&err)
			return
		case err != nil && !c.failing.Load():
			d.opts.Logger.Warn("journal: the log grows, there is no room for a checkpoint", "path", d.path, "err", err)
		}
		if c.failing.Store(err != nil); err != nil {
			again.Reset(retry)
		}
		notify(c.passed)
	}
}

// isFull reports whether there may be room later on.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// keepUp makes checkpoints while there is enough to do, and a compaction if it is worth it.
func (d *directory) keepUp() error {
	file, err := d.take(d.ctx)
	if err != nil {
		return err
	}
	defer d.give(file)
	if file.Failed() != nil {
		if err := d.reopen(file); err != nil {
			return err
		}
	}
	for d.log.Backlog() >= d.opts.CheckpointBytes && d.ctx.Err() == nil {
		if _, err := d.checkpoint(file); err != nil {
			return err
		}
	}
	if d.opts.CompactAt < 0 || time.Now().Before(d.notBefore) {
		return nil
	}
	if worth, err := wasteful(file, d.opts.CompactAt, d.opts.waste); err != nil || !worth {
		return err
	}
	if err := d.long(func() error { return file.Rewrite(d.ctx) }); err != nil {
		if file.Failed() != nil || d.ctx.Err() != nil {
			return err
		}
		d.notBefore = time.Now().Add(pause)
		d.opts.Logger.Warn("journal: the pages were not compacted, nothing has changed", "path", d.path, "err", err)
	}
	return nil
}

// wasteful reports whether a share of the pages is free, and least bytes of them.
func wasteful(file *pages.File, share float64, least int64) (bool, error) {
	free, size, err := file.Waste()
	return free >= least && float64(free) >= share*float64(size), err
}

// reopen opens the pages anew after an error. What failed may have been written.
func (d *directory) reopen(file *pages.File) error {
	if err := d.long(func() error { return file.Reopen(d.ctx) }); err != nil {
		return err
	}
	for d.reader.Mark() != file.Log() {
		size, err := d.reader.Next(func(wal.Entry) error { return nil })
		if err != nil {
			return err
		}
		if size == 0 {
			return wal.Corrupt("the pages have reached frame %d, which the log does not have", file.Log().Number)
		}
		if err := d.log.Release(d.reader, size); err != nil {
			return err
		}
	}
	return nil
}

// long does what takes longer with the pages than a checkpoint.
func (c *checkpointer) long(do func() error) error {
	c.busy.Store(true)
	defer c.busy.Store(false)
	notify(c.passed) // nobody waits for it
	return do()
}

// checkpoint brings the next part of the log into the pages. more reports whether there
// was any.
func (d *directory) checkpoint(file *pages.File) (more bool, err error) {
	if err := file.Failed(); err != nil { // what it has reached is unknown
		return false, err
	}
	pending, err := file.Pending()
	if err != nil {
		return false, err
	}
	r, size := *d.reader, int64(0)
	for size < d.opts.CheckpointBytes {
		n, err := r.Next(pending.Add)
		if err != nil {
			return false, err
		}
		if n == 0 {
			break
		}
		size += n
	}
	if size == 0 {
		return false, nil
	}
	if err := file.Apply(r.Mark(), pending); err != nil {
		return false, err
	}
	*d.reader = r
	notify(d.passed)
	return true, d.log.Release(d.reader, size)
}

// compact brings all of the log into the pages, and writes them anew if it is worth it.
func (d *directory) compact(ctx context.Context) (err error) {
	file, err := d.take(ctx)
	if err != nil {
		return err
	}
	defer d.give(file)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(journal.ErrClosed) })()
	for more := true; more; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if more, err = d.checkpoint(file); err != nil {
			return err
		}
	}
	if worth, err := wasteful(file, compactNow, 0); err != nil || !worth {
		return err
	}
	return d.long(func() error { return file.Rewrite(ctx) })
}
