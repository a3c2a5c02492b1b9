//go:build !race

package loopstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/locked"
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
	type request struct{ answer chan error }
	forCallers(b, func(b *testing.B, callers int) {
		inbox := make(chan *request, 128)
		defer close(inbox)
		go func() {
			for r := range inbox {
				r.answer <- nil
			}
		}()
		pool := sync.Pool{New: func() any { return &request{make(chan error, 1)} }}
		each(b, callers, func(ctx context.Context, _, _ int) error {
			r := pool.Get().(*request)
			defer pool.Put(r)
			select {
			case inbox <- r:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case err := <-r.answer:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
}

// sessionOf is a session document of about size bytes.
func sessionOf(size int) []byte {
	const message = `{"role":"user","content":"%s"},{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"%[1]s"}}],"stop_reason":"end_turn"}`
	turn := fmt.Sprintf(message, strings.Repeat("some words ", 40))
	turns := make([]string, max(1, size/len(turn)))
	for i := range turns {
		turns[i] = turn
	}
	return fmt.Appendf(nil, `{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":[%s],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4},"metadata":{},"usage":{"input_tokens":0,"output_tokens":0,"cache_creation_tokens":null,"cache_read_tokens":null}}`,
		strings.Join(turns, ","))
}

// operation is one call to measure.
type operation struct {
	name string
	call func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error
}

// operations are the ten, some of them in several sizes.
func operations() []operation {
	input := store.NewInputState(store.InputID{1}, store.Time{})
	receipt := store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}}
	// Two sessions in turn, so that neither goes on from the other.
	commit := func(size int) (two [2]store.BoundaryCommit) {
		for i := range two {
			session := bytes.Replace(sessionOf(size), []byte("some"), fmt.Append(nil, i), 1)
			two[i] = store.BoundaryCommit{
				Session:  store.SessionDelta{SessionSnapshot: session},
				Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}, InputUpdates: []store.InputState{input},
			}
		}
		return two
	}
	small, large := commit(1<<10), commit(10<<10)

	return []operation{
		{"load_runtime_state", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, _, err := s.LoadRuntimeState(ctx, id)
			return err
		}},
		{"load_input_state", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, _, err := s.LoadInputState(ctx, id, store.InputID{1})
			return err
		}},
		{"load_input_state_miss", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, _, err := s.LoadInputState(ctx, id, store.InputID{99})
			return err
		}},
		{"load_input_states_10", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, err := s.LoadInputStates(ctx, id)
			return err
		}},
		{"load_boundary_receipt", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, _, err := s.LoadBoundaryReceipt(ctx, id, store.RunID{}, 0)
			return err
		}},
		{"load_session_snapshot_1KB", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, _, err := s.LoadSessionSnapshot(ctx, id)
			return err
		}},
		{"persist_runtime_state", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			return s.PersistRuntimeState(ctx, id, store.RuntimeIdle)
		}},
		{"persist_input_state", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			return s.PersistInputState(ctx, id, input)
		}},
		{"atomic_apply", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			return s.AtomicApply(ctx, id, store.BoundaryApply{Receipt: receipt, InputUpdates: []store.InputState{input}})
		}},
		{"atomic_lifecycle_commit", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{input}})
		}},
		{"commit_session_boundary_1KB", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, err := s.CommitSessionBoundary(ctx, id, small[i%2])
			return err
		}},
		{"commit_session_boundary_10KB", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
			_, err := s.CommitSessionBoundary(ctx, id, large[i%2])
			return err
		}},
	}
}

// measure runs op with every caller on a runtime of its own, which holds ten
// inputs, a receipt and a session.
func (op operation) measure(b *testing.B, open func() (store.RuntimeStore, func() error)) {
	forCallers(b, func(b *testing.B, callers int) {
		s, closeIt := open()
		defer func() { require.NoError(b, closeIt()) }()
		ids := make([]store.RuntimeID, callers)
		for i := range ids {
			ids[i] = store.RuntimeID(fmt.Sprint("runtime-", i))
			_, err := s.CommitSessionBoundary(b.Context(), ids[i], store.BoundaryCommit{
				Session:  store.SessionDelta{SessionSnapshot: sessionOf(1 << 10)},
				Boundary: store.RunStart,
			})
			require.NoError(b, err)
			for n := range byte(10) {
				require.NoError(b, s.PersistInputState(b.Context(), ids[i], store.NewInputState(store.InputID{n}, store.Time{})))
			}
		}
		each(b, callers, func(ctx context.Context, caller, i int) error { return op.call(ctx, s, ids[caller], i) })
	})
}

// BenchmarkOperation measures each operation through the loop.
func BenchmarkOperation(b *testing.B) {
	for _, op := range operations() {
		b.Run(op.name, func(b *testing.B) {
			op.measure(b, func() (store.RuntimeStore, func() error) {
				l := loopstore.New(loopstore.Options{})
				return l, l.Close
			})
		})
	}
}

// BenchmarkLocked measures some of them behind a lock instead.
func BenchmarkLocked(b *testing.B) {
	for _, op := range operations() {
		switch op.name {
		case "load_runtime_state", "persist_input_state", "commit_session_boundary_1KB", "commit_session_boundary_10KB":
			b.Run(op.name, func(b *testing.B) {
				op.measure(b, func() (store.RuntimeStore, func() error) {
					s := locked.New(new(store.State))
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
	turn := []byte(`,{"role":"user","content":"` + strings.Repeat("x", 1<<10) + `"}],"created_at"`)
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20} {
		one := sessionOf(size)
		other := bytes.Replace(one, []byte("some"), []byte("Some"), 1)
		grown := bytes.Replace(one, []byte(`],"created_at"`), turn, 1)
		for name, sessions := range map[string][2][]byte{"scratch": {one, other}, "grown": {one, grown}} {
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
func benchmarkCommit(b *testing.B, callers int, sessions [2][]byte) {
	l := loopstore.New(loopstore.Options{})
	defer l.Close()
	var waited atomic.Int64
	each(b, callers, func(ctx context.Context, caller, _ int) (err error) {
		var began time.Time
		for _, snapshot := range sessions {
			began = time.Now()
			_, err = l.CommitSessionBoundary(ctx, store.RuntimeID(fmt.Sprint(caller)), store.BoundaryCommit{
				Session:  store.SessionDelta{SessionSnapshot: snapshot},
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
			commit := store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: sessionOf(1 << 10)}, Boundary: store.RunCheckpoint,
			}
			for b.Loop() {
				_, err := l.CommitSessionBoundary(b.Context(), "runtime", commit)
				require.NoError(b, err)
			}
		})
	}
}
