package storetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func values() []promise {
	return []promise{
		{words: "an input state comes back with every member", try: func(tr *trial) { tr.putInputs()() }},
		{words: "a member of a megabyte comes back", try: largeMembersComeBack},
		{words: "a time comes back to the nanosecond, in a leap second too", try: timesComeBack},
		{words: "a receipt comes back with every member", try: func(tr *trial) { tr.putReceipts()() }},
		{words: "a snapshot comes back byte for byte", try: func(tr *trial) { tr.putSnapshots()() }},
		{words: "an empty snapshot is there, and empty", try: emptySnapshotIsThere},
		{words: "every value of an enum comes back", try: enumsComeBack},
		{words: "an unknown value of an enum is refused", try: unknownValuesAreRefused},
		{words: "a format that the store does not take is refused", try: otherFormatsAreRefused},
		{words: "an invalid state is refused wherever it stands in a batch", try: invalidStatesAreRefused},
		{words: "any text is a runtime id, even the empty one", try: anyTextIsARuntimeID},
		{words: "a runtime id that is not text is refused", try: runtimeIDsAreText},
		{words: "what is not there is absent, and no error", try: absentIsNotAnError},
		{words: "what a write does not store stays absent", try: restStaysAbsent},
	}
}

// A wayIn is an operation that stores input states.
type wayIn struct {
	name string
	do   func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, states ...store.InputState) error
}

// waysIn are all of them, first the one that stamps its updates.
func waysIn() []wayIn {
	return []wayIn{
		{"CommitSessionBoundary", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, states ...store.InputState) error {
			_, err := s.CommitSessionBoundary(ctx, id, committing(store.RunID{1}, states...))
			return err
		}},
		{"AtomicApply", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, states ...store.InputState) error {
			return s.AtomicApply(ctx, id, applying(store.RunID{1}, 0, states...))
		}},
		{"AtomicLifecycleCommit", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, states ...store.InputState) error {
			return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: states})
		}},
		{"PersistInputState", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, states ...store.InputState) error {
			for _, state := range states {
				if err := s.PersistInputState(ctx, id, state); err != nil {
					return err
				}
			}
			return nil
		}},
	}
}

// putInputs stores every sample of an input state by every way in, once as a new input
// and once as an update, and returns a function that checks them.
func (tr *trial) putInputs() (check func()) {
	tr.Helper()
	var names []string
	var states, others []store.InputState
	for i, s := range samples() {
		state := tr.inputFrom(s.text)
		require.Equal(tr, s.text, textOf(state), "this suite's own sample")
		if state.PersistedInput != nil {
			state.PersistedInput = append([]byte(" \n"), state.PersistedInput...) // its JSON does not show this white space
		}
		state.InputID = store.InputID{byte(i), 5}
		other := tr.rich()
		other.InputID = state.InputID
		names, states, others = append(names, s.name), append(states, state), append(others, other)
	}
	for _, way := range waysIn() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, states...), way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id+", updated", others...), way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id+", updated", states...), way.name)
	}
	return func() {
		tr.Helper()
		for i, way := range waysIn() {
			id := store.RuntimeID(way.name)
			tr.areThere(id, names, states, i == 0, 0)
			tr.areThere(id+", updated", names, states, i == 0, 1)
		}
	}
}

// areThere checks that a runtime has these inputs and no others.
func (tr *trial) areThere(id store.RuntimeID, names []string, states []store.InputState, stamped bool, sequence uint64) {
	tr.Helper()
	all := textsOf(tr.inputs(id))
	require.Equal(tr, len(states), len(all), "the number of inputs after %s", id)
	for i, want := range states {
		if stamped {
			want.LastRunID, want.LastBoundarySequence = &store.RunID{1}, &sequence
		}
		got := tr.input(id, want.InputID)
		tr.same(textOf(want), textOf(got), "%s, after %s, by LoadInputState", names[i], id)
		tr.same(string(want.PersistedInput), string(got.PersistedInput), "the persisted_input of %s, after %s", names[i], id)
		tr.same(textOf(want), all[i], "%s, after %s, by LoadInputStates", names[i], id)
	}
}

// same compares texts that may be long. A failure shows only where they begin to
// differ.
func (tr *trial) same(want, got, format string, args ...any) {
	tr.Helper()
	if want == got {
		return
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	from := max(0, at-60)
	tr.Errorf("%s: at byte %d of %d: got %.200q, want %.200q", fmt.Sprintf(format, args...), at, len(want), got[from:], want[from:])
}

func largeMembersComeBack(tr *trial) {
	large := accepted(1)
	large.PersistedInput = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	for _, way := range waysIn() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, large), way.name)
		tr.same(string(large.PersistedInput), string(tr.input(id, large.InputID).PersistedInput), "persisted_input, by %s", way.name)
	}
}

