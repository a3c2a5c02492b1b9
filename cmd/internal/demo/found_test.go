package demo

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// Whoever finds a runtime that no turn leaves so says why, and does not go on
// with it.
func TestFindsWhatNoTurnLeaves(t *testing.T) {
	putReceipt := func(t *testing.T, loop *loopstore.Loop, r *account, change func(*store.RunBoundaryReceipt)) {
		receipt := r.last().receipt.Clone()
		change(&receipt)
		require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{Receipt: receipt}))
	}
	receipt := func(change func(*store.RunBoundaryReceipt)) func(*testing.T, *loopstore.Loop, *account) {
		return func(t *testing.T, loop *loopstore.Loop, r *account) { putReceipt(t, loop, r, change) }
	}
	// All inputs are consumed; this changes the last of a pair, and that before.
	input := func(change func(*store.InputState)) func(*testing.T, *loopstore.Loop, *account) {
		return func(t *testing.T, loop *loopstore.Loop, r *account) {
			state := r.inputs[len(r.inputs)-1].Clone()
			change(&state)
			require.NoError(t, loop.PersistInputState(t.Context(), r.id, state))
		}
	}
	state := func(state store.RuntimeState) func(*testing.T, *loopstore.Loop, *account) {
		return func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.PersistRuntimeState(t.Context(), r.id, state))
		}
	}
	newInput := func(change func(*store.InputState)) func(*testing.T, *loopstore.Loop, *account) {
		return input(func(s *store.InputState) {
			*s = store.NewInputState(store.NewInputID(), s.CreatedAt)
			change(s)
		})
	}
	for name, c := range map[string]struct {
		tamper func(*testing.T, *loopstore.Loop, *account)
		why    string
	}{
		"a gap":            {receipt(func(r *store.RunBoundaryReceipt) { r.Sequence += 2 }), "has receipt 5 in the place of receipt 4"},
		"another boundary": {receipt(func(r *store.RunBoundaryReceipt) { r.Boundary = store.RunStart }), "is of the boundary run_start"},
		"a run that did not end": {receipt(func(r *store.RunBoundaryReceipt) {
			r.RunID, r.Sequence, r.Boundary = store.NewRunID(), 0, store.RunStart
		}), "has 4 receipts, and another run came after it"},
		"a receipt without inputs": {receipt(func(r *store.RunBoundaryReceipt) {
			r.Sequence, r.ContributingInputIDs = r.Sequence+1, nil
		}), "receipt 4 of run"},
		"another digest": {receipt(func(r *store.RunBoundaryReceipt) { r.ConversationDigest = new("other") }), "does not have its conversation's digest"},
		"another count":  {receipt(func(r *store.RunBoundaryReceipt) { r.MessageCount++ }), "messages, its conversation had"},
		"another receipt stored last": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{Receipt: r.runs[0].boundaries[0].receipt}))
		}, "the latest receipt is not the last one"},
		"receipts lost": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			_, err := loop.Prune(t.Context(), r.id, store.Retention{ReceiptsPerRun: 3})
			require.NoError(t, err)
		}, "in the place of receipt 0"},
		"another snapshot": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{
				Session: &store.SessionDelta{SessionSnapshot: append(slices.Clone(r.snapshot), "garbage"...)}, Receipt: r.last().receipt,
			}))
		}, "the snapshot is no session document"},
		"a snapshot from before": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			documents, err := ReadDocuments(t.Context(), nil)
			require.NoError(t, err)
			before := conversation{document: documents[2]}
			before.grow()
			require.NoError(t, loop.AtomicApply(t.Context(), r.id, store.BoundaryApply{
				Session: &store.SessionDelta{SessionSnapshot: before.snapshot}, Receipt: r.last().receipt,
			}))
		}, "does not have its conversation's digest"},

		"an input of another run": {input(func(s *store.InputState) { s.LastRunID = new(store.NewRunID()) }), "not stamped with its boundary"},
		"an input without stamp":  {input(func(s *store.InputState) { s.LastBoundarySequence = nil }), "not stamped with its boundary"},
		"one of a pair applied": {input(func(s *store.InputState) {
			s.CurrentState, s.TerminalOutcome, s.History = store.InputApplied, nil, s.History[:3]
		}), "is applied, and another of its turn is consumed"},
		"an input staged after its boundary": {input(func(s *store.InputState) { s.CurrentState = store.InputStaged }), "is staged after its boundary"},
		"an input without outcome":           {input(func(s *store.InputState) { s.TerminalOutcome = nil }), "which its outcome does not say"},
		"an input with a hole in its history": {input(func(s *store.InputState) {
			s.History = slices.Delete(s.History, 1, 2)
		}), "went from staged to applied as its move 2"},
		"an input with half its history": {input(func(s *store.InputState) { s.History = s.History[:3] }), "not what its history ends with"},
		"inputs in another order": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			putReceipt(t, loop, r, func(r *store.RunBoundaryReceipt) { slices.Reverse(r.ContributingInputIDs) })
		}, "not at its place in the order"},
		"an input stamped by nobody": {newInput(func(s *store.InputState) {
			s.LastRunID, s.LastBoundarySequence = new(store.NewRunID()), new(uint64(3))
		}), "stamped with a receipt that is not there"},
		"an input applied by nobody":   {newInput(func(s *store.InputState) { s.CurrentState = store.InputApplied }), "is applied, and no receipt names it"},
		"an input queued from nowhere": {newInput(func(s *store.InputState) { s.CurrentState = store.InputQueued }), "not what its history ends with"},
		"too many inputs": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			for range 3 {
				newInput(func(*store.InputState) {})(t, loop, r)
			}
		}, "3 inputs belong to no receipt"},

		"idle within a run":       {state(store.RuntimeIdle), `it is "idle"`},
		"initializing at the end": {state(store.RuntimeInitializing), `it is "initializing"`},
		"retired":                 {state(store.RuntimeRetired), `it is "retired"`},
		"stopped within a turn": {func(t *testing.T, loop *loopstore.Loop, r *account) {
			newInput(func(*store.InputState) {})(t, loop, r)
		}, `it is "stopped", with 1 input of this turn`},
	} {
		t.Run(name, func(t *testing.T) {
			w := played(t) // 12 turns: a run that is over, and one with 4 receipts
			r := w.agents[2].account
			documents, err := ReadDocuments(t.Context(), nil)
			require.NoError(t, err)
			_, err = findAgain(t, w, r.id, documents)
			require.NoError(t, err)
			c.tamper(t, w.loop, r)
			_, err = findAgain(t, w, r.id, documents)
			require.ErrorContains(t, err, c.why)
			require.ErrorContains(t, err, "agent-002: ")
		})
	}
}

func findAgain(t *testing.T, w past, id store.RuntimeID, documents Documents) (*agent, error) {
	t.Helper()
	view, err := w.loop.View(t.Context(), id)
	require.NoError(t, err)
	return agentOf(view, documents)
}

func TestNumbersOfRuntimes(t *testing.T) {
	for id, want := range map[store.RuntimeID]int{"agent-000": 0, "agent-012": 12, "agent-9999": 9999} {
		number, ok := numberOf(id)
		require.True(t, ok)
		require.Equal(t, want, number)
	}
	for _, id := range []store.RuntimeID{"", "agent-", "agent-0", "agent-0012", "agent--01", "agent-+12", "agent-10000", "12", "agent-012x"} {
		_, ok := numberOf(id)
		require.False(t, ok, id)
	}
}
