// Package journalbench measures a loop in front of a journal engine. Beside it, it measures
// the engine's client storing the same records without a loop: one append for each call.
package journalbench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A Subject is an engine, and its client without the engine.
type Subject struct {
	// Engine returns an engine that holds no partition yet.
	Engine func(b *testing.B) journal.Engine

	// Raw returns a function that stores the changes of one call durably, in the way that
	// is best for the client. Many goroutines call it at once.
	Raw func(b *testing.B) func(context.Context, []journal.Change) error
}

// Inputs has 1, 64 and 512 callers store an input, each in a runtime of its own.
func Inputs(b *testing.B, s Subject) {
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("store=loop/callers=%d", callers), func(b *testing.B) {
			l := open(b, s.Engine(b))
			spread(b, callers, func(caller int) error { return putInput(b.Context(), l, caller) })
			b.ReportMetric(float64(b.N+callers)/float64(l.Stats().Journal.Appends), "ops/append")
			require.NoError(b, l.Close())
		})
		b.Run(fmt.Sprintf("store=raw/callers=%d", callers), func(b *testing.B) {
			write := s.Raw(b)
			changes := changesOf(b, callers, func(s store.RuntimeStore, n int) error { return putInput(b.Context(), s, n) })
			spread(b, callers, func(caller int) error { return write(b.Context(), changes[caller]) })
		})
	}
}

func putInput(ctx context.Context, s store.RuntimeStore, caller int) error {
	return s.PersistInputState(ctx, store.RuntimeID(fmt.Sprint(caller)), store.NewInputState(store.InputID{1}, store.Time{}))
}

// Sessions has one caller commit two sessions in turn that have nothing in common, of 100
// KB or of 1 MB.
func Sessions(b *testing.B, s Subject) {
	for _, size := range []int{100_000, 1_000_000} {
		one := string(measure.Session(size))
		sessions := []string{one, strings.ReplaceAll(one, "some", "Some")}
		commit := func(s store.RuntimeStore, n int) error {
			_, err := s.CommitSessionBoundary(b.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte(sessions[n%2])}, Boundary: store.RunCheckpoint,
			})
			return err
		}
		b.Run(fmt.Sprintf("store=loop/bytes=%d", size), func(b *testing.B) {
			l, n := open(b, s.Engine(b)), 0
			spread(b, 1, func(int) error { n++; return commit(l, n) })
			require.NoError(b, l.Close())
		})
		b.Run(fmt.Sprintf("store=raw/bytes=%d", size), func(b *testing.B) {
			write, n := s.Raw(b), 0
			changes := changesOf(b, 4, commit)
			spread(b, 1, func(int) error { n++; return write(b.Context(), changes[2+n%2]) })
		})
	}
}

// Open opens a partition of a million records, the input states of 1,000 runtimes.
func Open(b *testing.B, s Subject) {
	const runtimes, inputs, records = 1000, 999, 1_000_000 // each runtime has a record too
	engine := s.Engine(b)
	l := open(b, engine)
	var group sync.WaitGroup
	errs := make(chan error, runtimes)
	for r := range runtimes {
		group.Go(func() { errs <- fill(b.Context(), l, store.RuntimeID(fmt.Sprint("runtime-", r)), inputs) })
	}
	group.Wait()
	for range runtimes {
		require.NoError(b, <-errs)
	}
	require.NoError(b, l.Close())
	for b.Loop() {
		l := open(b, engine)
		require.Equal(b, runtimes*inputs, l.Stats().Held.InputStates)
		require.NoError(b, l.Close())
	}
	b.ReportMetric(records, "records")
}

// fill stores input states in batches.
func fill(ctx context.Context, l *loopstore.Loop, id store.RuntimeID, inputs int) error {
	const most = 333
	for from := 0; from < inputs; from += most {
		var all batch.Batch
		for n := from; n < min(from+most, inputs); n++ {
			all.Then = append(all.Then, batch.PutInputState{RuntimeID: id, State: store.NewInputState(store.NewInputID(), store.Time{})})
		}
		if _, err := l.Commit(ctx, all); err != nil {
			return err
		}
	}
	return nil
}

func open(b *testing.B, e journal.Engine) *loopstore.Loop {
	b.Helper()
	l, err := loopstore.Open(b.Context(), e, "p", loopstore.Options{InboxSize: 1024})
	require.NoError(b, err)
	return l
}

// spread has callers make b.N calls together, and reports how long they took. Before that
// each caller makes one call, so that all connections exist.
func spread(b *testing.B, callers int, call func(caller int) error) {
	b.Helper()
	took := make([][]time.Duration, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			if err := call(caller); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	b.ResetTimer()
	for caller := range callers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				began := time.Now()
				if err := call(caller); err != nil {
					b.Error(err)
					return
				}
				took[caller] = append(took[caller], time.Since(began))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if b.Failed() {
		b.FailNow()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

// A spy keeps the changes of each batch.
type spy struct {
	journal.Engine
	journal.Journal
	changes [][]journal.Change
}

func (s *spy) Open(ctx context.Context, partition string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	s.Journal, err = s.Engine.Open(ctx, partition, emit)
	return s, err
}

func (s *spy) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	s.changes = append(s.changes, b.Changes)
	return s.Journal.Append(ctx, b)
}

// changesOf returns the changes that a loop appends for each call.
func changesOf(b *testing.B, calls int, call func(s store.RuntimeStore, n int) error) [][]journal.Change {
	b.Helper()
	s := &spy{Engine: journaltest.NewEngine()}
	l := open(b, s)
	for n := range calls {
		require.NoError(b, call(l, n))
	}
	require.NoError(b, l.Close())
	require.Len(b, s.changes, calls)
	return s.changes
}
