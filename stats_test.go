package loopstore

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// timingAll are options with which every operation is timed.
var timingAll = Options{Logger: slog.New(slog.DiscardHandler), SlowThreshold: math.MaxInt64}

// An operation that has returned is counted, once, and so is an error. What is
// held is what a State holds that has seen the same.
func TestObservingCountsWhatHasReturned(t *testing.T) {
	l := newLoop(t, Options{})
	var plain state.State
	assert.Equal(t, store.Totals{}, l.Stats().Held)

	commit := commitOf(store.NewRunID())
	_, err := l.CommitSessionBoundary(t.Context(), "a", commit)
	require.NoError(t, err)
	_, err = ops.Run(&plain, ops.CommitSessionBoundary{RuntimeID: "a", Commit: commit})
	require.NoError(t, err)
	assert.Equal(t, plain.Totals(), l.Stats().Held)

	input := store.NewInputState(store.NewInputID(), store.Time{})
	for i := range 100 {
		id := store.RuntimeID("abc"[i%3 : i%3+1])
		input.InputID[0] = byte(i)
		require.NoError(t, l.PersistInputState(t.Context(), id, input))
		_, err = ops.Run(&plain, ops.PersistInputState{RuntimeID: id, State: input})
		require.NoError(t, err)
		assert.Equal(t, plain.Totals(), l.Stats().Held)
	}
	_, err = l.DeleteRuntime(t.Context(), "b")
	require.NoError(t, err)
	_, err = ops.Run(&plain, ops.DeleteRuntime{RuntimeID: "b"})
	require.NoError(t, err)

	assert.Equal(t, plain.Totals(), l.Stats().Held)

	require.Error(t, l.PersistRuntimeState(t.Context(), "a", "nonsense"))                                   // refused by its caller
	_, err = l.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: "x"}}}) // and by the owner
	require.ErrorIs(t, err, store.ErrConflict)
	s := l.Stats()
	assert.Equal(t, plain.Totals(), s.Held)
	assert.Equal(t, Operations{Done: 1}, s.Operations[ops.KindCommitSessionBoundary])
	assert.Equal(t, Operations{Done: 100}, s.Operations[ops.KindPersistInputState])
	assert.Equal(t, Operations{Errors: 1}, s.Operations[ops.KindPersistRuntimeState])
	assert.Equal(t, Operations{Conflicts: 1}, s.Operations[ops.KindCommit])
	assert.Equal(t, Operations{}, s.Operations[ops.KindLoadView])
	assert.Len(t, s.Operations, int(ops.NumKinds))

	for _, id := range []store.RuntimeID{"a", "c"} {
		_, err = l.DeleteRuntime(t.Context(), id)
		require.NoError(t, err)
	}
	assert.Equal(t, store.Totals{}, l.Stats().Held)
}

// Stats asks nothing of the owner.
func TestStatsWhileTheOwnerIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{InboxSize: 2})
		g := hold(t.Context(), l, "held")
		errs := make(chan error, 5)
		for range 5 {
			go func() { errs <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
		}
		synctest.Wait()
		s := l.Stats()
		assert.Equal(t, []int{2, 2, 2, 3}, []int{s.InboxSize, s.InboxLength, s.InboxHighest, s.Waiting})
		assert.True(t, s.Serving)
		assert.Zero(t, s.Operations[ops.KindPersistRuntimeState])
		close(g.open)
		for range 5 {
			require.NoError(t, <-errs)
		}
		require.NoError(t, <-g.err)
		require.NoError(t, l.Close())
		s = l.Stats()
		assert.Equal(t, []int{2, 0, 2, 0}, []int{s.InboxSize, s.InboxLength, s.InboxHighest, s.Waiting})
		assert.EqualValues(t, 6, s.Operations[ops.KindPersistRuntimeState].Done)
		assert.False(t, s.Serving, "it has been closed")
		assert.Equal(t, 1, s.Held.Runtimes-1, "and says what it held: two runtimes")
	})
}

// In a bubble times are exact.
func TestStatsTellTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, timingAll)
		assert.Nil(t, l.Stats().Slowest)
		assert.Zero(t, l.Stats().Saturation)
		time.Sleep(20 * time.Second)
		began := time.Now()
		waited := make(chan error)
		go func() { waited <- runTestOp(t.Context(), l, "a", func() { time.Sleep(3 * time.Second) }) }()
		synctest.Wait()
		require.NoError(t, runTestOp(t.Context(), l, "b", func() { time.Sleep(time.Second) }))
		require.NoError(t, <-waited)

		s := l.Stats()
		assert.Equal(t, 24*time.Second, s.Uptime)
		assert.Equal(t, 4*time.Second, s.Busy)
		assert.Equal(t, 3*time.Second, s.Wait)
		assert.InDelta(t, 4./9, s.Saturation, 1e-9, "of nine full seconds and the one that begins")
		assert.Equal(t, &Slow{Kind: ops.KindPersistRuntimeState, Took: 3 * time.Second, At: began.Add(3 * time.Second)}, s.Slowest)
		assert.EqualValues(t, 2, s.Timed)
		assert.EqualValues(t, 1, s.WaitP50)
		assert.Greater(t, s.WaitP99, 3*time.Second)
		assert.LessOrEqual(t, s.WaitP99, 6*time.Second)

		time.Sleep(10 * time.Second)
		s = l.Stats()
		assert.Zero(t, s.Saturation, "no longer recent")
		assert.Nil(t, s.Slowest)
		assert.Zero(t, s.WaitP99)
		assert.Equal(t, 4*time.Second, s.Busy, "for ever")

		for range 25 { // the ring goes round
			require.NoError(t, runTestOp(t.Context(), l, "a", func() { time.Sleep(500 * time.Millisecond) }))
			time.Sleep(500 * time.Millisecond)
		}
		assert.InDelta(t, 0.5, l.Stats().Saturation, 0.01)
		s = l.Stats()
		assert.Equal(t, 16500*time.Millisecond, s.Busy)
		assert.Equal(t, 500*time.Millisecond, s.Slowest.Took, "nothing is left of the slower one")
		assert.EqualValues(t, 1, s.WaitP99)

		for _, took := range []time.Duration{600 * time.Millisecond, 100 * time.Millisecond} { // in one second
			require.NoError(t, runTestOp(t.Context(), l, "a", func() { time.Sleep(took) }))
		}
		assert.Equal(t, 600*time.Millisecond, l.Stats().Slowest.Took)
	})
}

