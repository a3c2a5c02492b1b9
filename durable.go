package loopstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// Open starts a store with a journal: it takes the partition over, builds up
// what that holds, and from then on stores every change there before the call
// that made it returns. Without Options.Journal it is New.
//
// ctx is for the opening alone. The error wraps what the engine says, such as
// journal.ErrInUse or journal.ErrCorrupt; nothing is held open then.
// Options.Limits are not asked about what is there already.
func Open(ctx context.Context, opts Options) (*Loop, error) {
	if opts.Journal == nil {
		return New(opts), nil
	}
	l := prepare(opts)
	d := &durable{loop: l, state: opts.state(), ages: opts.retainsByAge(), appended: make(chan appended, 1)}
	if err := d.open(ctx, opts); err != nil {
		return nil, fmt.Errorf("loopstore: opening partition %q: %w", opts.Partition, err)
	}
	l.meter.publish(figuresOf(d.state.Totals()))
	l.meter.revision = d.state.Revision()
	l.compactions = make(chan compaction)
	l.journal = &journalMeter{partition: opts.Partition}
	go l.ownDurable(d)
	return l, nil
}

// tellEvery is how often Options.Logger is told how far an Open has come.
const tellEvery = 5 * time.Second

// open opens the journal, and builds up the state from it.
func (d *durable) open(ctx context.Context, opts Options) error {
	began, replay := time.Now(), store.NewReplay(d.state)
	told := began
	progress := func(message string) {
		d.loop.log(slog.LevelInfo, message, slog.String("partition", opts.Partition), slog.Int("records", replay.Records()),
			slog.Int("runtimes", d.state.Totals().Runtimes), slog.Duration("took", time.Since(began)))
	}
	j, err := opts.Journal.Open(ctx, opts.Partition, func(c journal.Change) error {
		if replay.Records()%1024 == 0 && time.Since(told) >= tellEvery {
			told = time.Now()
			progress("store is opening")
		}
		return replay.Put(c)
	})
	if err != nil {
		return err
	}
	if err := replay.Done(); err != nil {
		return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	d.journal = j
	progress("store opened")
	return nil
}

// A compaction is a call of Compact, on its way to the owner.
type compaction struct {
	ctx    context.Context
	answer chan error // has room for one
}

// Compact gives back the room in the journal that was taken by what is replaced
// or removed by now. It changes nothing that is held. While the engine is at it
// nothing else is served; it comes before the next round. Without a journal there
// is nothing to do.
func (l *Loop) Compact(ctx context.Context) error {
	if l.compactions == nil {
		return nil
	}
	c := compaction{ctx, make(chan error, 1)}
	if err := l.compact(ctx, c); err != nil {
		return &store.OpError{Op: "compact", Err: err}
	}
	return nil
}

func (l *Loop) compact(ctx context.Context, c compaction) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	select {
	case l.compactions <- c:
	case <-l.done:
		return l.unavailable()
	case <-ctx.Done():
		return cancelled(ctx)
	}
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		return cancelled(ctx)
	}
}
