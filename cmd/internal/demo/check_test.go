package demo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// A past is a workload that has run to its end, on a loop.
type past struct {
	*workload
	loop *loopstore.Loop
}

func played(t *testing.T) past {
	t.Helper()
	documents, err := ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	loop := loopstore.New(loopstore.Options{})
	t.Cleanup(func() { require.NoError(t, loop.Close()) })
	w := newWorkload(Settings{Runtimes: 4, Turns: 12, Callers: 2, Documents: documents}, func(int) store.RuntimeStore { return loop })
	require.NoError(t, w.run(t.Context()))
	return past{w, loop}
}

// failing names the checks that fail, and says why.
func failing(t *testing.T, w past) (names []string, why string) {
	t.Helper()
	c := newChecker(w.loop)
	c.all(t.Context(), w.agents)
	names = []string{}
	for _, k := range c.checks {
		if k.Failed > 0 {
			names = append(names, k.Name)
		}
	}
	require.Equal(t, len(names) > 0, c.failed())
	require.Equal(t, len(names) > 0, len(c.failures) > 0)
	return names, strings.Join(c.failures, "\n")
}

func TestCheckerCatchesTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(t *testing.T, loop *loopstore.Loop, r *account)
		caught []string
		why    string
	}{
		"nothing": {func(*testing.T, *loopstore.Loop, *account) {}, []string{}, ""},

		"a receipt with another digest": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.ConversationDigest = new("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		}), []string{"receipts", "digests"}, "does not have its conversation's digest"},
		"a receipt without a digest": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.ConversationDigest = nil
		}), []string{"receipts", "digests"}, "does not have its conversation's digest"},
		"a receipt with another count": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.MessageCount++
		}), []string{"receipts", "digests"}, "messages, its conversation had"},
		"a receipt of other inputs": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.ContributingInputIDs = []store.InputID{store.NewInputID()}
		}), []string{"receipts"}, "is not what its commit returned"},
		"a receipt of another boundary": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.Boundary = store.Immediate
		}), []string{"receipts"}, "is not what its commit returned"},
		"a receipt too many": {overwrite(func(r *store.RunBoundaryReceipt) {
			r.Sequence = turnsPerRun
		}), []string{"sequences"}, "has a receipt 8 that no commit returned"},
		"a digest that the store computed wrong": {func(_ *testing.T, _ *loopstore.Loop, r *account) {
			r.runs[0].boundaries[3].digest[0]++
		}, []string{"digests"}, "receipt 3 of run"},
		"a receipt lost": {func(_ *testing.T, _ *loopstore.Loop, r *account) {
			last := &r.runs[1]
			b := last.boundaries[len(last.boundaries)-1]
			b.receipt.Sequence++
			last.boundaries = append(last.boundaries, b)
		}, []string{"receipts", "digests", "sequences"}, "has no receipt 4"},
		"a sequence left out": {func(_ *testing.T, _ *loopstore.Loop, r *account) {
			r.runs[0].boundaries[7].receipt.Sequence++
		}, []string{"receipts", "sequences"}, "commit 7 of run"},

		"an input too many": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			extra := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
			require.NoError(t, loop.PersistInputState(t.Context(), r.id, extra))
		}, []string{"inputs"}, "was never accepted"},
		"an input lost": {func(_ *testing.T, _ *loopstore.Loop, r *account) {
			r.accept(store.NewInputState(store.NewInputID(), store.TimeOf(time.Now())))
		}, []string{"inputs"}, "is lost"},
		"two inputs in each other's place": {func(_ *testing.T, _ *loopstore.Loop, r *account) {
			r.inputs[4], r.inputs[5] = r.inputs[5], r.inputs[4]
		}, []string{"inputs"}, "is not at its place"},
		"an input in another state": {alter(func(s *store.InputState) {
			s.CurrentState = store.InputStaged
		}), []string{"inputs"}, "is staged and should be consumed"},
		"an input stamped with another run": {alter(func(s *store.InputState) {
			s.LastRunID = new(store.NewRunID())
		}), []string{"inputs"}, "not stamped with its boundary"},
		"an input stamped with another sequence": {alter(func(s *store.InputState) {
			s.LastBoundarySequence = new(*s.LastBoundarySequence + 1)
		}), []string{"inputs"}, "not stamped with its boundary"},
		"an input without its stamp": {alter(func(s *store.InputState) {
			s.LastRunID, s.LastBoundarySequence = nil, nil
		}), []string{"inputs"}, "not stamped with its boundary"},
		"an input with another history": {alter(func(s *store.InputState) {
			s.History = s.History[1:]
		}), []string{"inputs"}, "is not what was acknowledged"},

		"another snapshot": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{
				Session: &store.SessionDelta{SessionSnapshot: append(slices.Clone(r.snapshot), ' ')},
				Receipt: r.runs[0].boundaries[0].receipt,
			}))
		}, []string{"snapshots"}, "not the last one that was committed"},
		"another runtime state": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.PersistRuntimeState(t.Context(), r.id, store.RuntimeDestroyed))
		}, []string{"runtime_states"}, "is \"destroyed\" and should be \"stopped\""},
		"no store": {func(t *testing.T, loop *loopstore.Loop, _ *account) {
			require.NoError(t, loop.Close())
		}, []string{"receipts", "digests", "sequences", "inputs", "snapshots", "runtime_states"}, "store is closed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := played(t)
			c.tamper(t, w.loop, w.agents[2].account)
			caught, why := failing(t, w)
			require.Equal(t, c.caught, caught)
			require.Contains(t, why, c.why)
		})
	}
}

