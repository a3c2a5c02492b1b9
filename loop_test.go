package loopstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A testOp is an operation that only tests can make. It writes a runtime
// state, and does in the owner what the test wants.
type testOp struct {
	id      store.RuntimeID
	do      func()
	prepare func() // may be nil
}

func (testOp) Kind() ops.Kind                      { return ops.KindPersistRuntimeState }
func (op testOp) Runtime() (store.RuntimeID, bool) { return op.id, true }
func (*testOp) Answer() ops.None                   { return ops.None{} }
func (*testOp) Weigh() ops.Weight                  { return ops.Weight{} }
func (op *testOp) Prepare(ops.Standing) error {
	if op.prepare != nil {
		op.prepare()
	}
	return nil
}

func (op *testOp) Apply(s *state.State) error {
	op.do()
	s.PutRuntimeState(op.id, store.RuntimeRunning)
	return nil
}

func runTestOp(ctx context.Context, l *Loop, id store.RuntimeID, do func()) error {
	_, err := doTestOp(ctx, l, testOp{id: id, do: do})
	return err
}

func doTestOp(ctx context.Context, l *Loop, op testOp) (ops.None, error) {
	return do[ops.None, testOp, *testOp](ctx, l, op)
}

// A gate is an operation that the owner is in until it is opened.
type gate struct {
	open chan struct{}
	err  chan error // what its call returned
}

// hold sends a gate to the owner and returns when the owner is in it. Only in
// a bubble.
func hold(ctx context.Context, l *Loop, id store.RuntimeID) *gate {
	g := &gate{open: make(chan struct{}), err: make(chan error, 1)}
	go func() { g.err <- runTestOp(ctx, l, id, func() { <-g.open }) }()
	synctest.Wait()
	return g
}

func newLoop(t *testing.T, opts Options) *Loop {
	l := New(opts)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

// has reports whether a runtime state is stored.
func has(t *testing.T, l *Loop, id store.RuntimeID) bool {
	_, ok, err := l.LoadRuntimeState(t.Context(), id)
	require.NoError(t, err)
	return ok
}

const document = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[{"role":"user","content":"hello"}],` +
	`"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`

func commitOf(run store.RunID) store.BoundaryCommit {
	return store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: []byte(document)},
		RunID:   run, Boundary: store.RunStart,
	}
}

// Sequences are minted in an order that agrees with the clock: a commit that
// began after another had returned has a higher one, and reads see the last.
func TestLinearizable(t *testing.T) {
	l := newLoop(t, Options{})
	const callers, commits = 16, 50
	run := store.NewRunID()
	var clock atomic.Int64
	type span struct{ began, ended int64 }
	spans := make([]span, callers*commits)

	var g errgroup.Group
	for range callers {
		g.Go(func() error {
			for range commits {
				began := clock.Add(1)
				receipt, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(run))
				if err != nil {
					return err
				}
				spans[receipt.Sequence] = span{began, clock.Add(1)}
				_, ok, err := l.LoadBoundaryReceipt(t.Context(), "a", run, receipt.Sequence)
				if err != nil || !ok {
					return fmt.Errorf("receipt %d is not there after its commit: %w", receipt.Sequence, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	var latest int64 // when the last of those so far began
	for sequence, s := range spans {
		require.NotZero(t, s.ended, "sequence %d was not minted", sequence)
		require.Greater(t, s.ended, latest, "sequence %d ended before a lower one began", sequence)
		latest = max(latest, s.began)
	}
}

func TestClosing(t *testing.T) {
	t.Run("what was sent before is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{})
			g := hold(t.Context(), l, "held")
			errs := make(chan error, 10)
			for i := range 10 {
				go func() {
					errs <- l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle)
				}()
			}
			synctest.Wait()
			closed := make(chan error, 2)
			go func() { closed <- l.Close() }()
			go func() { closed <- l.Close() }()
			synctest.Wait()
			require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "late", store.RuntimeIdle), store.ErrClosed)
			require.Empty(t, closed, "Close returned before the owner ended")
			close(g.open)
			for range 10 {
				require.NoError(t, <-errs)
			}
			require.NoError(t, <-g.err)
			require.NoError(t, <-closed)
			require.NoError(t, <-closed)
		})
	})

	t.Run("twice, and calls after it", func(t *testing.T) {
		l := New(Options{})
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		_, _, err := l.LoadRuntimeState(t.Context(), "a")
		require.ErrorIs(t, err, store.ErrClosed)
		var e *store.OpError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, store.OpError{Op: "load_runtime_state", RuntimeID: "a", OnRuntime: true, Err: store.ErrClosed}, *e)
	})

	t.Run("with a full inbox", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{InboxSize: 1})
			g := hold(t.Context(), l, "held")
			errs := make(chan error, 5)
			for range 5 { // one has room, four wait for it
				go func() { errs <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
			}
			synctest.Wait()
			closed := make(chan error)
			go func() { closed <- l.Close() }()
			synctest.Wait()
			close(g.open)
			require.NoError(t, <-closed)
			applied := 0
			for range 5 {
				if err := <-errs; err == nil {
					applied++
				} else {
					require.ErrorIs(t, err, store.ErrClosed)
				}
			}
			assert.NotZero(t, applied, "the one in the inbox was taken")
		})
	})

	// A request that is sent when the owner has looked into the inbox for the
	// last time is refused by its own caller.
	t.Run("while calls are being prepared", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{InboxSize: 1})
			prepared := make(chan struct{})
			errs := make(chan error, 3)
			for range 3 { // one finds room in the inbox, two find it full
				go func() {
					_, err := doTestOp(t.Context(), l, testOp{
						id: "a", do: func() { t.Error("it ran") }, prepare: func() { <-prepared },
					})
					errs <- err
				}()
			}
			synctest.Wait()
			require.NoError(t, l.Close())
			require.NoError(t, l.Close())
			close(prepared)
			for range 3 {
				require.ErrorIs(t, <-errs, store.ErrClosed)
			}
		})
	})

	t.Run("under load, from several goroutines", func(t *testing.T) {
		for range 20 {
			closeUnderLoad(t)
		}
	})
}

