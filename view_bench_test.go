//go:build !race

package loopstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

const batchSize = 64

// BenchmarkBatch writes 64 input states, of as many inputs, in one batch, and
// one after the other under a mutex.
func BenchmarkBatch(b *testing.B) {
	states := make([]store.InputState, batchSize)
	all := batch.Batch{Then: make([]batch.Write, batchSize)}
	for i := range states {
		states[i] = store.NewInputState(store.InputID{byte(i)}, store.Time{})
		all.Then[i] = batch.PutInputState{RuntimeID: "a", State: states[i]}
	}
	perWrite := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchSize, "ns/write")
	}
	b.Run("loop", func(b *testing.B) {
		l := loopstore.New(loopstore.Options{})
		defer l.Close()
		each(b, 1, func(ctx context.Context, _, _ int) error {
			_, err := l.Commit(ctx, all)
			return err
		})
		perWrite(b)
	})
	b.Run("mutex", func(b *testing.B) {
		s := locked.New(new(state.State))
		each(b, 1, func(ctx context.Context, _, _ int) error {
			for _, state := range states {
				if err := s.PersistInputState(ctx, "a", state); err != nil {
					return err
				}
			}
			return nil
		})
		perWrite(b)
	})
}

// BenchmarkReader looks at a runtime that does not change.
func BenchmarkReader(b *testing.B) {
	forCallers(b, func(b *testing.B, callers int) {
		l := loopstore.New(loopstore.Options{})
		defer l.Close()
		require.NoError(b, l.PersistRuntimeState(b.Context(), "a", store.RuntimeIdle))
		reader := l.Reader("a")
		b.Run("reader", func(b *testing.B) {
			each(b, callers, func(ctx context.Context, _, _ int) error {
				_, err := reader.View(ctx)
				return err
			})
		})
		b.Run("atomic", func(b *testing.B) {
			var v atomic.Pointer[state.View]
			each(b, callers, func(context.Context, int, int) error {
				if v.Load() != nil {
					return context.Canceled
				}
				return nil
			})
		})
		b.Run("rwmutex", func(b *testing.B) {
			var mu sync.RWMutex
			views := map[store.RuntimeID]*state.View{"a": nil}
			each(b, callers, func(context.Context, int, int) error {
				mu.RLock()
				defer mu.RUnlock()
				if views["a"] != nil {
					return context.Canceled
				}
				return nil
			})
		})
	})
}

// BenchmarkWatched writes to one of 1,000 runtimes, while nobody watches, and
// while each of them is watched.
func BenchmarkWatched(b *testing.B) {
	const runtimes = 1000
	for _, watchers := range []int{0, runtimes} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			l := loopstore.New(loopstore.Options{})
			var wg sync.WaitGroup
			for i := range runtimes {
				id := store.RuntimeID(fmt.Sprint(i))
				require.NoError(b, l.PersistRuntimeState(b.Context(), id, store.RuntimeIdle))
				if i < watchers {
					watch(b, l, &wg, id)
				}
			}
			each(b, 1, func(ctx context.Context, _, _ int) error {
				return l.PersistRuntimeState(ctx, "0", store.RuntimeRunning)
			})
			b.StopTimer()
			require.NoError(b, l.Close())
			wg.Wait()
		})
	}
}

// watch starts a watcher and returns when it has seen its first view.
func watch(b *testing.B, l *loopstore.Loop, wg *sync.WaitGroup, id store.RuntimeID) {
	first := make(chan struct{})
	wg.Go(func() {
		seen := false
		for _, err := range l.Watch(context.WithoutCancel(b.Context()), id, 0) {
			if err == nil && !seen {
				seen = true
				close(first)
			}
		}
	})
	<-first
}

// BenchmarkWaking writes to a runtime that 10,000 watch, and to another one
// while they wake. It reports what the waking write took, and what those behind
// it did: 99 of 100, and the longest (each the median of all times). To compare
// with, nobody watches, but a goroutine begins to be busy: that alone makes some
// kernels put two threads on one processor until their next tick.
func BenchmarkWaking(b *testing.B) {
	for _, watchers := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) { benchmarkWaking(b, watchers) })
	}
}

func benchmarkWaking(b *testing.B, watchers int) {
	const busy = 10 * time.Millisecond // about what it takes 10,000 to wake
	l := loopstore.New(loopstore.Options{})
	var wg sync.WaitGroup
	require.NoError(b, l.PersistRuntimeState(b.Context(), "a", store.RuntimeIdle))
	for range watchers {
		watch(b, l, &wg, "a")
	}
	timed := func(id store.RuntimeID) time.Duration {
		start := time.Now()
		if err := l.PersistRuntimeState(b.Context(), id, store.RuntimeRunning); err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}
	var waking, most, longest []time.Duration
	for b.Loop() {
		time.Sleep(2 * busy) // until all watch again
		took := make(chan time.Duration, 1)
		go func() {
			took <- timed("a")
			for start := time.Now(); watchers == 0 && time.Since(start) < busy; {
			}
		}()
		var behind []time.Duration
		for start := time.Now(); time.Since(start) < 3*busy/2; {
			behind = append(behind, timed("b"))
		}
		slices.Sort(behind)
		waking = append(waking, <-took)
		most, longest = append(most, behind[len(behind)*99/100]), append(longest, behind[len(behind)-1])
	}
	for unit, all := range map[string][]time.Duration{"waking-µs": waking, "99%-behind-µs": most, "longest-behind-µs": longest} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, unit)
	}
	require.NoError(b, l.Close())
	wg.Wait()
}