// overwrite replaces a receipt in the store.
func overwrite(change func(*store.RunBoundaryReceipt)) func(*testing.T, *loopstore.Loop, *account) {
	return func(t *testing.T, loop *loopstore.Loop, r *account) {
		receipt := r.runs[0].boundaries[5].receipt.Clone()
		change(&receipt)
		require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{Receipt: receipt}))
	}
}

// alter replaces an input's state in the store.
func alter(change func(*store.InputState)) func(*testing.T, *loopstore.Loop, *account) {
	return func(t *testing.T, loop *loopstore.Loop, r *account) {
		state, ok, err := loop.LoadInputState(t.Context(), r.id, r.inputs[6].InputID)
		require.NoError(t, err)
		require.True(t, ok)
		change(&state)
		require.NoError(t, loop.PersistInputState(t.Context(), r.id, state))
	}
}

// A restart finds again what was tampered with before it, although the runtime
// goes on with what it found.
func TestRestartIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(*testing.T, *loopstore.Loop, *account)
		caught []string
	}{
		"nothing": {func(*testing.T, *loopstore.Loop, *account) {}, []string{}},
		"the input that it takes up": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			last := r.inputs[len(r.inputs)-1].Clone()
			last.AttemptCount = 7
			require.NoError(t, loop.PersistInputState(t.Context(), r.id, last))
		}, []string{"restarts"}},
		"the runtime's state": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.PersistRuntimeState(t.Context(), r.id, store.RuntimeRetired))
		}, []string{"restarts"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := played(t)
			a := newAgent(99, Documents{w.agents[0].conversation.document})
			w.agents = append(w.agents, a)
			caller := w.callers[0]
			for _, step := range []func() error{
				func() error { return a.start(t.Context(), caller) },
				func() error { return a.startRun(t.Context(), caller) },
				func() error { return a.acceptInputs(t.Context(), caller) },
				func() error { return a.commitBoundary(t.Context(), caller) },
			} {
				require.NoError(t, step())
			}
			c.tamper(t, w.loop, a.account)
			require.NoError(t, a.restart(t.Context(), caller))
			a.turn = turnsPerRun - 1
			require.NoError(t, a.consumeInputs(t.Context(), caller))
			require.EqualValues(t, 1, a.account.inputs[0].RecoveryCount)
			caught, _ := failing(t, w)
			require.Equal(t, c.caught, caught)
		})
	}
}

func TestListsTheFirstFailures(t *testing.T) {
	w := played(t)
	require.NoError(t, w.loop.Close())
	c := newChecker(w.loop)
	c.all(t.Context(), w.agents)
	require.Len(t, c.failures, listedFailures)
	require.Equal(t, 4*12, c.checks[receipts].Failed)
}
