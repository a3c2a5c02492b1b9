package lincheck_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// A restarting store is a durable loop that is replaced after every so many calls. The
// next loop opens the journal after a Close, or while the old one is still open, which
// fences the old one. A call that gets ErrClosed or ErrFenced was not applied, and is
// made again.
type restarting struct {
	ops.Forward
	engine  journal.Engine
	current atomic.Pointer[loopstore.Loop]
	calls   atomic.Int64
	opened  *atomic.Int64
	turn    chan struct{}         // held by the call that replaces the loop
	failed  atomic.Pointer[error] // of a loop that could not be opened
	opts    loopstore.Options
	t       testing.TB
}

const (
	callsBetweenRestarts = 300
	restartingVersions   = 2
)

func newRestarting(t testing.TB, opened *atomic.Int64, cfg lincheck.Config) *restarting {
	s := &restarting{engine: journaltest.NewEngine(), opened: opened, opts: optionsOf(cfg), turn: make(chan struct{}, 1), t: t}
	s.Forward = s.try
	s.open()
	return s
}

func (s *restarting) open() {
	s.opts.InboxSize = 4
	l, err := loopstore.Open(context.WithoutCancel(s.t.Context()), s.engine, "", s.opts)
	if err != nil {
		s.failed.Store(&err)
		return
	}
	s.current.Store(l)
	s.opened.Add(1)
}

// restart replaces the loop, unless another call does so.
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

// try makes a call on the loop that there is.
func (s *restarting) try(ctx context.Context, call ops.Call) error {
	if s.calls.Add(1)%callsBetweenRestarts == 0 {
		s.restart()
	}
	return s.on(func(l *loopstore.Loop) error { return call.On(ctx, l) })
}

// ClaimNext waits on the next loop if one ends meanwhile.
func (s *restarting) ClaimNext(ctx context.Context, claim store.Claim) (claimed state.Claimed, err error) {
	err = s.on(func(l *loopstore.Loop) (err error) {
		claimed, err = l.ClaimNext(ctx, claim)
		return err
	})
	return claimed, err
}

// Changes goes on from the last cursor with the next loop if one ends.
func (s *restarting) Changes(ctx context.Context, after state.ChangeCursor) iter.Seq2[state.Change, error] {
	return func(yield func(state.Change, error) bool) {
		err := s.on(func(l *loopstore.Loop) error {
			for change, err := range l.Changes(ctx, after) {
				if err != nil {
					return err
				}
				if after = change.Cursor; !yield(change, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(state.Change{}, err)
		}
	}
}

func (s *restarting) ChangesCursor(ctx context.Context) (after state.ChangeCursor, err error) {
	err = s.on(func(l *loopstore.Loop) (err error) {
		after, err = l.ChangesCursor(ctx)
		return err
	})
	return after, err
}

// on makes a call, and makes it again while the loop is closed or fenced.
func (s *restarting) on(call func(*loopstore.Loop) error) error {
	for {
		if failed := s.failed.Load(); failed != nil {
			return *failed
		}
		err := call(s.current.Load())
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, journal.ErrFenced) {
			return err
		}
	}
}

func (s *restarting) Close() error {
	if l := s.current.Load(); l != nil {
		return l.Close()
	}
	return nil
}

// TestLinearizableAcrossRestarts checks durable loops that are replaced while they are
// called.
func TestLinearizableAcrossRestarts(t *testing.T) {
	for name, cfg := range map[string]lincheck.Config{"plain": {Versions: restartingVersions}, "with unique keys and tombstones": keepingAll} {
		t.Run(name, func(t *testing.T) { checkRestarting(t, cfg) })
	}
}

func checkRestarting(t *testing.T, cfg lincheck.Config) {
	cfg.Histories, cfg.Spanning, cfg.Record = histories/4, histories/4, record
	var opened atomic.Int64
	stats := lincheck.Check(t, func() store.RuntimeStore { return newRestarting(t, &opened, cfg) }, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
	assert.Greater(t, int(opened.Load()), 5*cfg.Histories)
	assert.Positive(t, stats.CancelledUnderWay)
	assert.Positive(t, stats.Batches)
	assert.Positive(t, stats.Views)
}

// TestLinearizableDurable checks loops with readers whose appends take a moment, so that
// rounds gather many calls and loads run beside them. Rounds on several runtimes are
// rejected, and then made again call by call.
func TestLinearizableDurable(t *testing.T) {
	cfg := lincheck.Config{Histories: histories / 4, Spanning: histories / 4, Importing: histories / 10, Reader: reader, Record: record}
	opened, rejected := 0, 0
	stats := lincheck.Check(t, func() store.RuntimeStore {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		spans := opened >= cfg.Histories // then one call may write several runtimes
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
		l, err := loopstore.Open(t.Context(), faulty, "", loopstore.Options{})
		require.NoError(t, err)
		return l
	}, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning+cfg.Importing, stats.Histories)
	assert.Positive(t, rejected)
}
