package storetest

import (
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func operations() []promise {
	return []promise{
		{words: "CommitSessionBoundary mints a receipt, stores it and returns it", try: commitMintsAReceipt},
		{words: "CommitSessionBoundary stamps its updates", try: commitStampsUpdates},
		{words: "CommitSessionBoundary replaces the snapshot", try: commitReplacesTheSnapshot},
		{words: "CommitSessionBoundary takes digest and count from the conversation", try: digestIsOfTheConversation},
		{words: "the digest is the same however a conversation is spelled", try: digestIsOfTheCanonicalText},
		{words: "an edited message changes the digest", try: editsChangeTheDigest},
		{words: "CommitSessionBoundary does not look up contributing inputs", try: contributorsAreNotLookedUp},
		{words: "CommitSessionBoundary mints the sequence after the highest", try: sequenceFollowsTheHighest},
		{words: "CommitSessionBoundary refuses a run at its last sequence", try: lastSequenceIsTheLast},
		{words: "CommitSessionBoundary refuses what is not a session document", try: notADocumentIsRefused},
		{words: "AtomicApply stores a receipt, a snapshot and updates as they are", try: applyStoresAsIs},
		{words: "AtomicApply without a session leaves the snapshot", try: applyWithoutSession},
		{words: "AtomicApply replaces the receipt at its place", try: applyReplacesTheReceipt},
		{words: "AtomicApply takes any session store key unless keys are strict", try: applyTakesAnyKey},
		{words: "PersistInputState adds and replaces, LoadInputState finds", try: persistInputReplaces},
		{words: "LoadInputStates returns every input", try: loadReturnsAll},
		{words: "inputs with the same idempotency key are all kept", try: keysAreNotLookedAt},
		{words: "LoadBoundaryReceipt finds by run and sequence", try: receiptsAreFoundByPlace},
		{words: "LoadSessionSnapshot returns the latest", try: latestSnapshot},
		{words: "PersistRuntimeState lets any state follow any other", try: anyStateFollows},
		{words: "LoadRuntimeState returns the latest", try: latestRuntimeState},
		{words: "AtomicLifecycleCommit stores the state and the inputs", try: lifecycleStoresBoth},
	}
}

func commitMintsAReceipt(tr *trial) {
	c := committing(store.RunID{1})
	c.Boundary, c.ContributingInputIDs = store.RunCheckpoint, []store.InputID{{2}, {1}, {2}, {2}}
	for sequence := range uint64(3) {
		got := tr.commit("a", c)
		want := store.RunBoundaryReceipt{
			RunID: c.RunID, Boundary: c.Boundary, ContributingInputIDs: c.ContributingInputIDs,
			ConversationDigest: new(digestOf(conversation(1, 1))), MessageCount: 1, Sequence: sequence,
		}
		assert.Equal(tr, textOf(want), textOf(got), "the answer")
		for earlier := range sequence + 1 {
			want.Sequence = earlier
			assert.Equal(tr, textOf(want), textOf(tr.receipt("a", c.RunID, earlier)), "receipt %d after %d", earlier, sequence)
		}
	}
}

func commitStampsUpdates(tr *trial) {
	tr.persist("a", accepted(1), accepted(2))
	stale := attempted(1, 7)
	stale.LastRunID, stale.LastBoundarySequence = &store.RunID{8}, new(uint64(8))
	for sequence := range uint64(2) {
		tr.commit("a", committing(store.RunID{1}, stale, accepted(3)))
		for _, want := range []store.InputState{stale, accepted(3)} {
			want.LastRunID, want.LastBoundarySequence = &store.RunID{1}, new(sequence)
			assert.Equal(tr, textOf(want), textOf(tr.input("a", want.InputID)), "stamped")
		}
		tr.commit("a", committing(store.RunID{}, attempted(4, 1), attempted(5, 1), attempted(4, 2))) // the nil id names a run like any other
		for n, attempt := range map[byte]uint32{4: 2, 5: 1} {
			want := attempted(n, attempt)
			want.LastRunID, want.LastBoundarySequence = &store.RunID{}, new(sequence)
			assert.Equal(tr, textOf(want), textOf(tr.input("a", want.InputID)), "the last of two updates, stamped with the run of the nil id")
		}
		assert.Equal(tr, textOf(accepted(2)), textOf(tr.input("a", store.InputID{2})), "it was not in the commit")
	}
}

func commitReplacesTheSnapshot(tr *trial) {
	for _, n := range []int{3, 5, 1, 0} {
		c := committing(store.RunID{byte(n)})
		c.Session.SessionSnapshot = document(conversation(n, 10))
		tr.commit("a", c)
		assert.Equal(tr, string(c.Session.SessionSnapshot), string(tr.snapshot("a")))
	}
}

// A store may continue from the conversation that it holds. The digest must be the same.
func digestIsOfTheConversation(tr *trial) {
	for i, n := range []int{1, 5, 6, 6, 2, 9, 0, 3} {
		canonical := conversation(n, 1000)
		for _, text := range []string{canonical, strings.ReplaceAll(canonical, `,"`, "\n , \"")} {
			c := committing(store.RunID{1})
			c.Session.SessionSnapshot = document(text)
			receipt := tr.commit("a", c)
			require.NotNil(tr, receipt.ConversationDigest)
			assert.Equal(tr, digestOf(canonical), *receipt.ConversationDigest, "commit %d, %d messages", i, n)
			assert.EqualValues(tr, n, receipt.MessageCount)
		}
		if i == 4 { // bytes that are not a document, and are not read
			a := applying(store.RunID{2}, 0)
			a.Session = &store.SessionDelta{SessionSnapshot: document(canonical)[:500]}
			tr.apply("a", a)
		}
	}
}

// commitOf commits a snapshot, and returns what the receipt says of its conversation.
func (tr *trial) commitOf(snapshot []byte) (digest string, count uint64) {
	tr.Helper()
	c := committing(store.RunID{1})
	c.Session.SessionSnapshot = snapshot
	receipt := tr.commit("a", c)
	require.NotNil(tr, receipt.ConversationDigest)
	return *receipt.ConversationDigest, receipt.MessageCount
}

func digestIsOfTheCanonicalText(tr *trial) {
	for _, s := range spellings() {
		for i, snapshot := range s.snapshots() {
			digest, count := tr.commitOf(snapshot)
			assert.Equal(tr, s.digest, digest, "%s, spelling %d", s.name, i)
			assert.EqualValues(tr, 1, count, "%s, spelling %d", s.name, i)
			assert.Equal(tr, string(snapshot), string(tr.snapshot("a")), "the snapshot is kept as it was spelled")
		}
	}
}

// An edited conversation is as long as it was, so a store that continues from the one
// that it holds must compare. The documents are small and large.
func editsChangeTheDigest(tr *trial) {
	for _, size := range []int{1, 2000} {
		text := conversation(5, size)
		for _, message := range []int{0, 2, 4} {
			edited := strings.Replace(text, fmt.Sprintf(`"content":"%d x`, message), fmt.Sprintf(`"content":"%d y`, message), 1)
			require.NotEqual(tr, text, edited, "this suite's own sample")
			for _, canonical := range []string{text, edited, text} {
				digest, count := tr.commitOf(document(canonical))
				assert.Equal(tr, digestOf(canonical), digest, "message %d of 5 was edited, %d letters each", message, size)
				assert.EqualValues(tr, 5, count)
			}
		}
	}
}

func contributorsAreNotLookedUp(tr *trial) {
	c := committing(store.RunID{1})
	c.ContributingInputIDs = []store.InputID{{1}, {9}, {1}}
	tr.persist("a", accepted(1))
	before := tr.viewInputs("a")
	assert.Equal(tr, c.ContributingInputIDs, tr.commit("a", c).ContributingInputIDs)
	assert.Equal(tr, before, tr.viewInputs("a"), "the inputs stay as they are")
}

func sequenceFollowsTheHighest(tr *trial) {
	next := func(id store.RuntimeID, run byte) uint64 {
		return tr.commit(id, committing(store.RunID{run})).Sequence
	}
	assert.EqualValues(tr, 0, next("a", 1))
	tr.apply("a", applying(store.RunID{1}, 41))
	assert.EqualValues(tr, 42, next("a", 1), "after a receipt that was applied")
	tr.apply("a", applying(store.RunID{1}, 7))
	tr.apply("a", applying(store.RunID{1}, 41))
	assert.EqualValues(tr, 43, next("a", 1), "a lower receipt does not lower it")
	assert.EqualValues(tr, 0, next("a", 2), "another run has its own")
	assert.EqualValues(tr, 0, next("b", 1), "another runtime has its own")
	tr.apply("a", applying(store.RunID{1}, math.MaxUint64-1))
	assert.EqualValues(tr, uint64(math.MaxUint64), next("a", 1), "the last sequence")
}

func lastSequenceIsTheLast(tr *trial) {
	tr.apply("a", applying(store.RunID{1}, math.MaxUint64))
	for range 2 {
		_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}))
		tr.refused("CommitSessionBoundary", err, store.ErrSequenceExhausted)
	}
	assert.Zero(tr, tr.commit("a", committing(store.RunID{2})).Sequence, "another run goes on")
	assert.Zero(tr, tr.commit("b", committing(store.RunID{1})).Sequence, "another runtime goes on")
}