// A longOp is of a kind that may take the owner long.
type longOp struct{ testOp }

func (longOp) Kind() ops.Kind { return ops.KindCommit }

// An operation that may take long is timed at once, and while it is under way.
func TestStatsTellOfALongOperationUnderWay(t *testing.T) {
	for name, end := range map[string]func(){"it ends": func() {}, "it panics": func() { panic("half way") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Options{})
				open := make(chan struct{})
				errs := make(chan error, 1)
				time.Sleep(time.Minute)
				go func() {
					_, err := do[ops.None, longOp, *longOp](t.Context(), l, longOp{testOp{id: "a", do: func() { <-open; end() }}})
					errs <- err
				}()
				time.Sleep(15 * time.Second)
				s := l.Stats()
				assert.InDelta(t, 1, s.Saturation, 0)
				assert.Zero(t, s.Busy, "it has not ended")
				assert.Equal(t, &Slow{Kind: ops.KindCommit, Took: 15 * time.Second, At: time.Now()}, s.Slowest)
				close(open)
				failed := <-errs != nil
				time.Sleep(time.Second)
				if !failed {
					assert.Equal(t, 15*time.Second, l.Stats().Busy, "it has ended")
				}
				_ = l.Close()
				time.Sleep(5 * time.Second)
				s = l.Stats()
				if failed {
					assert.Zero(t, s.Busy, "how long it took is not known")
				} else {
					assert.Equal(t, 15*time.Second, s.Busy)
					assert.EqualValues(t, 1, s.Timed)
				}
			})
		})
	}
}

// What is sampled under load adds up.
func TestStatsSample(t *testing.T) {
	l := newLoop(t, Options{})
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 10_000 {
				if _, _, err := l.LoadRuntimeState(t.Context(), "a"); err != nil {
					return err
				}
				if s := l.Stats(); s.Saturation > 1 || s.WaitP50 > s.WaitP99 {
					t.Errorf("%+v", s)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	s := l.Stats()
	assert.EqualValues(t, 80_000, s.Operations[ops.KindLoadRuntimeState].Done)
	assert.InEpsilon(t, 80_000/64, s.Timed, 0.5)
	assert.NotNil(t, s.Slowest)
	assert.NotZero(t, s.Busy)
	assert.NotZero(t, s.Wait)
}

// Every field has a name of its own in JSON, and every operation its name.
func TestStatsAsJSON(t *testing.T) {
	l := newLoop(t, timingAll)
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	text, err := json.Marshal(l.Stats())
	require.NoError(t, err)
	var got struct {
		Operations map[string]map[string]int
		Slowest    struct{ Kind string }
		InboxSize  int   `json:"inbox_size"`
		Uptime     int64 `json:"uptime_ns"`
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, map[string]int{"done": 1, "errors": 0, "conflicts": 0}, got.Operations["persist_runtime_state"])
	assert.Equal(t, "persist_runtime_state", got.Slowest.Kind)
	assert.Equal(t, defaultInboxSize, got.InboxSize)
	assert.Positive(t, got.Uptime)
}

// However it is asked for, a time never goes back, nor comes out of nowhere.
func TestStatsUnderLoad(t *testing.T) {
	l := newLoop(t, Options{})
	var all batch.Batch
	for i := range byte(50) {
		all.Then = append(all.Then, batch.PutInputState{RuntimeID: "a", State: store.NewInputState(store.InputID{i}, store.Time{})})
	}
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for range 1000 {
				_, err := l.Commit(t.Context(), all)
				assert.NoError(t, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	var busy time.Duration
	for {
		s := l.Stats()
		require.GreaterOrEqual(t, s.Busy, busy)
		busy = s.Busy
		if s.Slowest != nil {
			require.Less(t, s.Slowest.Took, time.Hour)
			require.GreaterOrEqual(t, s.Slowest.Took, time.Duration(0))
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// What is refused before the owner hears of it is counted too, under the operation
// that its error names.
func TestStatsCountWhatIsRefusedEarly(t *testing.T) {
	l := newLoop(t, Options{})
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := l.WouldPrune(t.Context(), "a", store.Retention{Runs: -1})
	require.ErrorIs(t, err, store.ErrInvalidValue)
	for _, err := range l.Watch(ended, "a", 0) {
		require.ErrorIs(t, err, context.Canceled)
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		for _, err := range l.Watch(ctx, "a", 0) { // there is nothing to see: it ends while it waits
			require.ErrorIs(t, err, context.Canceled)
		}
		assert.Equal(t, Operations{Done: 1, Errors: 1}, l.Stats().Operations[ops.KindLoadView])
	})
	s := l.Stats()
	assert.Equal(t, Operations{Errors: 1}, s.Operations[ops.KindPrune])
	assert.Equal(t, Operations{Errors: 1}, s.Operations[ops.KindLoadView])
}
