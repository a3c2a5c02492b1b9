package storetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func privacy() []promise {
	return []promise{
		{words: "PersistInputState copies what it is given", try: persistCopies},
		{words: "AtomicLifecycleCommit copies what it is given", try: lifecycleCopies},
		{words: "AtomicApply copies what it is given", try: applyCopies},
		{words: "CommitSessionBoundary copies what it is given", try: commitCopies},
		{words: "no write changes its arguments", try: argumentsStay},
		{words: "CommitSessionBoundary returns a receipt that is the caller's own", try: commitReturnsACopy},
		{words: "LoadInputState and LoadInputStates return states that are the caller's own", try: loadInputsCopies},
		{words: "LoadBoundaryReceipt returns a receipt that is the caller's own", try: loadReceiptCopies},
		{words: "LoadSessionSnapshot returns bytes that are the caller's own", try: loadSnapshotCopies},
		{words: "what was loaded does not change when more is stored", try: oldAnswersStay},
	}
}

// rich returns a state with every kind of part that a caller could change.
func (tr *trial) rich() store.InputState {
	tr.Helper()
	return tr.inputFrom(full)
}

// scribble changes everything that a state points to.
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

// stays checks that runtime a has one input, and that its state is want.
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
	c := committing(store.RunID{1}, tr.rich())
	c.ContributingInputIDs = []store.InputID{{7}}
	tr.commit("a", c)
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

// Each write gets a batch that is part of a larger slice. No part of the slice may
// change.
func argumentsStay(tr *trial) {
	batch := func() []store.InputState {
		return []store.InputState{tr.rich(), attempted(1, 1), tr.rich(), accepted(2), attempted(1, 2), accepted(9)}
	}
	for _, way := range waysIn() {
		for range 2 { // as new inputs, then as updates
			states := batch()
			require.NoError(tr, way.do(tr.Context(), tr.store, "a", states[:5]...), way.name)
			assert.Equal(tr, textsOf(batch()), textsOf(states), "the input states that %s was given", way.name)
		}
	}
	commit := func() store.BoundaryCommit {
		c := committing(store.RunID{1}, batch()...)
		c.ContributingInputIDs = []store.InputID{{3}, {1}, {3}, {9}}[:3]
		return c
	}
	c := commit()
	tr.commit("a", c)
	assert.True(tr, assert.ObjectsAreEqual(commit(), c), "CommitSessionBoundary changed its argument")
	assert.Equal(tr, store.InputID{9}, c.ContributingInputIDs[:4][3], "CommitSessionBoundary changed what follows its argument in the slice")
	apply := func() store.BoundaryApply {
		a := applying(store.RunID{1}, 0, batch()...)
		a.Session, a.SessionStoreKey = &store.SessionDelta{SessionSnapshot: []byte(" {} ")}, &store.SessionID{1}
		a.Receipt.ContributingInputIDs, a.Receipt.ConversationDigest = []store.InputID{{3}, {1}, {3}}, new("D")
		return a
	}
	a := apply()
	tr.apply("a", a)
	assert.True(tr, assert.ObjectsAreEqual(apply(), a), "AtomicApply changed its argument")
}

// It must not matter which operation stored the state.
func loadInputsCopies(tr *trial) {
	for _, way := range waysIn() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, tr.rich(), accepted(4)), way.name)
		want := textsOf(tr.inputs(id))
		for range 3 {
			one := tr.input(id, store.InputID{3})
			require.Equal(tr, want[0], textOf(one), "LoadInputState after %s", way.name)
			scribble(&one)
			states := tr.inputs(id)
			require.Equal(tr, want, textsOf(states), "LoadInputStates after %s", way.name)
			scribble(&states[0])
			states[0] = accepted(9)
			_ = append(states, accepted(8))
		}
		tr.persist(id, accepted(5))
		assert.Equal(tr, append(want, textOf(accepted(5))), tr.viewInputs(id))
	}
}

func loadReceiptCopies(tr *trial) {
	c := committing(store.RunID{1})
	c.ContributingInputIDs = []store.InputID{{7}}
	tr.commit("a", c)
	a := applying(store.RunID{2}, 0)
	a.Receipt.ContributingInputIDs, a.Receipt.ConversationDigest = []store.InputID{{7}}, new("d")
	tr.apply("a", a)
	for run := byte(1); run <= 2; run++ {
		want := textOf(tr.receipt("a", store.RunID{run}, 0))
		for range 3 {
			receipt := tr.receipt("a", store.RunID{run}, 0)
			require.Equal(tr, want, textOf(receipt), "the receipt of run %d (1 was minted, 2 was applied)", run)
			scribbleReceipt(&receipt)
		}
	}
}

func loadSnapshotCopies(tr *trial) {
	c := committing(store.RunID{1})
	c.Session.SessionSnapshot = document(conversation(3, 1000))
	want := string(c.Session.SessionSnapshot)
	a := applying(store.RunID{2}, 0)
	a.Session = &c.Session
	tr.commit("committed", c)
	tr.apply("applied", a)
	for range 3 {
		for _, id := range []store.RuntimeID{"committed", "applied"} {
			snapshot := tr.snapshot(id)
			require.True(tr, want == string(snapshot), "a caller changed the snapshot that was %s", id)
			clear(snapshot)
		}
	}
	receipt := tr.commit("committed", c) // a store may continue from what it holds
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
