package storetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func privacy() []promise {
	return []promise{
		{"PersistInputState copies what it is given", persistCopies},
		{"AtomicLifecycleCommit copies what it is given", lifecycleCopies},
		{"AtomicApply copies what it is given", applyCopies},
		{"CommitSessionBoundary copies what it is given", commitCopies},
		{"CommitSessionBoundary returns a receipt of the caller's own", commitReturnsACopy},
		{"LoadInputState returns a state of the caller's own", loadInputCopies},
		{"LoadInputStates returns a list of the caller's own", loadInputsCopies},
		{"LoadBoundaryReceipt returns a receipt of the caller's own", loadReceiptCopies},
		{"LoadSessionSnapshot returns bytes of the caller's own", loadSnapshotCopies},
		{"what came out stays as it was when more goes in", oldAnswersStay},
	}
}

// rich is a state with a part of every kind that a caller could change.
func (tr *trial) rich() store.InputState {
	tr.Helper()
	return tr.inputFrom(full)
}

// scribble changes all that a state leads to.
func scribble(s *store.InputState) {
	s.CurrentState = store.InputQueued
	if s.Policy != nil {
		s.Policy.Version, s.Policy.Decision.WakeMode = 99, store.WakeIfIdle
	}
	if s.TerminalOutcome != nil {
		s.TerminalOutcome.Reason = "x"
	}
	if s.IdempotencyKey != nil {
		*s.IdempotencyKey = "x"
	}
	for i := range s.History {
		if s.History[i].Reason != nil {
			*s.History[i].Reason = "x"
		}
		s.History[i].To = store.InputStaged
	}
	if s.ReconstructionSource != nil {
		clear(s.ReconstructionSource.SourceInputIDs)
		s.ReconstructionSource.RuleID = "x"
	}
	clear(s.PersistedInput)
	if s.LastRunID != nil {
		*s.LastRunID = store.RunID{99}
	}
	if s.LastBoundarySequence != nil {
		*s.LastBoundarySequence = 99
	}
}

func scribbleReceipt(r *store.RunBoundaryReceipt) {
	clear(r.ContributingInputIDs)
	if r.ConversationDigest != nil {
		*r.ConversationDigest = "x"
	}
}

// stays checks that the one input of runtime a is want.
func (tr *trial) stays(want string) {
	tr.Helper()
	assert.Equal(tr, []string{want}, textsOf(tr.inputs("a")))
	assert.Equal(tr, want, textOf(tr.input("a", store.InputID{3})))
}

func persistCopies(tr *trial) {
	state := tr.rich()
	tr.persist("a", state)
	scribble(&state)
	tr.stays(full)
}

func lifecycleCopies(tr *trial) {
	states := []store.InputState{tr.rich()}
	tr.lifecycle("a", store.RuntimeIdle, states...)
	scribble(&states[0])
	states[0] = accepted(9)
	tr.stays(full)
}

func applyCopies(tr *trial) {
	a := applying(store.RunID{1}, 0, tr.rich())
	a.Session = &store.SessionDelta{SessionSnapshot: []byte("snapshot")}
	a.Receipt.ContributingInputIDs, a.Receipt.ConversationDigest = []store.InputID{{7}}, new("d")
	want := textOf(a.Receipt)
	tr.apply("a", a)
	clear(a.Session.SessionSnapshot)
	a.Session.SessionSnapshot = nil
	scribbleReceipt(&a.Receipt)
	scribble(&a.InputUpdates[0])
	a.InputUpdates[0] = accepted(9)
	tr.stays(full)
	assert.Equal(tr, "snapshot", string(tr.snapshot("a")))
	assert.Equal(tr, want, textOf(tr.receipt("a", store.RunID{1}, 0)))
}