func notADocumentIsRefused(tr *trial) {
	good := string(document(conversation(1, 1)))
	for _, text := range []string{
		"", " ", "{", "{}", "[]", "null", "0", good + "x", good + good, good[:len(good)-1], "\xff" + good,
		strings.Replace(good, `"messages"`, `"massages"`, 1), strings.Replace(good, "0195b1c2", "0195b1cx", 1),
		strings.Replace(good, `"role":"user",`, "", 1), strings.Replace(good, `[{"role"`, `[0,{"role"`, 1),
		strings.Repeat("[", 100_000),
	} {
		c := committing(store.RunID{1})
		c.Session.SessionSnapshot = []byte(text)
		_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", c)
		tr.refused(fmt.Sprintf("a snapshot of %.60q", text), err, store.ErrInvalidSnapshot)
	}
}

func applyStoresAsIs(tr *trial) {
	a := applying(store.RunID{1}, 3, accepted(1), attempted(2, 5))
	a.Session = &store.SessionDelta{SessionSnapshot: []byte("not a document")}
	a.Receipt.ContributingInputIDs, a.Receipt.ConversationDigest, a.Receipt.MessageCount = []store.InputID{{9}}, new("any"), 7
	tr.persist("a", accepted(2))
	tr.apply("a", a)
	assert.Equal(tr, textOf(a.Receipt), textOf(tr.receipt("a", store.RunID{1}, 3)))
	assert.Equal(tr, "not a document", string(tr.snapshot("a")))
	assert.Equal(tr, textOf(accepted(1)), textOf(tr.input("a", store.InputID{1})), "not stamped")
	assert.Equal(tr, textOf(attempted(2, 5)), textOf(tr.input("a", store.InputID{2})), "not stamped")
}

