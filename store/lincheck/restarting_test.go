package lincheck_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
)

// A restarting store is a durable loop that is opened again after every so many
// calls: after a Close, or by another owner that takes the journal away from it.
// A call that finds out was surely not applied, and is made again.
type restarting struct {
	engine  journal.Engine
	current atomic.Pointer[loopstore.Loop]
	calls   atomic.Int64
	opened  *atomic.Int64
	turn    chan struct{} // of who opens it
	t       testing.TB
}

const callsBetweenRestarts = 300

func newRestarting(t testing.TB, opened *atomic.Int64) *restarting {
	s := &restarting{engine: journaltest.NewEngine(), opened: opened, turn: make(chan struct{}, 1), t: t}
	s.open()
	return s
}

func (s *restarting) open() {
	l, err := loopstore.Open(context.WithoutCancel(s.t.Context()), loopstore.Options{Journal: s.engine, InboxSize: 4})
	assert.NoError(s.t, err)
	s.current.Store(l)
	s.opened.Add(1)
}

// restart opens the store again, unless another call does.
func (s *restarting) restart() {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return
	}
	if old := s.current.Load(); s.opened.Load()%2 == 0 {
		_ = old.Close()
		s.open()
	} else {
		s.open()
		_ = old.Close()
	}
}

// do makes a call, and makes it again while it finds the store at its end.
func do[R any](s *restarting, call func(*loopstore.Loop) (R, error)) (R, error) {
	if s.calls.Add(1)%callsBetweenRestarts == 0 {
		s.restart()
	}
	for {
		r, err := call(s.current.Load())
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, journal.ErrFenced) {
			return r, err
		}
	}
}

// A found value is what a load returns besides its error.
type found[T any] struct {
	value T
	ok    bool
}

func load[T any](s *restarting, call func(*loopstore.Loop) (T, bool, error)) (T, bool, error) {
	f, err := do(s, func(l *loopstore.Loop) (found[T], error) {
		value, ok, err := call(l)
		return found[T]{value, ok}, err
	})
	return f.value, f.ok, err
}

func write(s *restarting, call func(*loopstore.Loop) error) error {
	_, err := do(s, func(l *loopstore.Loop) (struct{}, error) { return struct{}{}, call(l) })
	return err
}

func (s *restarting) Close() error { return s.current.Load().Close() }

func (s *restarting) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return do(s, func(l *loopstore.Loop) (store.RunBoundaryReceipt, error) { return l.CommitSessionBoundary(ctx, id, c) })
}

func (s *restarting) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	return write(s, func(l *loopstore.Loop) error { return l.AtomicApply(ctx, id, a) })
}

func (s *restarting) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return do(s, func(l *loopstore.Loop) ([]store.InputState, error) { return l.LoadInputStates(ctx, id) })
}

func (s *restarting) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	return load(s, func(l *loopstore.Loop) (store.InputState, bool, error) { return l.LoadInputState(ctx, id, input) })
}

func (s *restarting) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	return load(s, func(l *loopstore.Loop) (store.RunBoundaryReceipt, bool, error) {
		return l.LoadBoundaryReceipt(ctx, id, run, sequence)
	})
}

func (s *restarting) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	return load(s, func(l *loopstore.Loop) ([]byte, bool, error) { return l.LoadSessionSnapshot(ctx, id) })
}

func (s *restarting) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return load(s, func(l *loopstore.Loop) (store.RuntimeState, bool, error) { return l.LoadRuntimeState(ctx, id) })
}

func (s *restarting) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	return write(s, func(l *loopstore.Loop) error { return l.PersistInputState(ctx, id, state) })
}

func (s *restarting) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return write(s, func(l *loopstore.Loop) error { return l.PersistRuntimeState(ctx, id, state) })
}

func (s *restarting) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	return write(s, func(l *loopstore.Loop) error { return l.AtomicLifecycleCommit(ctx, id, c) })
}

func (s *restarting) Commit(ctx context.Context, b store.Batch) (store.BatchResult, error) {
	return do(s, func(l *loopstore.Loop) (store.BatchResult, error) { return l.Commit(ctx, b) })
}

func (s *restarting) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return do(s, func(l *loopstore.Loop) (*store.View, error) { return l.View(ctx, id) })
}

// TestLinearizableAcrossRestarts checks durable loops that end and are opened
// again while they are called.
func TestLinearizableAcrossRestarts(t *testing.T) {
	cfg := lincheck.Config{Histories: histories / 4, Spanning: histories / 4}
	var opened atomic.Int64
	stats := lincheck.Check(t, func() store.RuntimeStore { return newRestarting(t, &opened) }, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
	assert.Greater(t, int(opened.Load()), 5*cfg.Histories)
	assert.Positive(t, stats.CancelledUnderWay)
	assert.Positive(t, stats.Batches)
	assert.Positive(t, stats.Views)
}

// TestLinearizableDurable checks loops whose appends take a moment, so that
// rounds gather many calls and loads come beside them, with readers. Rounds of
// several runtimes are rejected, and made again call by call.
func TestLinearizableDurable(t *testing.T) {
	cfg := lincheck.Config{Histories: histories / 4, Spanning: histories / 4, Reader: reader}
	opened, rejected := 0, 0
	stats := lincheck.Check(t, func() store.RuntimeStore {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		spans := opened >= cfg.Histories // then one call may be of several runtimes
		opened++
		faulty.Script(func(_ int, b journal.Batch) (f journaltest.Fault) {
			for range len(b.Changes) {
				runtime.Gosched()
			}
			heads := 0
			for _, c := range b.Changes {
				if !c.Delete && len(c.Key) == 10 && c.Key[0] == 1 && c.Key[9] == 0 {
					heads++
				}
			}
			if heads > 1 && !spans {
				f = journaltest.Reject()
				rejected++
			}
			return f
		})
		l, err := loopstore.Open(t.Context(), loopstore.Options{Journal: faulty})
		require.NoError(t, err)
		return l
	}, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
	assert.Positive(t, rejected)
}
