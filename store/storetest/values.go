package storetest

import (
	"bytes"
	"math"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func values() []promise {
	return []promise{
		{"an input state comes back with every member", inputStatesComeBack},
		{"a time comes back to the nanosecond, in a leap second too", timesComeBack},
		{"a receipt comes back with every member", receiptsComeBack},
		{"a snapshot comes back byte for byte", snapshotsComeBack},
		{"an empty snapshot is there, and empty", emptySnapshotIsThere},
		{"every value of an enum comes back", enumsComeBack},
		{"an unknown value of an enum is refused", unknownValuesAreRefused},
		{"any text is a runtime id, the empty one too", anyTextIsARuntimeID},
		{"a runtime id that is not text is refused", runtimeIDsAreText},
		{"what is not there is absent, not an error", absentIsNotAnError},
	}
}

func inputStatesComeBack(tr *trial) {
	for name, text := range map[string]string{
		"all members":  full,
		"few members":  bare,
		"superseded":   bareWith(`"terminal_outcome":{"outcome_type":"superseded","superseded_by":"00000000-0000-0000-0000-000000000000"},"attempt_count":1,"recovery_count":2`),
		"coalesced":    bareWith(`"terminal_outcome":{"outcome_type":"coalesced","aggregate_id":"0195b1c2-0000-7000-8000-000000000004"},"attempt_count":1,"recovery_count":2`),
		"consumed":     bareWith(`"terminal_outcome":{"outcome_type":"consumed"},"attempt_count":1,"recovery_count":2`),
		"a projection": bareWith(`"attempt_count":0,"recovery_count":0,"reconstruction_source":{"source_type":"projection","rule_id":"","source_event_id":"e"}`),
		"no sources":   bareWith(`"attempt_count":0,"recovery_count":0,"reconstruction_source":{"source_type":"coalescing","source_input_ids":[]}`),
		"empty key":    bareWith(`"idempotency_key":"","attempt_count":0,"recovery_count":0`),
		"input 0":      bareWith(`"attempt_count":0,"recovery_count":0,"persisted_input":0`),
	} {
		state := tr.inputFrom(text)
		require.Equal(tr, text, textOf(state), "this suite's own sample")
		for way, put := range map[store.RuntimeID]func(store.RuntimeID){
			"persisted":     func(id store.RuntimeID) { tr.persist(id, state) },
			"in a commit":   func(id store.RuntimeID) { tr.lifecycle(id, store.RuntimeIdle, state) },
			"in an apply":   func(id store.RuntimeID) { tr.apply(id, applying(store.RunID{1}, 0, state)) },
			"over another":  func(id store.RuntimeID) { tr.persist(id, tr.inputFrom(full), state) },
			"at a boundary": func(id store.RuntimeID) { tr.commit(id, committing(store.RunID{1}, state)) },
		} {
			put(way)
			want := state
			if way == "at a boundary" {
				want.LastRunID, want.LastBoundarySequence = tr.input(way, state.InputID).LastRunID, tr.input(way, state.InputID).LastBoundarySequence
			}
			assert.Equal(tr, textOf(want), textOf(tr.input(way, state.InputID)), "%s, %s, one", name, way)
			assert.Equal(tr, []string{textOf(want)}, textsOf(tr.inputs(way)), "%s, %s, all", name, way)
		}
	}
}

func timesComeBack(tr *trial) {
	for _, text := range []string{
		"1970-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.999999999Z", "2026-03-12T15:57:06.000000001Z",
		"1969-12-31T23:59:59.999Z", "0000-01-01T00:00:00Z", "-0001-12-31T23:59:59.000001Z", "+10000-01-01T00:00:00Z",
		"-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z",
	} {
		state := tr.inputFrom(strings.NewReplacer("2026-03-12T15:57:06Z", text, "2026-03-12T15:57:06.500Z", text).Replace(bare))
		tr.persist("a", state)
		got := tr.input("a", state.InputID)
		assert.Equal(tr, text, got.CreatedAt.String())
		assert.Equal(tr, text, got.UpdatedAt.String())
	}
}

func receiptsComeBack(tr *trial) {
	for i, receipt := range []store.RunBoundaryReceipt{
		{Boundary: store.Immediate},
		{Boundary: store.RunCheckpoint, Sequence: 7, ContributingInputIDs: []store.InputID{{3}, {1}, {3}, {3}}, ConversationDigest: new("not a digest"), MessageCount: math.MaxUint64},
		{Boundary: store.RunStart, Sequence: math.MaxUint64, ConversationDigest: new(""), MessageCount: 9007199254740993},
		{Boundary: store.RunStart, Sequence: 9007199254740993, ContributingInputIDs: []store.InputID{{}}, ConversationDigest: new("clé \x00")},
	} {
		receipt.RunID = store.RunID{byte(i)}
		tr.apply("a", store.BoundaryApply{Receipt: receipt, SessionStoreKey: &store.SessionID{1}})
		assert.Equal(tr, textOf(receipt), textOf(tr.receipt("a", receipt.RunID, receipt.Sequence)))
	}
}

func snapshotsComeBack(tr *trial) {
	for _, text := range []string{"not a document", "\x00\xff\xfe\r\n", " ", "{}", strings.Repeat("x", 1<<20)} {
		a := applying(store.RunID{1}, 0)
		a.Session = &store.SessionDelta{SessionSnapshot: []byte(text)}
		tr.apply("applied", a)
		assert.True(tr, text == string(tr.snapshot("applied")), "%.20q does not come back from AtomicApply", text)
	}
	for _, text := range []string{
		string(document("[]")), " \n" + string(document(conversation(2, 2))) + "\t",
		strings.ReplaceAll(string(document(conversation(1, 1))), ",", "\r\n, "), string(document(conversation(3, 1<<20))),
	} {
		c := committing(store.RunID{1})
		c.Session.SessionSnapshot = []byte(text)
		tr.commit("committed", c)
		assert.True(tr, text == string(tr.snapshot("committed")), "%.20q does not come back from CommitSessionBoundary", text)
	}
}

func emptySnapshotIsThere(tr *trial) {
	for _, empty := range [][]byte{nil, {}} {
		for _, id := range []store.RuntimeID{"new", "filled"} {
			a := applying(store.RunID{1}, 0)
			if id == "filled" {
				a.Session = &store.SessionDelta{SessionSnapshot: []byte("x")}
				tr.apply(id, a)
			}
			a.Session = &store.SessionDelta{SessionSnapshot: empty}
			tr.apply(id, a)
			assert.Empty(tr, tr.snapshot(id))
		}
	}
}

func enumsComeBack(tr *trial) {
	for _, s := range []store.RuntimeState{
		store.RuntimeInitializing, store.RuntimeIdle, store.RuntimeRunning, store.RuntimeRecovering,
		store.RuntimeRetired, store.RuntimeStopped, store.RuntimeDestroyed, store.RuntimeIdle,
	} {
		tr.setRuntime("a", s)
		assert.Equal(tr, s, tr.runtime("a"))
	}
	for _, s := range []store.InputLifecycleState{
		store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption,
		store.InputConsumed, store.InputSuperseded, store.InputCoalesced, store.InputAbandoned, store.InputAccepted,
	} {
		state := accepted(1)
		state.CurrentState = s
		tr.persist("a", state)
		assert.Equal(tr, s, tr.input("a", state.InputID).CurrentState)
	}
	for i, b := range []store.RunApplyBoundary{store.Immediate, store.RunStart, store.RunCheckpoint} {
		c := committing(store.RunID{1})
		c.Boundary = b
		assert.Equal(tr, b, tr.commit("a", c).Boundary)
		assert.Equal(tr, b, tr.receipt("a", store.RunID{1}, uint64(i)).Boundary)
	}
}

func unknownValuesAreRefused(tr *trial) {
	for name, spoil := range map[string]func(*store.InputState){
		"current_state":         func(s *store.InputState) { s.CurrentState = "Queued" },
		"no current_state":      func(s *store.InputState) { s.CurrentState = "" },
		"durability":            func(s *store.InputState) { s.Durability = "forever" },
		"policy":                func(s *store.InputState) { s.Policy = new(store.PolicySnapshot) },
		"terminal_outcome":      func(s *store.InputState) { s.TerminalOutcome = &store.TerminalOutcome{Type: "lost"} },
		"reconstruction_source": func(s *store.InputState) { s.ReconstructionSource = new(store.ReconstructionSource) },
		"history":               func(s *store.InputState) { s.History = []store.HistoryEntry{{From: store.InputQueued}} },
		"persisted_input":       func(s *store.InputState) { s.PersistedInput = []byte("{") },
		"idempotency_key":       func(s *store.InputState) { s.IdempotencyKey = new("\xff") },
	} {
		state := accepted(1)
		spoil(&state)
		err := tr.store.PersistInputState(tr.Context(), "a", state)
		assert.ErrorIs(tr, err, store.ErrInvalidValue, name)
	}
	assert.ErrorIs(tr, tr.store.PersistRuntimeState(tr.Context(), "a", ""), store.ErrInvalidValue, "no runtime state")
	assert.ErrorIs(tr, tr.store.PersistRuntimeState(tr.Context(), "a", "Idle"), store.ErrInvalidValue, "runtime state")
	digest := applying(store.RunID{1}, 0)
	digest.Receipt.ConversationDigest = new("\xff")
	assert.ErrorIs(tr, tr.store.AtomicApply(tr.Context(), "a", digest), store.ErrInvalidValue, "digest")
}

// runtimeIDs are names that a store could mistake for each other.
func runtimeIDs() []store.RuntimeID {
	return []store.RuntimeID{
		"", " ", "a", "A", "a ", "a\x00", "a\x00b", "a/b", "a/../b", "../b", "a%", "a_", "a*", "a'\"", "aa", "0", "00", "null",
		"caf\u00e9", "cafe\u0301", "\u65e5\u672c", "a\u200b", store.RuntimeID(bytes.Repeat([]byte("a"), 5000)),
		store.RuntimeID(bytes.Repeat([]byte("a"), 5001)),
	}
}

func anyTextIsARuntimeID(tr *trial) {
	for _, id := range runtimeIDs() {
		tr.setRuntime(id, store.RuntimeRunning)
		assert.Equal(tr, store.RuntimeRunning, tr.runtime(id))
		tr.persist(id, accepted(1))
		assert.Equal(tr, textOf(accepted(1)), textOf(tr.input(id, store.InputID{1})))
	}
}

func runtimeIDsAreText(tr *trial) {
	for name, err := range tr.allWrites("\xff", tr.Context()) {
		assert.ErrorIs(tr, err, store.ErrInvalidValue, name)
	}
	assert.Equal(tr, view{}, tr.view("\xff"), "there is nothing under it")
}

func absentIsNotAnError(tr *trial) {
	for _, what := range []string{"an empty store", "a filled store"} {
		if what == "a filled store" {
			tr.fill("a")
		}
		states := tr.inputs("b")
		assert.NotNil(tr, states, "%s: LoadInputStates returns nil, not an empty list", what)
		assert.Empty(tr, states, what)
		input, ok, err := tr.store.LoadInputState(tr.Context(), "b", store.InputID{1})
		assert.NoError(tr, err, what)
		assert.False(tr, ok, what)
		assert.Zero(tr, input, what)
		receipt, ok, err := tr.store.LoadBoundaryReceipt(tr.Context(), "b", store.RunID{1}, 0)
		assert.NoError(tr, err, what)
		assert.False(tr, ok, what)
		assert.Zero(tr, receipt, what)
		snapshot, ok, err := tr.store.LoadSessionSnapshot(tr.Context(), "b")
		assert.NoError(tr, err, what)
		assert.False(tr, ok, what)
		assert.Empty(tr, snapshot, what)
		state, ok, err := tr.store.LoadRuntimeState(tr.Context(), "b")
		assert.NoError(tr, err, what)
		assert.False(tr, ok, what)
		assert.Empty(tr, state, what)
	}
	require.NotEqual(tr, view{}, tr.view("a"), "the store was filled")
	_, ok, err := tr.store.LoadInputState(tr.Context(), "a", store.InputID{3})
	assert.NoError(tr, err)
	assert.False(tr, ok, "a further input")
	_, ok, err = tr.store.LoadBoundaryReceipt(tr.Context(), "a", store.RunID{1}, 99)
	assert.NoError(tr, err)
	assert.False(tr, ok, "a further receipt")
}
