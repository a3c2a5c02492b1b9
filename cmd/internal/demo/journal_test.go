package demo

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// play is a process that works on a journal.
func play(ctx context.Context, t *testing.T, engine journal.Engine, turns int) *Report {
	t.Helper()
	documents, err := ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	loop, err := loopstore.Open(t.Context(), engine, "", loopstore.Options{})
	require.NoError(t, err)
	defer func() { _ = loop.Close() }()
	return Run(ctx, Settings{Runtimes: 2, Callers: 1, Turns: turns, Documents: documents}, loop, io.Discard)
}

// killed is a process that ends after so many appends: the journal takes nothing
// more.
func killed(t *testing.T, inner journal.Engine, appends int) *Report {
	t.Helper()
	faulty := journaltest.NewFaulty(inner)
	faulty.Script(func(n int, _ journal.Batch) journaltest.Fault {
		if n < appends {
			return journaltest.Fault{}
		}
		return journaltest.Ambiguous(false)
	})
	return play(t.Context(), t, faulty, 9)
}

// eachKill calls do with a journal of a process that was killed, for each point
// at which it can be, or some of them.
func eachKill(t *testing.T, step int, do func(point int, engine journal.Engine)) {
	t.Helper()
	whole := play(t.Context(), t, journaltest.NewEngine(), 9)
	require.True(t, whole.OK, whole.Failures)
	require.Greater(t, whole.Journal.Appends, uint64(100))
	for point := 0; point < int(whole.Journal.Appends); point += step {
		engine := journaltest.NewEngine()
		require.False(t, killed(t, engine, point).OK)
		do(point, engine)
	}
}

// Also within what takes up what another process has left. In the end all turns
// are done, each once.
func TestGoesOnWhereverItWasKilled(t *testing.T) {
	eachKill(t, 1, func(point int, engine journal.Engine) {
		again := killed(t, engine, point%13)
		require.Zero(t, again.Verified[foundAgain].Failed, "%d: %v", point, again.Failures)
		r := play(t.Context(), t, engine, 9)
		require.True(t, r.OK, "%d: %v %v", point, r.Errors, r.Failures)
		require.Equal(t, 2*9, r.Verified[receipts].Checked, point)
		require.Equal(t, 2*(9+3), r.Verified[inputs].Checked, point)
		require.Equal(t, 2*2, r.Verified[sequences].Checked, point)
	})
}

// A turn that was begun is ended, also if no other is to be begun.
func TestEndsTheTurnsThatItFinds(t *testing.T) {
	eachKill(t, 1, func(point int, engine journal.Engine) {
		r := play(t.Context(), t, engine, 1)
		require.True(t, r.OK, "%d: %v %v", point, r.Errors, r.Failures)
		loop, err := loopstore.Open(t.Context(), engine, "", loopstore.Options{})
		require.NoError(t, err)
		for summary, err := range loop.Runtimes(t.Context(), state.Listing{}) {
			require.NoError(t, err)
			require.Equal(t, summary.Held.InputStates, summary.Ended, point)
			require.Equal(t, store.RuntimeStopped, summary.RuntimeState, point)
		}
		require.NoError(t, loop.Close())
	})
}

// A runtime that is not taken up before the time ends is left as it is.
func TestLeavesWhatItHasNoTimeFor(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	eachKill(t, 7, func(point int, engine journal.Engine) {
		r := play(ended, t, engine, 9)
		require.Empty(t, r.Failures, point)
		require.Zero(t, r.Journal.Appends, point)
	})
}