// closeUnderLoad closes a loop while callers write, and compares what they
// were told with what an operation at the very end sees.
func closeUnderLoad(t *testing.T) {
	l := New(Options{InboxSize: 2})
	var applied, acknowledged atomic.Int64
	var g errgroup.Group
	for range 32 {
		g.Go(func() error {
			for {
				err := runTestOp(t.Context(), l, "a", func() { applied.Add(1) })
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				acknowledged.Add(1)
			}
		})
	}
	for acknowledged.Load() < 100 {
		_, _, err := l.LoadRuntimeState(t.Context(), "a")
		require.NoError(t, err)
	}
	for range 4 {
		g.Go(l.Close)
	}
	require.NoError(t, g.Wait())
	require.Equal(t, applied.Load(), acknowledged.Load())
}

func TestFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{InboxSize: 3})
		g := hold(t.Context(), l, "held")
		errs := make(chan error, 10)
		go func() { errs <- runTestOp(t.Context(), l, "bad", func() { panic("half way") }) }()
		synctest.Wait()
		others := make(chan error, 10)
		for range 10 { // some in the inbox, some before it
			go func() { others <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
		}
		synctest.Wait()
		close(g.open)

		require.NoError(t, <-g.err, "it was applied before the panic")
		var p *store.PanicError
		err := <-errs
		require.ErrorAs(t, err, &p)
		require.ErrorIs(t, err, store.ErrFailed)
		assert.Equal(t, "half way", p.Value)
		assert.Contains(t, p.Stack, "TestFailsClosed", "the stack leads to the panic")
		for range 10 {
			err := <-others
			require.ErrorIs(t, err, store.ErrFailed)
			var wrapped *store.PanicError
			require.ErrorAs(t, err, &wrapped)
			assert.Same(t, p, wrapped)
		}
		_, _, err = l.LoadRuntimeState(t.Context(), "held")
		require.ErrorIs(t, err, store.ErrFailed, "nothing is served any more")
		assert.Same(t, p, l.Close())
		assert.Same(t, p, l.Close())
	})
}

// A request whose caller has gone costs the owner nothing but a look.
func TestNeverBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{InboxSize: 1000})
		g := hold(t.Context(), l, "held")
		ctx, cancel := context.WithCancel(t.Context())
		var gone atomic.Int64
		for range 1000 {
			go func() {
				if errors.Is(l.PersistRuntimeState(ctx, "gone", store.RuntimeIdle), context.Canceled) {
					gone.Add(1)
				}
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.EqualValues(t, 1000, gone.Load(), "none of them waits for the owner")
		close(g.open)
		require.NoError(t, <-g.err)
		assert.False(t, has(t, l, "gone"), "none of them ran")
	})
}

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{InboxSize: 2})
		assert.Equal(t, 2, cap(l.inbox))
		g := hold(t.Context(), l, "held")
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- l.PersistRuntimeState(t.Context(), "in", store.RuntimeIdle) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error, 1)
		go func() { waiting <- l.PersistRuntimeState(ctx, "out", store.RuntimeIdle) }()
		synctest.Wait()
		require.Empty(t, waiting, "it waits for a place")
		cancel()
		require.ErrorIs(t, <-waiting, context.Canceled)
		close(g.open)
		require.NoError(t, <-g.err)
		require.NoError(t, <-errs)
		require.NoError(t, <-errs)
		assert.True(t, has(t, l, "in"))
		assert.False(t, has(t, l, "out"))
	})
	for _, size := range []int{0, -1} {
		l := newLoop(t, Options{InboxSize: size})
		assert.Equal(t, defaultInboxSize, cap(l.inbox))
	}
}

// In a bubble, Wait returns only when every goroutine of it is parked for
// good, and the clock stands still for as long as any is not. Requests that
// one bubble made must not turn up in the next.
func TestQuiet(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{})
			synctest.Wait()
			for i := range 10 {
				go func() { _ = l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle) }()
			}
			synctest.Wait()
			assert.True(t, has(t, l, "9"))
			synctest.Wait()
		})
	}
}
