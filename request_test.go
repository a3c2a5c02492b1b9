package loopstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func TestDefinite(t *testing.T) {
	t.Run("cancelled before the call, it never runs", func(t *testing.T) {
		l := newLoop(t, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := doTestOp(ctx, l, testOp{
			id: "a", do: func() { t.Error("it ran") }, prepare: func() { t.Error("it was prepared") },
		})
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("cancelled while it is queued, it never runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{})
			g := hold(t.Context(), l, "held")
			ctx, cancel := context.WithCancelCause(t.Context())
			errs := make(chan error, 1)
			go func() { errs <- l.PersistRuntimeState(ctx, "a", store.RuntimeIdle) }()
			synctest.Wait()
			why := errors.New("why")
			cancel(why)
			err := <-errs // at once: the owner is still held
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, why)
			var e *store.OpError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "persist_runtime_state", e.Op)
			assert.Equal(t, store.RuntimeID("a"), e.RuntimeID)
			close(g.open)
			require.NoError(t, <-g.err)
			assert.False(t, has(t, l, "a"))
		})
	})

	t.Run("cancelled while it runs, it waits for its answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			g := hold(ctx, l, "a")
			cancel()
			synctest.Wait()
			require.Empty(t, g.err, "the owner has it: there is no going back")
			close(g.open)
			require.NoError(t, <-g.err)
			assert.True(t, has(t, l, "a"))
		})
	})

	t.Run("cancelled by the operation itself, its answer counts", func(t *testing.T) {
		l := newLoop(t, Options{})
		for i := range 1000 { // select would pick the context every other time
			id := store.RuntimeID(fmt.Sprint(i))
			ctx, cancel := context.WithCancel(t.Context())
			require.NoError(t, runTestOp(ctx, l, id, cancel))
			require.True(t, has(t, l, id))
		}
	})

	t.Run("a deadline passes while it is queued", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{})
			g := hold(t.Context(), l, "held")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			require.ErrorIs(t, l.PersistRuntimeState(ctx, "a", store.RuntimeIdle), context.DeadlineExceeded)
			assert.Equal(t, time.Minute, time.Since(began))
			close(g.open)
			require.NoError(t, <-g.err)
			assert.False(t, has(t, l, "a"))
		})
	})

	// A context must have an error once it is done. One that has none must
	// not make a call that never ran look like one that did.
	t.Run("a context of the caller's own making", func(t *testing.T) {
		for name, err := range map[string]error{"no error": nil, "one that cannot be compared": sliceError{"x"}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLoop(t, Options{})
					g := hold(t.Context(), l, "held")
					ctx := ownContext{t.Context(), make(chan struct{}), err}
					close(ctx.done)
					got := l.PersistRuntimeState(ctx, "a", store.RuntimeIdle)
					require.Error(t, got)
					if err != nil {
						assert.ErrorContains(t, got, "x")
					}
					close(g.open)
					require.NoError(t, <-g.err)
					assert.False(t, has(t, l, "a"))
				})
			})
		}
	})

	t.Run("a thousand callers cancel at random", func(t *testing.T) {
		for _, inbox := range []int{1, 2000} {
			cancelAtRandom(t, inbox)
		}
	})
}

// A sender that comes too late gives back its room: the owner may never come to its
// request, and others may wait for that room.
func TestALateSenderGivesBackItsRoom(t *testing.T) {
	l := prepare(Options{BytesInFlight: 10})
	l.phase.Store(ended)
	r := &request{answer: make(chan error, 1)}
	require.True(t, l.intake.room.TryAcquire(10))
	r.taken.Store(10)
	require.ErrorIs(t, r.handOff(t.Context(), l), store.ErrClosed)
	assert.True(t, l.intake.room.TryAcquire(10))
}

// Close waits for the goroutines that wake those who wait for the end of views.
func TestClosingWaitsForWakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{})
		l.wakers.Add(1)
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		assert.Empty(t, closed)
		l.wakers.Done()
		require.NoError(t, <-closed)
	})
}

type ownContext struct {
	context.Context
	done chan struct{}
	err  error
}

