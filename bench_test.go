//go:build !race

package loopstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

// Under the race detector sync.Pool drops requests at random, so this file is
// not part of such a build.
func TestNoAllocationPerCall(t *testing.T) {
	l := loopstore.New(loopstore.Options{})
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader := l.Reader("a")
	for name, call := range map[string]func() error{
		"LoadRuntimeState": func() error {
			_, _, err := l.LoadRuntimeState(ctx, "a")
			return err
		},
		"PersistRuntimeState": func() error { return l.PersistRuntimeState(ctx, "a", store.RuntimeIdle) },
		"Reader.View": func() error {
			_, err := reader.View(ctx)
			return err
		},
		"LoadInputState, a miss": func() error {
			_, _, err := l.LoadInputState(ctx, "a", store.InputID{1})
			return err
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, func() { require.NoError(t, call()) }), name)
	}
}

// each runs call b.N times, spread over callers goroutines.
func each(b *testing.B, callers int, call func(ctx context.Context, caller, i int) error) {
	ctx, cancel := context.WithCancel(b.Context()) // one that can be cancelled costs more
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range (b.N + caller) / callers {
				if err := call(ctx, caller, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

var callerCounts = []int{1, 8, 64}

func forCallers(b *testing.B, run func(b *testing.B, callers int)) {
	for _, callers := range callerCounts {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { run(b, callers) })
	}
}

// BenchmarkBareHandOff is the floor under every operation: a pooled request to
// a goroutine and back.
func BenchmarkBareHandOff(b *testing.B) {
	forCallers(b, func(b *testing.B, callers int) {
		h := measure.NewHandOff()
		defer h.Close()
		each(b, callers, func(ctx context.Context, _, _ int) error { return h.Call(ctx) })
	})
}

// measureOperation runs op with every caller on a runtime of its own.
func measureOperation(b *testing.B, op measure.Operation, open func() (store.RuntimeStore, func() error)) {
	forCallers(b, func(b *testing.B, callers int) {
		s, closeIt := open()
		defer func() { require.NoError(b, closeIt()) }()
		ids := make([]store.RuntimeID, callers)
		for i := range ids {
			ids[i] = store.RuntimeID(fmt.Sprint("runtime-", i))
			require.NoError(b, op.Fill(b.Context(), s, ids[i]))
		}
		each(b, callers, func(ctx context.Context, caller, i int) error { return op.Call(ctx, s, ids[caller], i) })
	})
}

// BenchmarkOperation measures each operation through the loop.
func BenchmarkOperation(b *testing.B) {
	for _, op := range measure.Operations() {
		b.Run(op.Name, func(b *testing.B) {
			measureOperation(b, op, func() (store.RuntimeStore, func() error) {
				l := loopstore.New(loopstore.Options{})
				return l, l.Close
			})
		})
	}
}

// BenchmarkLocked measures some of them behind a lock instead.
func BenchmarkLocked(b *testing.B) {
	for _, op := range measure.Operations() {
		switch op.Name {
		case "load_runtime_state", "persist_input_state", "commit_session_boundary_1KB", "commit_session_boundary_10KB":
			b.Run(op.Name, func(b *testing.B) {
				measureOperation(b, op, func() (store.RuntimeStore, func() error) {
					s := locked.New(new(state.State))
					return s, s.Close
				})
			})
		}
	}
}

// BenchmarkCommit measures boundary commits of sessions of several sizes: one
// that has nothing in common with what the store holds (scratch), and one that
// is the last one grown by a message of 1 KB (grown).
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20} {
		one := measure.Session(size)
		scratch := measure.Sessions(size)
		for name, sessions := range map[string][2]store.SessionDelta{
			"scratch":  {{SessionSnapshot: scratch[0]}, {SessionSnapshot: scratch[1]}},
			"grown":    {{SessionSnapshot: one}, {SessionSnapshot: measure.Grown(one)}},
			"appended": {{SessionSnapshot: one, Format: store.FormatOpaque}, {SessionSnapshot: make([]byte, 1<<10), Format: store.FormatOpaque, Append: true}},
		} {
			b.Run(fmt.Sprintf("session=%dKB/%s", size>>10, name), func(b *testing.B) {
				for _, callers := range []int{1, 8} {
					b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkCommit(b, callers, sessions) })
				}
			})
		}
		b.Run(fmt.Sprintf("session=%dKB/sha256", size>>10), func(b *testing.B) {
			for b.Loop() {
				sha256.Sum256(one)
			}
		})
		b.Run(fmt.Sprintf("session=%dKB/clone", size>>10), func(b *testing.B) {
			for b.Loop() {
				bytes.Clone(one)
			}
		})
	}
}