func commitCopies(tr *trial) {
	update := tr.rich()
	c := committing(store.RunID{1}, update)
	c.ContributingInputIDs = []store.InputID{{7}}
	tr.commit("a", c)
	assert.Equal(tr, full, textOf(update), "the argument is not the place for the stamp")
	clear(c.Session.SessionSnapshot)
	clear(c.ContributingInputIDs)
	scribble(&c.InputUpdates[0])
	c.InputUpdates[0] = accepted(9)
	want := tr.rich()
	want.LastRunID, want.LastBoundarySequence = &store.RunID{1}, new(uint64(0))
	tr.stays(textOf(want))
	assert.Equal(tr, string(document(conversation(1, 1))), string(tr.snapshot("a")))
	assert.Equal(tr, []store.InputID{{7}}, tr.receipt("a", store.RunID{1}, 0).ContributingInputIDs)
}

func commitReturnsACopy(tr *trial) {
	c := committing(store.RunID{1}, tr.rich())
	c.ContributingInputIDs = []store.InputID{{7}}
	receipt := tr.commit("a", c)
	want := textOf(receipt)
	scribbleReceipt(&receipt)
	assert.Equal(tr, want, textOf(tr.receipt("a", store.RunID{1}, 0)))
	assert.Equal(tr, []store.InputID{{7}}, c.ContributingInputIDs, "the answer is not the argument either")
}

func loadInputCopies(tr *trial) {
	tr.persist("a", tr.rich())
	for range 2 {
		state := tr.input("a", store.InputID{3})
		require.Equal(tr, full, textOf(state))
		scribble(&state)
	}
	tr.stays(full)
}

func loadInputsCopies(tr *trial) {
	tr.persist("a", tr.rich())
	for range 2 {
		states := tr.inputs("a")
		require.Equal(tr, []string{full}, textsOf(states))
		scribble(&states[0])
		states[0] = accepted(9)
		_ = append(states, accepted(8))
	}
	tr.persist("a", accepted(4))
	assert.Equal(tr, []string{full, textOf(accepted(4))}, tr.viewInputs("a"))
}

func loadReceiptCopies(tr *trial) {
	c := committing(store.RunID{1})
	c.ContributingInputIDs = []store.InputID{{7}}
	want := textOf(tr.commit("a", c))
	for range 3 {
		receipt := tr.receipt("a", store.RunID{1}, 0)
		require.Equal(tr, want, textOf(receipt))
		scribbleReceipt(&receipt)
	}
}

func loadSnapshotCopies(tr *trial) {
	c := committing(store.RunID{1})
	c.Session.SessionSnapshot = document(conversation(3, 1000))
	want := string(c.Session.SessionSnapshot)
	tr.commit("a", c)
	for range 3 {
		snapshot := tr.snapshot("a")
		require.True(tr, want == string(snapshot))
		clear(snapshot)
	}
	receipt := tr.commit("a", c) // a store may compare with what it kept
	require.NotNil(tr, receipt.ConversationDigest)
	assert.Equal(tr, digestOf(conversation(3, 1000)), *receipt.ConversationDigest)
}

func oldAnswersStay(tr *trial) {
	tr.fill("a")
	states, one, snapshot, receipt := tr.inputs("a"), tr.input("a", store.InputID{1}), tr.snapshot("a"), tr.receipt("a", store.RunID{1}, 0)
	texts, oneText, snapshotText, receiptText := textsOf(states), textOf(one), string(snapshot), textOf(receipt)
	replacing := applying(store.RunID{1}, 0, attempted(2, 9), attempted(1, 9), attempted(3, 9))
	replacing.Session = &store.SessionDelta{SessionSnapshot: []byte("replaced")}
	tr.apply("a", replacing)
	tr.commit("a", committing(store.RunID{1}, attempted(2, 10), attempted(1, 10)))
	assert.Equal(tr, texts, textsOf(states))
	assert.Equal(tr, oneText, textOf(one))
	assert.Equal(tr, snapshotText, string(snapshot))
	assert.Equal(tr, receiptText, textOf(receipt))
}