func (c ownContext) Done() <-chan struct{} { return c.done }
func (c ownContext) Err() error            { return c.err }

type sliceError []string

func (e sliceError) Error() string { return e[0] }

// cancelAtRandom lets callers cancel at any moment of their call, and compares
// what is stored with what was acknowledged.
func cancelAtRandom(t *testing.T, inbox int) {
	l := newLoop(t, Options{InboxSize: inbox})
	const callers, calls = 1000, 5
	var mu sync.Mutex
	acknowledged := map[store.InputID]bool{}
	var g errgroup.Group
	for range callers {
		g.Go(func() error {
			for range calls {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(8) > 0 { // the others are patient, so that some are acknowledged
					go yield(rand.IntN(100), cancel)
				}
				state := store.NewInputState(store.NewInputID(), store.Time{})
				err := l.PersistInputState(ctx, "a", state)
				cancel()
				switch {
				case err == nil:
					mu.Lock()
					acknowledged[state.InputID] = true
					mu.Unlock()
				case !errors.Is(err, context.Canceled):
					return err
				}
				// Now and then the owner is slow, and requests wait for it.
				if rand.IntN(10) == 0 {
					err = runTestOp(t.Context(), l, "slow", func() { yield(rand.IntN(100), func() {}) })
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	stored := map[store.InputID]bool{}
	states, err := l.LoadInputStates(t.Context(), "a")
	require.NoError(t, err)
	for _, s := range states {
		stored[s.InputID] = true
	}
	require.Equal(t, acknowledged, stored)
	assert.NotEmpty(t, acknowledged)
	assert.Less(t, len(acknowledged), callers*calls, "some were cancelled in time")
}

// yield lets others run n times, and then calls then.
func yield(n int, then func()) {
	for range n {
		runtime.Gosched()
	}
	then()
}

// A recycled request must not carry an answer over to its next caller, nor be
// recycled while the owner can still reach it.
func TestRecycling(t *testing.T) {
	l := newLoop(t, Options{InboxSize: 4})
	var g errgroup.Group
	for caller := range 64 {
		g.Go(func() error {
			mine := store.NewInputState(store.NewInputID(), store.TimeOf(time.Unix(int64(caller), 0)))
			id := store.RuntimeID(fmt.Sprint(caller))
			if err := l.PersistInputState(t.Context(), id, mine); err != nil {
				return err
			}
			for i := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					go cancel()
				}
				got, ok, err := l.LoadInputState(ctx, id, mine.InputID)
				cancel()
				if errors.Is(err, context.Canceled) {
					continue
				}
				if err != nil || !ok || got.InputID != mine.InputID || got.CreatedAt != mine.CreatedAt {
					return fmt.Errorf("caller %d got %v %v %w", caller, got, ok, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
}

// A boundary commit goes on from the document that stands, which it sees without
// asking the owner; one that was deleted is not held by anybody.
func TestLookBeforePrepare(t *testing.T) {
	l := newLoop(t, Options{})
	assert.Nil(t, l.snapshots.Standing("a"))
	_, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.RunID{}))
	require.NoError(t, err)
	assert.Equal(t, document, l.snapshots.Standing("a").String())
	assert.EqualValues(t, 1, l.Stats().Operations[ops.KindCommitSessionBoundary].Done)
	_, err = l.DeleteRuntime(t.Context(), "a")
	require.NoError(t, err)
	assert.Nil(t, l.snapshots.Standing("a"))
}

// The owner has room for its answer even if the caller never comes for it.
func TestAnswerHasRoom(t *testing.T) {
	l := newLoop(t, Options{})
	for range 2 {
		r := newCall[struct{}, testOp, *testOp](l, testOp{id: "a", do: func() {}})
		l.serve(new(state.State), &r.request)
		require.NoError(t, <-r.answer)
		r.recycle(l)
	}
}

// Between calls a request holds nothing of its last caller's.
func TestRecycledRequestIsEmpty(t *testing.T) {
	l := newLoop(t, Options{})
	r := newCall[struct{}, testOp, *testOp](l, testOp{id: "a", do: func() {}})
	r.recycle(l)
	assert.Equal(t, testOp{}, r.value)
}