func applyWithoutSession(tr *trial) {
	tr.apply("a", applying(store.RunID{1}, 0))
	_, ok, err := tr.store.LoadSessionSnapshot(tr.Context(), "a")
	require.NoError(tr, err)
	assert.False(tr, ok, "there was none")
	tr.commit("a", committing(store.RunID{1}))
	tr.apply("a", applying(store.RunID{1}, 1))
	assert.Equal(tr, string(document(conversation(1, 1))), string(tr.snapshot("a")))
}

func applyReplacesTheReceipt(tr *trial) {
	minted := tr.commit("a", committing(store.RunID{1}))
	next := tr.commit("a", committing(store.RunID{1}))
	a := applying(store.RunID{1}, 0)
	a.Receipt.MessageCount = 7
	for range 2 {
		tr.apply("a", a)
		got := tr.receipt("a", store.RunID{1}, 0)
		assert.Equal(tr, textOf(a.Receipt), textOf(got))
		assert.NotEqual(tr, textOf(minted), textOf(got))
		a.Receipt.ConversationDigest = new("again")
	}
	assert.Equal(tr, textOf(next), textOf(tr.receipt("a", store.RunID{1}, 1)), "the next one stays")
}

// The document's own id is a key that every store takes. A store that can load sessions
// finds each one under the key that was given, and only there.
func applyTakesAnyKey(tr *trial) {
	own, err := store.ParseSessionID("0195b1c2-0000-7000-8000-000000000001")
	require.NoError(tr, err)
	other := store.SessionID{7}
	a := applying(store.RunID{1}, 0, accepted(1))
	a.Session, a.SessionStoreKey = &store.SessionDelta{SessionSnapshot: document(conversation(2, 2))}, &other
	if tr.factory.StrictSessionKeys {
		tr.refused("AtomicApply with another id", tr.store.AtomicApply(tr.Context(), "a", a), store.ErrSessionKeyMismatch)
		assert.Equal(tr, view{}, tr.view("a"), "the call was refused")
		tr.filed(other, "")
		a.SessionStoreKey = &own
	}
	tr.apply("a", a)
	assert.Equal(tr, string(a.Session.SessionSnapshot), string(tr.snapshot("a")))
	tr.filed(*a.SessionStoreKey, string(a.Session.SessionSnapshot))
	if !tr.factory.StrictSessionKeys {
		tr.filed(own, "")
	}
}