// benchmarkCommit has every caller commit two sessions in turn, and reports
// how long it waits for the second.
func benchmarkCommit(b *testing.B, callers int, sessions [2]store.SessionDelta) {
	l := loopstore.New(loopstore.Options{})
	defer l.Close()
	var waited atomic.Int64
	each(b, callers, func(ctx context.Context, caller, _ int) (err error) {
		var began time.Time
		for _, session := range sessions {
			began = time.Now()
			_, err = l.CommitSessionBoundary(ctx, store.RuntimeID(fmt.Sprint(caller)), store.BoundaryCommit{
				Session:  session,
				Boundary: store.RunCheckpoint,
			})
		}
		waited.Add(int64(time.Since(began)))
		return err
	})
	b.ReportMetric(float64(waited.Load())/float64(b.N), "ns/op")
}

// BenchmarkGrowth commits where there are already so many receipts, of one run.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{0, 1_000, 1_000_000} {
		b.Run(fmt.Sprintf("receipts=%d", n), func(b *testing.B) {
			l := loopstore.New(loopstore.Options{})
			defer l.Close()
			for i := range n {
				require.NoError(b, l.AtomicApply(b.Context(), "runtime", store.BoundaryApply{
					Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: uint64(i)},
				}))
			}
			runtime.GC()
			sessions := measure.Sessions(1 << 10) // the next is not equal to the one before
			for i := 0; b.Loop(); i++ {
				_, err := l.CommitSessionBoundary(b.Context(), "runtime", store.BoundaryCommit{
					Session: store.SessionDelta{SessionSnapshot: sessions[i%2]}, Boundary: store.RunCheckpoint,
				})
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkOwnersShare loads 1,000 input states. The owner's part is to take the
// list as it is, the caller's to copy it.
func BenchmarkOwnersShare(b *testing.B) {
	state := new(state.State)
	for i := range 1000 {
		input := store.NewInputState(store.InputID{byte(i), byte(i >> 8)}, store.Time{})
		_, err := ops.Run(state, ops.PersistInputState{RuntimeID: "a", State: input})
		require.NoError(b, err)
	}
	op := ops.LoadInputStates{RuntimeID: "a"}
	b.Run("owner", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := op.Apply(state); err != nil {
				b.Fatal(err)
			}
		}
	})
	require.NoError(b, op.Apply(state))
	b.Run("caller", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(op.Answer()) != 1000 {
				b.Fatal("not all of them")
			}
		}
	})
}

// BenchmarkPrune removes 10,000 records of a kind from a runtime in one step: the
// owner's share, for each.
func BenchmarkPrune(b *testing.B) {
	const records = 10_000
	for name, c := range map[string]struct {
		keep store.Retention
		put  func(s *state.State, i int)
	}{
		"inputs": {store.Retention{Inputs: store.Keep{Last: 1}}, func(s *state.State, i int) {
			s.PutInputState("a", endedInput(i))
		}},
		"payloads": {store.Retention{Payloads: store.Keep{Last: 1}}, func(s *state.State, i int) {
			s.PutInputState("a", endedInput(i))
		}},
		"receipts": {store.Retention{ReceiptsPerRun: 1}, func(s *state.State, i int) {
			s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: uint64(i)}))
		}},
		"runs": {store.Retention{Runs: 1}, func(s *state.State, i int) {
			s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{byte(i), byte(i >> 8)}, Boundary: store.RunStart}))
		}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := new(state.State)
				for i := range records {
					c.put(s, i)
				}
				s.Settle()
				b.StartTimer()
				s.Prune("a", c.keep, store.Time{})
				s.Settle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}

func endedInput(i int) *store.InputState {
	input := store.NewInputState(store.InputID{byte(i), byte(i >> 8)}, store.Time{})
	input.CurrentState, input.PersistedInput = store.InputConsumed, []byte("{}")
	return &input
}