func timesComeBack(tr *trial) {
	var states []store.InputState
	texts := []string{
		"1970-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.999999999Z", "2026-03-12T15:57:06.000000001Z",
		"1969-12-31T23:59:59.999Z", "0000-01-01T00:00:00Z", "-0001-12-31T23:59:59.000001Z", "+10000-01-01T00:00:00Z",
		"-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z",
	}
	for i, text := range texts {
		state := tr.inputFrom(strings.NewReplacer("2026-03-12T15:57:06Z", text, "2026-03-12T15:57:06.500Z", text).Replace(bare))
		state.InputID = store.InputID{byte(i)}
		state.History = []store.HistoryEntry{{Timestamp: state.CreatedAt, From: store.InputAccepted, To: store.InputQueued}}
		states = append(states, state)
	}
	for _, way := range waysIn() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, states...))
		for i, text := range texts {
			got := tr.input(id, store.InputID{byte(i)})
			assert.Equal(tr, text, got.CreatedAt.String(), "created_at, by %s", way.name)
			assert.Equal(tr, text, got.UpdatedAt.String(), "updated_at, by %s", way.name)
			require.Len(tr, got.History, 1)
			assert.Equal(tr, text, got.History[0].Timestamp.String(), "the time in the history, by %s", way.name)
		}
	}
}

// putReceipts applies receipts that cover every member, and returns a function that
// checks them.
func (tr *trial) putReceipts() (check func()) {
	receipts := []store.RunBoundaryReceipt{
		{Boundary: store.Immediate},
		{Boundary: store.RunCheckpoint, Sequence: 7, ContributingInputIDs: []store.InputID{{3}, {1}, {3}, {3}}, ConversationDigest: new("not a digest"), MessageCount: math.MaxUint64},
		{Boundary: store.RunStart, Sequence: math.MaxUint64, ConversationDigest: new(""), MessageCount: 9007199254740993},
		{Boundary: store.RunStart, Sequence: 9007199254740993, ContributingInputIDs: []store.InputID{{}}, ConversationDigest: new("clé \x00")},
		{Boundary: store.Immediate, ConversationDigest: new(strings.Repeat("d", 1<<20))},
	}
	for i := range receipts {
		receipts[i].RunID = store.RunID{byte(i)} // including the nil id
		tr.apply("receipts", store.BoundaryApply{Receipt: receipts[i], SessionStoreKey: &store.SessionID{1}})
	}
	return func() {
		tr.Helper()
		for i, want := range receipts {
			tr.same(textOf(want), textOf(tr.receipt("receipts", want.RunID, want.Sequence)), "receipt %d", i)
		}
	}
}

