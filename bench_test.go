//go:build !race

package loopstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// Under the race detector sync.Pool drops requests at random, so this file is
// not part of such a build.
func TestNoAllocationPerCall(t *testing.T) {
	l := loopstore.New(loopstore.Options{})
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, call := range map[string]func() error{
		"LoadRuntimeState": func() error {
			_, _, err := l.LoadRuntimeState(ctx, "a")
			return err
		},
		"PersistRuntimeState": func() error { return l.PersistRuntimeState(ctx, "a", store.RuntimeIdle) },
		"LoadInputState, a miss": func() error {
			_, _, err := l.LoadInputState(ctx, "a", store.InputID{1})
			return err
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, func() { require.NoError(t, call()) }), name)
	}
}

// each runs call b.N times, spread over callers goroutines.
func each(b *testing.B, callers int, call func(ctx context.Context, caller int) error) {
	ctx, cancel := context.WithCancel(b.Context()) // one that can be cancelled costs more
	defer cancel()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for range (b.N + caller) / callers {
				if err := call(ctx, caller); err != nil {
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
		each(b, callers, func(ctx context.Context, _ int) error {
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

// BenchmarkMutex is what a state behind a lock costs, for comparison.
func BenchmarkMutex(b *testing.B) {
	forCallers(b, func(b *testing.B, callers int) {
		var mu sync.Mutex
		var state store.State
		state.PutRuntimeState("runtime-0", store.RuntimeIdle)
		each(b, callers, func(context.Context, int) error {
			mu.Lock()
			defer mu.Unlock()
			if state.RuntimeState("runtime-0") != store.RuntimeIdle {
				return store.ErrFailed
			}
			return nil
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

// BenchmarkOperation measures each of the ten operations, every caller on a
// runtime of its own that holds ten inputs, a receipt and a session.
func BenchmarkOperation(b *testing.B) {
	input := store.NewInputState(store.InputID{1}, store.Time{})
	receipt := store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}}
	commit := func(size int) store.BoundaryCommit {
		return store.BoundaryCommit{
			Session:  store.SessionDelta{SessionSnapshot: sessionOf(size)},
			Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}, InputUpdates: []store.InputState{input},
		}
	}
	small, large := commit(1<<10), commit(10<<10)

	for _, op := range []struct {
		name string
		call func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error
	}{
		{"load_runtime_state", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, _, err := l.LoadRuntimeState(ctx, id)
			return err
		}},
		{"load_input_state", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, _, err := l.LoadInputState(ctx, id, store.InputID{1})
			return err
		}},
		{"load_input_state_miss", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, _, err := l.LoadInputState(ctx, id, store.InputID{99})
			return err
		}},
		{"load_input_states_10", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, err := l.LoadInputStates(ctx, id)
			return err
		}},
		{"load_boundary_receipt", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, _, err := l.LoadBoundaryReceipt(ctx, id, store.RunID{}, 0)
			return err
		}},
		{"load_session_snapshot_1KB", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, _, err := l.LoadSessionSnapshot(ctx, id)
			return err
		}},
		{"persist_runtime_state", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			return l.PersistRuntimeState(ctx, id, store.RuntimeIdle)
		}},
		{"persist_input_state", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			return l.PersistInputState(ctx, id, input)
		}},
		{"atomic_apply", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			return l.AtomicApply(ctx, id, store.BoundaryApply{Receipt: receipt, InputUpdates: []store.InputState{input}})
		}},
		{"atomic_lifecycle_commit", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			return l.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{input}})
		}},
		{"commit_session_boundary_1KB", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, err := l.CommitSessionBoundary(ctx, id, small)
			return err
		}},
		{"commit_session_boundary_10KB", func(ctx context.Context, l *loopstore.Loop, id store.RuntimeID) error {
			_, err := l.CommitSessionBoundary(ctx, id, large)
			return err
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			forCallers(b, func(b *testing.B, callers int) {
				l := loopstore.New(loopstore.Options{})
				defer l.Close()
				ids := make([]store.RuntimeID, callers)
				for i := range ids {
					ids[i] = store.RuntimeID(fmt.Sprint("runtime-", i))
					_, err := l.CommitSessionBoundary(b.Context(), ids[i], small)
					require.NoError(b, err)
					for n := range byte(10) {
						require.NoError(b, l.PersistInputState(b.Context(), ids[i], store.NewInputState(store.InputID{n}, store.Time{})))
					}
				}
				each(b, callers, func(ctx context.Context, caller int) error { return op.call(ctx, l, ids[caller]) })
			})
		})
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
	each(b, callers, func(ctx context.Context, caller int) (err error) {
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
