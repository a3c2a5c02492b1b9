package measure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// sleeping returns a bench whose calls take so long.
func sleeping(callers int, took time.Duration) *bench {
	return &bench{callers: callers, call: func(context.Context, int, int) error {
		time.Sleep(took)
		return nil
	}}
}

func TestCallsTakeAboutTheGoal(t *testing.T) {
	for _, c := range []struct {
		callers     int
		took        time.Duration
		calls, done int
		nsPerOp     float64
	}{
		{1, time.Millisecond, 100, 100, 1e6},
		{1, time.Microsecond, 100_000, 100_000, 1e3},
		{10, time.Millisecond, 990, 99, 1e5}, // ten at once; within a tenth of the goal
		{1, time.Hour, 1, 1, 3.6e12},         // at least once
	} {
		synctest.Test(t, func(t *testing.T) {
			b := sleeping(c.callers, c.took)
			s, err := b.measure(t.Context(), 100*time.Millisecond)
			require.NoError(t, err)
			require.InDelta(t, c.calls, s.Calls, float64(c.callers))
			require.InDelta(t, c.done, b.done, 1)
			require.Equal(t, Time, s.Values[0].Unit)
			require.InDelta(t, c.nsPerOp, s.Values[0].Amount, 1)
		})
	}
}

func TestASlowFirstCallDoesNotEndItEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{callers: 1, call: func(_ context.Context, _, i int) error {
			time.Sleep(time.Millisecond)
			if i == 0 {
				time.Sleep(9 * time.Millisecond)
			}
			return nil
		}}
		s, err := b.measure(t.Context(), 100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 1+9+42+33, s.Calls, "94 ms, near enough to the goal")
	})
}

func TestRenewingIsNotMeasuredAndDoesNotLastForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sleeping(1, time.Millisecond)
		renewed := 0
		b.span, b.renew = 3, func(context.Context) error {
			require.Zero(t, b.done%3, "there are calls left")
			renewed++
			time.Sleep(50 * time.Millisecond)
			return nil
		}
		s, err := b.measure(t.Context(), 100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 4, renewed, "twice the goal is over then")
		require.Equal(t, 12, s.Calls)
		require.EqualValues(t, 1e6, s.Values[0].Amount)
	})
}

func TestCallsAreCountedOnFromOneRoundToTheNext(t *testing.T) {
	var last atomic.Int64
	last.Store(-1)
	b := &bench{callers: 1, call: func(_ context.Context, _, i int) error {
		require.EqualValues(t, i, last.Add(1))
		return nil
	}}
	for range 3 {
		_, err := b.measure(t.Context(), time.Millisecond)
		require.NoError(t, err)
	}
}

func TestAllocationsAreCounted(t *testing.T) {
	var sink []byte
	b := &bench{callers: 1, call: func(context.Context, int, int) error {
		sink = make([]byte, 4096)
		return nil
	}}
	s, err := b.measure(t.Context(), 20*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, sink, 4096)
	require.InDelta(t, 4096, s.Values[1].Amount, 1000)
	require.InDelta(t, 1, s.Values[2].Amount, 0.5)
}

func TestTheErrorOfACallerEndsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	b := &bench{callers: 8, call: func(ctx context.Context, caller, _ int) error {
		if caller == 7 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	_, err := b.measure(t.Context(), time.Millisecond)
	require.ErrorIs(t, err, broken, "not that of those who were ended")
}

func TestACancellationIsNotTheReason(t *testing.T) {
	broken := errors.New("broken")
	require.NoError(t, firstReal())
	require.NoError(t, firstReal(nil, nil))
	require.Equal(t, broken, firstReal(context.Canceled, nil, broken, context.Canceled))
	require.Equal(t, broken, firstReal(broken, context.Canceled, errors.New("later")))
	require.Equal(t, context.Canceled, firstReal(nil, context.Canceled))
}

// A slow store loads in one and commits in three milliseconds.
type slow struct{ store.RuntimeStore }

func (slow) LoadRuntimeState(context.Context, store.RuntimeID) (store.RuntimeState, bool, error) {
	time.Sleep(time.Millisecond)
	return store.RuntimeIdle, true, nil
}

func (slow) CommitSessionBoundary(context.Context, store.RuntimeID, store.BoundaryCommit) (r store.RunBoundaryReceipt, err error) {
	time.Sleep(3 * time.Millisecond)
	return r, nil
}

func TestReadsAreMeasuredFromTheirCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{store: slow{}}
		s, err := b.readWhileCommitting(t.Context(), 15*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, Sample{Calls: 100, Values: []Value{ // 120 ms, each with its pause 1.2 ms
			{Time, 1e6}, {"p50-ns/op", 1e6}, {"p99-ns/op", 1e6}, {"max-ns/op", 1e6}, {"commit-ns/op", 3e6},
		}}, s)
	})
}

func TestQuantiles(t *testing.T) {
	var took []time.Duration
	for i := range 101 {
		took = append(took, time.Duration(100-i))
	}
	require.Equal(t, Sample{Calls: 101, Values: []Value{
		{Time, 50}, {"p50-ns/op", 50}, {"p99-ns/op", 99}, {"max-ns/op", 100}, {"commit-ns/op", 7},
	}}, latencies(took, 7))
}

func TestCPUModel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpuinfo")
	require.Empty(t, cpuModel(file))
	require.NoError(t, os.WriteFile(file, []byte("processor\t: 0\n"), 0o600))
	require.Empty(t, cpuModel(file))
	require.NoError(t, os.WriteFile(file, []byte("processor\t: 0\nmodel name\t: Fast 1: x\nmodel name\t: Other\n"), 0o600))
	require.Equal(t, "Fast 1: x", cpuModel(file))
}
