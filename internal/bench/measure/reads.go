package measure

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// readCells load while commits run.
func readCells() []cell {
	return []cell{{
		name: "read_while_committing/session=1MB", callers: 1,
		setUp: func(ctx context.Context, b *bench) error {
			b.special = b.readWhileCommitting
			if err := b.open(); err != nil {
				return err
			}
			return b.store.PersistRuntimeState(ctx, "read", store.RuntimeIdle)
		},
	}}
}

// readWhileCommitting measures each read of one caller while another caller commits.
func (b *bench) readWhileCommitting(ctx context.Context, goal time.Duration) (Sample, error) {
	const times = 8 // as long as other cells, because the reads have pauses
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		over       atomic.Bool
		wg         sync.WaitGroup
		commits    int
		committing error
		spent      time.Duration
	)
	sessions := Sessions(1 << 20)
	wg.Go(func() {
		began := time.Now()
		for ; committing == nil && (commits == 0 || !over.Load()); commits++ {
			committing = commit(ctx, b.store, "committed", sessions[commits%2])
		}
		spent = time.Since(began)
		if committing != nil {
			cancel()
		}
	})
	reads, reading := b.reads(ctx, times*goal)
	over.Store(true)
	wg.Wait()
	if err := firstReal(committing, reading); err != nil {
		return Sample{}, err
	}
	return latencies(reads, float64(spent)/float64(commits)), nil
}

// firstReal returns the first error that is not a cancellation, or else the first error.
func firstReal(errs ...error) error {
	all := make(chan error, len(errs))
	for _, err := range errs {
		if err != nil {
			all <- err
		}
	}
	close(all)
	return firstOf(all)
}

// reads returns how long each read took, from its call to its return.
func (b *bench) reads(ctx context.Context, goal time.Duration) (took []time.Duration, err error) {
	const pause = 200 * time.Microsecond
	for began := time.Now(); len(took) == 0 || time.Since(began) < goal; {
		time.Sleep(pause)
		start := time.Now()
		_, ok, err := b.store.LoadRuntimeState(ctx, "read")
		took = append(took, time.Since(start))
		if err != nil || !ok {
			return nil, missing(err, "the runtime's state")
		}
	}
	return took, nil
}

// latencies summarizes reads. There is at least one.
func latencies(took []time.Duration, perCommit float64) Sample {
	slices.Sort(took)
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	quantile := func(percent int) float64 { return float64(took[(len(took)-1)*percent/100]) }
	return Sample{Calls: len(took), Values: []Value{
		{Time, float64(sum) / float64(len(took))},
		{"p50-ns/op", quantile(50)}, {"p99-ns/op", quantile(99)}, {"max-ns/op", quantile(100)},
		{"commit-ns/op", perCommit},
	}}
}

// readerCells look at runtimes that do not change.
func readerCells() []cell {
	return forCallers("reader", callerCounts, func(ctx context.Context, b *bench) error {
		if err := b.open(); err != nil {
			return err
		}
		ids := runtimeIDs(b.callers)
		for _, id := range ids {
			if err := b.store.PersistRuntimeState(ctx, id, store.RuntimeIdle); err != nil {
				return err
			}
		}
		if b.subject.Reader == nil {
			b.how = "by LoadRuntimeState"
			b.call = func(ctx context.Context, caller, _ int) error {
				_, _, err := b.store.LoadRuntimeState(ctx, ids[caller])
				return err
			}
			return nil
		}
		b.how = "by its reader"
		readers := make([]func(context.Context) (*state.View, error), len(ids))
		for i, id := range ids {
			readers[i] = b.subject.Reader(b.store, id)
		}
		b.call = func(ctx context.Context, caller, _ int) error {
			view, err := readers[caller](ctx)
			if err == nil && view == nil {
				return errors.New("the reader returned no view")
			}
			return err
		}
		return nil
	})
}