// putSnapshots stores snapshots, each in a runtime of its own, and returns a function
// that checks them.
func (tr *trial) putSnapshots() (check func()) {
	want := map[store.RuntimeID]string{}
	for i, text := range []string{"not a document", "\x00\xff\xfe\r\n", " ", "{}", "\ufeff", strings.Repeat("x", 1<<20)} {
		id := store.RuntimeID(fmt.Sprintf("applied %d", i))
		a := applying(store.RunID{1}, 0)
		a.Session = &store.SessionDelta{SessionSnapshot: []byte(text)}
		tr.apply(id, a)
		want[id] = text
	}
	for i, text := range []string{
		string(document("[]")), " \n" + string(document(conversation(2, 2))) + "\t",
		strings.ReplaceAll(string(document(conversation(1, 1))), ",", "\r\n, "), string(document(conversation(3, 100_000))),
	} {
		id := store.RuntimeID(fmt.Sprintf("committed %d", i))
		c := committing(store.RunID{1})
		c.Session.SessionSnapshot = []byte(text)
		tr.commit(id, c)
		want[id] = text
	}
	return func() {
		tr.Helper()
		for _, id := range slices.Sorted(maps.Keys(want)) {
			tr.same(want[id], string(tr.snapshot(id)), "the snapshot %s", id)
		}
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
	for _, s := range runtimeStates {
		tr.setRuntime("a", s)
		assert.Equal(tr, s, tr.runtime("a"))
		tr.lifecycle("b", s)
		assert.Equal(tr, s, tr.runtime("b"))
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
		a := applying(store.RunID{2}, 0)
		a.Receipt.Boundary = b
		tr.apply("a", a)
		assert.Equal(tr, b, tr.receipt("a", store.RunID{2}, 0).Boundary)
	}
}

func unknownValuesAreRefused(tr *trial) {
	for _, bad := range []store.RuntimeState{"", "Idle", "\xff"} {
		tr.refused("PersistRuntimeState", tr.store.PersistRuntimeState(tr.Context(), "a", bad), store.ErrInvalidValue)
		err := tr.store.AtomicLifecycleCommit(tr.Context(), "a", store.LifecycleCommit{RuntimeState: bad})
		tr.refused("AtomicLifecycleCommit", err, store.ErrInvalidValue)
	}
	for _, bad := range []store.RunApplyBoundary{"", "Immediate", "\xff"} {
		a, c := applying(store.RunID{1}, 0), committing(store.RunID{1})
		a.Receipt.Boundary, c.Boundary = bad, bad
		tr.refused("AtomicApply", tr.store.AtomicApply(tr.Context(), "a", a), store.ErrInvalidValue)
		_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", c)
		tr.refused("CommitSessionBoundary", err, store.ErrInvalidValue)
	}
	digest := applying(store.RunID{1}, 0)
	digest.Receipt.ConversationDigest = new("\xff")
	tr.refused("AtomicApply with a digest that is not text", tr.store.AtomicApply(tr.Context(), "a", digest), store.ErrInvalidValue)
	assert.Equal(tr, view{}, tr.view("a"), "nothing was stored")
}

// The invalid state comes first, or last, or before a valid state of the same input.
func invalidStatesAreRefused(tr *trial) {
	for _, s := range spoilers() {
		bad := tr.rich()
		s.do(&bad)
		replaced := accepted(0)
		replaced.InputID = bad.InputID
		for _, way := range waysIn() {
			batches := [][]store.InputState{{bad, accepted(1)}, {accepted(1), bad}, {bad, replaced}, {bad}}
			if way.name == "PersistInputState" {
				batches = batches[3:]
			}
			for i, batch := range batches {
				err := way.do(tr.Context(), tr.store, "a", batch...)
				tr.refused(fmt.Sprintf("%s with %s, batch %d", way.name, s.name, i), err, store.ErrInvalidValue)
			}
		}
	}
}

// runtimeIDs are ids that a store could take for each other.
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
	tr.allRefused(tr.allWrites("\xff", tr.Context()), store.ErrInvalidValue, "under a runtime id that is not UTF-8")
	tr.allRefused(tr.allWrites("a\xed\xa0\x80", tr.Context()), store.ErrInvalidValue, "under a runtime id with a surrogate")
	assert.Equal(tr, view{}, tr.view("\xff"), "nothing was stored under it")
}

func absentIsNotAnError(tr *trial) {
	for _, what := range []string{"an empty store", "a filled store"} {
		if what == "a filled store" {
			tr.fill("a")
		}
		states := tr.inputs("b")
		assert.NotNil(tr, states, "%s: LoadInputStates returned nil, not an empty list", what)
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
	assert.False(tr, ok, "an input of another id")
	_, ok, err = tr.store.LoadBoundaryReceipt(tr.Context(), "a", store.RunID{1}, 99)
	assert.NoError(tr, err)
	assert.False(tr, ok, "a receipt of another sequence")
}

// Each write goes to a runtime of its own, where all that it does not store must be
// absent.
func restStaysAbsent(tr *trial) {
	for _, w := range writes() {
		id := store.RuntimeID(w.name)
		require.NoError(tr, w.do(tr.Context(), tr.store, id, 1), w.name)
		got := tr.view(id)
		stores := func(name string) bool {
			return slices.ContainsFunc(w.parts, func(p part) bool { return p.name == name })
		}
		assert.Equal(tr, stores(statePart.name), got.HasState, "%s, then LoadRuntimeState", w.name)
		assert.Equal(tr, stores(snapshotPart.name), got.HasSnapshot, "%s, then LoadSessionSnapshot", w.name)
		assert.Equal(tr, stores(mintedPart.name) || stores(receiptPart.name), len(got.Receipts) == 1, "%s, then LoadBoundaryReceipt", w.name)
		assert.Equal(tr, w.name != "PersistRuntimeState", len(got.Inputs) == 1, "%s, then LoadInputStates", w.name)
		assert.Equal(tr, got.HasState, got.State != "", "%s, then LoadRuntimeState", w.name)
		assert.Equal(tr, got.HasSnapshot, got.Snapshot != "", "%s, then LoadSessionSnapshot", w.name)
	}
}