// filed checks what a store that can load sessions has under a key, "" for nothing.
func (tr *trial) filed(key store.SessionID, want string) {
	tr.Helper()
	if s, ok := tr.store.(sessionLoader); ok {
		got, ok, err := s.LoadSession(tr.Context(), key)
		require.NoError(tr, err, "LoadSession")
		assert.Equal(tr, want != "", ok, "whether session %v exists", key)
		tr.same(want, got.String(), "session %v", key)
	}
}

func persistInputReplaces(tr *trial) {
	for attempt := range uint32(3) {
		tr.persist("a", attempted(1, attempt))
		assert.Equal(tr, textOf(attempted(1, attempt)), textOf(tr.input("a", store.InputID{1})))
	}
	withKey := accepted(1)
	withKey.IdempotencyKey, withKey.History = new("k"), []store.HistoryEntry{{From: store.InputQueued, To: store.InputStaged}}
	tr.persist("a", withKey, accepted(1))
	assert.Equal(tr, textOf(accepted(1)), textOf(tr.input("a", store.InputID{1})), "nothing is left of the old state")
}

func loadReturnsAll(tr *trial) {
	lives := []store.InputLifecycleState{
		store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption,
		store.InputConsumed, store.InputSuperseded, store.InputCoalesced, store.InputAbandoned,
	}
	var want []string
	for n := range byte(100) {
		state := attempted(n, uint32(n))
		state.CurrentState = lives[int(n)%len(lives)] // including those whose life has ended
		tr.persist("a", state)
		want = append(want, textOf(state))
	}
	for _, state := range runtimeStates { // whatever the state of the runtime
		tr.setRuntime("a", state)
		assert.ElementsMatch(tr, want, textsOf(tr.inputs("a")), "the runtime is %s", state)
	}
}

func keysAreNotLookedAt(tr *trial) {
	for _, way := range waysIn() {
		one, other := attempted(1, 1), attempted(2, 2)
		one.IdempotencyKey, other.IdempotencyKey = new("k"), new("k")
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, one, other), way.name)
		assert.Equal(tr, []int{1, 2}, tr.order(id), "after %s", way.name)
	}
}

func receiptsAreFoundByPlace(tr *trial) {
	for run := range byte(3) {
		for sequence := range uint64(3) {
			a := applying(store.RunID{run}, sequence)
			a.Receipt.MessageCount = uint64(run)*10 + sequence
			tr.apply("a", a)
		}
	}
	for run := range byte(3) {
		for sequence := range uint64(3) {
			assert.Equal(tr, uint64(run)*10+sequence, tr.receipt("a", store.RunID{run}, sequence).MessageCount)
		}
	}
}

func latestSnapshot(tr *trial) {
	a := applying(store.RunID{1}, 0)
	for _, text := range []string{"long and first", "second", "", "last"} {
		a.Session = &store.SessionDelta{SessionSnapshot: []byte(text)}
		tr.apply("a", a)
		assert.Equal(tr, text, string(tr.snapshot("a")))
	}
	tr.commit("a", committing(store.RunID{1}))
	assert.Equal(tr, string(document(conversation(1, 1))), string(tr.snapshot("a")))
}

func anyStateFollows(tr *trial) {
	for _, from := range runtimeStates {
		for _, to := range runtimeStates {
			tr.setRuntime("a", from)
			tr.setRuntime("a", to)
			assert.Equal(tr, to, tr.runtime("a"), "after %s", from)
		}
	}
}

func latestRuntimeState(tr *trial) {
	tr.setRuntime("a", store.RuntimeInitializing)
	assert.Equal(tr, store.RuntimeInitializing, tr.runtime("a"))
	tr.lifecycle("a", store.RuntimeRetired)
	assert.Equal(tr, store.RuntimeRetired, tr.runtime("a"))
	tr.commit("a", committing(store.RunID{1}))
	tr.persist("a", accepted(1))
	assert.Equal(tr, store.RuntimeRetired, tr.runtime("a"), "other writes leave it")
}

func lifecycleStoresBoth(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	require.Len(tr, before.Inputs, 2)
	tr.lifecycle("a", store.RuntimeRetired, attempted(1, 4), accepted(5))
	after := tr.view("a")
	assert.Equal(tr, store.RuntimeRetired, after.State)
	assert.ElementsMatch(tr, []string{textOf(attempted(1, 4)), before.Inputs[1], textOf(accepted(5))}, after.Inputs)
	after.State, after.Inputs = before.State, before.Inputs
	assert.Equal(tr, before, after, "snapshot and receipts stay")
}
