package storetest

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func batches() []promise {
	promises := []promise{
		{words: "each write does what its operation does", try: writesDoTheirOperations},
		{words: "each write sees those before it", try: writesSeeEarlierOnes},
		{words: "a deletion removes what it names, and nothing else", try: deletedIsGone},
		{words: "a batch changes nothing if a later write is refused", try: refusedBatchChangesNothing},
		{words: "a conflict names the first condition that does not hold", try: firstConflictIsNamed},
		{words: "conditions see what stood before the batch", try: conditionsComeFirst},
		{words: "invalid conditions are refused", try: invalidConditionsAreRefused},
		{words: "an input is claimed once, however many callers want it", try: inputsAreClaimedOnce},
		{words: "a counter guarded by VersionIs loses no update", try: countersLoseNothing},
		{words: "each change gets the next revision, and a call that changes nothing gets none", try: revisionsCountChanges},
		{words: "a runtime that is deleted and made again never has an earlier version", try: versionsDoNotReturn},
		{words: "Commit copies its argument, and does not change it", try: batchesAreCopied},
		{words: "Commit returns receipts that are the caller's own", try: batchReceiptsAreCopies},
		{words: "View shows a batch on several runtimes whole or not at all", try: needs[state.Viewer](func(tr *trial) { tr.batchesAreSeenWhole(tr.viewer("a"), tr.viewer("b")) })},
		{words: "a batch changes nothing if its context has ended or the store is closed", try: endedBatchesChangeNothing},
	}
	for _, c := range conditionals() {
		promises = append(promises, promise{words: c.name + " holds, or is a conflict that changes nothing", try: c.try})
	}
	return promises
}

// everything returns all that callers can see of this chapter's runtimes.
func (tr *trial) everything() map[string]any {
	tr.Helper()
	all := map[string]any{"revision": tr.write().Revision}
	for _, id := range []store.RuntimeID{"a", "b", "c", "raw"} {
		all["version of "+string(id)], all[string(id)] = tr.version(id), tr.view(id)
	}
	if s, ok := tr.store.(sessionLoader); ok {
		filed, ok, err := s.LoadSession(tr.Context(), store.SessionID{7})
		require.NoError(tr, err)
		all["session"], all["has a session"] = filed.String(), ok
	}
	return all
}

func writesDoTheirOperations(tr *trial) {
	c := committing(store.RunID{1}, attempted(1, 5), accepted(3))
	c.ContributingInputIDs = []store.InputID{{2}, {1}, {2}}
	a := applying(store.RunID{1}, 7)
	tr.persist("a", tr.rich(), accepted(1))
	tr.setRuntime("a", store.RuntimeIdle)
	want := tr.commit("a", c)
	tr.apply("a", a)
	result := tr.write(putting("b", tr.rich()), putting("b", accepted(1)), setting("b", store.RuntimeIdle),
		bounding("b", c), batch.PutReceipt{RuntimeID: "b", Receipt: a.Receipt})
	assert.Equal(tr, tr.view("a"), tr.view("b"), "by operations and by a batch")
	require.Len(tr, result.Receipts, 1, "one receipt was minted")
	assert.Equal(tr, textOf(want), textOf(result.Receipts[0]))

	for _, snapshot := range [][]byte{nil, []byte("x"), document(conversation(3, 3))} {
		assert.Empty(tr, tr.write(batch.PutSnapshot{RuntimeID: "b", Snapshot: snapshot}).Receipts)
		assert.Equal(tr, string(snapshot), string(tr.snapshot("b")))
	}
	_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.SessionDigestIs{RuntimeID: "b", Digest: digestOf(conversation(3, 3))}}})
	assert.NoError(tr, err, "the digest of a document is known")
}

func writesSeeEarlierOnes(tr *trial) {
	tr.fill("a")
	result := tr.write(
		bounding("a", committing(store.RunID{1}, attempted(5, 1))), bounding("a", committing(store.RunID{1}, attempted(5, 2))),
		batch.PutReceipt{RuntimeID: "a", Receipt: applying(store.RunID{1}, 40).Receipt}, bounding("a", committing(store.RunID{1})),
		batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}, putting("a", accepted(4)), putting("a", attempted(1, 3)),
		setting("a", store.RuntimeRunning), setting("a", store.RuntimeStopped),
		setting("b", store.RuntimeRunning), bounding("b", committing(store.RunID{1})), deleting("b"), bounding("b", committing(store.RunID{1})),
	)
	var sequences []uint64
	for _, r := range result.Receipts {
		sequences = append(sequences, r.Sequence)
	}
	assert.Equal(tr, []uint64{1, 2, 41, 0, 0}, sequences, "the sequences that were minted")
	assert.Equal(tr, []int{2, 5, 4, 1}, tr.order("a"), "an input that was deleted and put again is the last one")
	five := attempted(5, 2)
	five.LastRunID, five.LastBoundarySequence = &store.RunID{1}, new(uint64(2))
	assert.Equal(tr, textOf(five), textOf(tr.input("a", five.InputID)), "the last update, stamped with its own boundary")
	assert.Equal(tr, store.RuntimeStopped, tr.runtime("a"))
	assert.False(tr, tr.view("b").HasState, "it was set before the runtime was deleted")
}

func deletedIsGone(tr *trial) {
	tr.fill("a")
	tr.fill("b")
	b := tr.view("b")
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}})
	want := b
	want.Inputs = b.Inputs[1:]
	assert.Equal(tr, want, tr.view("a"), "all but input 1")
	tr.write(deleting("a"))
	assert.Equal(tr, view{}, tr.view("a"))
	assert.Equal(tr, b, tr.view("b"), "another runtime")
	assert.Zero(tr, tr.version("a"))
	assert.Zero(tr, tr.commit("a", committing(store.RunID{9})).Sequence, "its sequences begin again")
}

// A badWrite ends a batch that must be refused. The writes in front of it are valid.
type badWrite struct {
	name string
	is   error
	then []batch.Write
}

func badWrites() []badWrite {
	type embedded struct{ batch.PutRuntimeState }
	bad := func(change func(*store.BoundaryCommit)) []batch.Write {
		c := committing(store.RunID{1}, accepted(6))
		change(&c)
		return []batch.Write{bounding("a", c)}
	}
	badText := store.RuntimeID("\xff")
	return []badWrite{
		{"a commit to a run at its last sequence", store.ErrSequenceExhausted, bad(func(c *store.BoundaryCommit) { c.RunID = store.RunID{9} })},
		{
			"a commit to a run that an earlier write brought to its last sequence", store.ErrSequenceExhausted,
			[]batch.Write{batch.PutReceipt{RuntimeID: "c", Receipt: applying(store.RunID{5}, math.MaxUint64).Receipt}, bounding("c", committing(store.RunID{5}))},
		},
		{"a commit of a snapshot that is not a document", store.ErrInvalidSnapshot, bad(func(c *store.BoundaryCommit) { c.Session.SessionSnapshot = []byte("x") })},
		{"a commit with a bad boundary", store.ErrInvalidValue, bad(func(c *store.BoundaryCommit) { c.Boundary = "x" })},
		{"a commit with a bad update", store.ErrInvalidValue, bad(func(c *store.BoundaryCommit) { c.InputUpdates = append(c.InputUpdates, store.InputState{}) })},
		{"a bad receipt", store.ErrInvalidValue, []batch.Write{batch.PutReceipt{RuntimeID: "a"}}},
		{"a bad input state", store.ErrInvalidValue, []batch.Write{putting("a", store.InputState{})}},
		{"a bad runtime state", store.ErrInvalidValue, []batch.Write{setting("a", "x")}},
		{"a runtime id that is not text, to PutRuntimeState", store.ErrInvalidValue, []batch.Write{setting(badText, store.RuntimeIdle)}},
		{"a runtime id that is not text, to PutInputState", store.ErrInvalidValue, []batch.Write{putting(badText, accepted(1))}},
		{"a runtime id that is not text, to PutReceipt", store.ErrInvalidValue, []batch.Write{batch.PutReceipt{RuntimeID: badText, Receipt: applying(store.RunID{1}, 0).Receipt}}},
		{"a runtime id that is not text, to PutSnapshot", store.ErrInvalidValue, []batch.Write{batch.PutSnapshot{RuntimeID: badText}}},
		{"a runtime id that is not text, to CommitBoundary", store.ErrInvalidValue, []batch.Write{bounding(badText, committing(store.RunID{1}))}},
		{"a runtime id that is not text, to DeleteInputState", store.ErrInvalidValue, []batch.Write{batch.DeleteInputState{RuntimeID: badText}}},
		{"a runtime id that is not text, to DeleteRuntime", store.ErrInvalidValue, []batch.Write{deleting(badText)}},
		{"no write", store.ErrInvalidValue, []batch.Write{nil}},
		{"a write of another package", store.ErrInvalidValue, []batch.Write{embedded{batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}}}},
		{"a pointer to no write", store.ErrInvalidValue, []batch.Write{(*batch.DeleteRuntime)(nil)}},
	}
}

func refusedBatchChangesNothing(tr *trial) {
	tr.fill("a")
	tr.persist("a", keyed(3, "three"))
	filed := applying(store.RunID{2}, 0)
	filed.Session, filed.SessionStoreKey = &store.SessionDelta{SessionSnapshot: []byte("filed")}, &store.SessionID{7}
	tr.apply("b", filed)
	good := []batch.Write{
		batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}, putting("a", keyed(1, "one")),
		batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{3}}, putting("a", attempted(2, 9)), putting("a", accepted(4)),
		bounding("a", committing(store.RunID{1})), batch.PutReceipt{RuntimeID: "a", Receipt: applying(store.RunID{9}, 0).Receipt},
		batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("x")}, setting("a", store.RuntimeRunning),
		deleting("b"), setting("b", store.RuntimeRunning), setting("c", store.RuntimeRunning),
	}
	before := tr.everything()
	for _, bad := range badWrites() {
		_, err := tr.tryBatch(batch.Batch{Then: slices.Concat(good, bad.then)})
		tr.refused("a batch with "+bad.name, err, bad.is)
		require.Equal(tr, before, tr.everything(), "what is there after a batch with %s", bad.name)
	}
	result, err := tr.tryBatch(batch.Batch{
		If:   []batch.Condition{batch.KeyFree{RuntimeID: "a", Key: "one"}, batch.RuntimeAbsent{RuntimeID: "c"}},
		Then: good,
	})
	require.NoError(tr, err, "the same batch without the bad write")
	assert.EqualValues(tr, 1, result.Receipts[0].Sequence, "the next sequence")
	assert.EqualValues(tr, 7, result.Revision, "the next revision")
	assert.Equal(tr, []int{2, 1, 4}, tr.order("a"))
}

func inputsAreClaimedOnce(tr *trial) {
	n := repeats(60)
	for i := range n {
		tr.persist("a", accepted(byte(i)))
	}
	claims := make([]atomic.Int32, n)
	err := inTurns(n, func(caller, turn int) error {
		claimed := attempted(byte(turn), uint32(caller))
		claimed.CurrentState = store.InputStaged
		_, err := tr.tryBatch(batch.Batch{
			If:   []batch.Condition{batch.InputStateIs{RuntimeID: "a", InputID: claimed.InputID, AnyOf: []store.InputLifecycleState{store.InputAccepted}}},
			Then: []batch.Write{putting("a", claimed)},
		})
		if err != nil {
			return mistaken(err, store.ErrConflict)
		}
		if other := claims[turn].Swap(int32(caller + 1)); other != 0 {
			return fmt.Errorf("input %d was claimed twice, by callers %d and %d", turn, other-1, caller)
		}
		return nil
	})
	require.NoError(tr, err)
	for i := range claims {
		assert.EqualValues(tr, claims[i].Load()-1, tr.input("a", store.InputID{byte(i)}).AttemptCount, "who has claimed input %d", i)
	}
}

func batchesAreCopied(tr *trial) {
	given := func() batch.Batch {
		c := committing(store.RunID{1}, tr.rich(), attempted(4, 1))
		c.ContributingInputIDs = []store.InputID{{7}}
		r := applying(store.RunID{2}, 0).Receipt
		r.ContributingInputIDs, r.ConversationDigest = []store.InputID{{7}}, new("d")
		return batch.Batch{
			If: []batch.Condition{
				batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning}},
				batch.InputStateIs{RuntimeID: "a", InputID: store.InputID{1}, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
			},
			Then: []batch.Write{
				bounding("b", c), putting("a", tr.rich()), batch.PutReceipt{RuntimeID: "a", Receipt: r},
				batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("snapshot")},
			},
		}
	}
	tr.fill("a")
	b := given()
	_, err := tr.tryBatch(b)
	require.NoError(tr, err)
	assert.True(tr, assert.ObjectsAreEqual(given(), b), "Commit changed its argument")
	before := tr.everything()
	c, s := b.Then[0].(batch.CommitBoundary).Commit, b.Then[1].(batch.PutInputState).State
	clear(c.Session.SessionSnapshot)
	clear(c.ContributingInputIDs)
	scribble(&c.InputUpdates[0])
	c.InputUpdates[1] = accepted(9)
	scribble(&s)
	r := b.Then[2].(batch.PutReceipt).Receipt
	scribbleReceipt(&r)
	clear(b.Then[3].(batch.PutSnapshot).Snapshot)
	clear(b.Then)
	clear(b.If)
	assert.Equal(tr, before, tr.everything())
}

func batchReceiptsAreCopies(tr *trial) {
	c := committing(store.RunID{1})
	c.ContributingInputIDs = []store.InputID{{7}}
	result := tr.write(bounding("a", c), bounding("a", c))
	for sequence, receipt := range result.Receipts {
		want := textOf(receipt)
		scribbleReceipt(&receipt)
		assert.Equal(tr, want, textOf(tr.receipt("a", store.RunID{1}, uint64(sequence))))
	}
	assert.Equal(tr, []store.InputID{{7}}, c.ContributingInputIDs, "the answer is not the argument either")
}

// batchesAreSeenWhole commits batches that each put one mark into runtimes a and b. A
// caller that has seen a mark in one runtime must find it in the other. So must every
// caller once the batch has returned.
func (tr *trial) batchesAreSeenWhole(a, b look) {
	tr.Helper()
	var returned atomic.Uint32
	var over atomic.Bool
	err := together(4, func(caller int) error {
		if caller == 0 {
			defer over.Store(true)
			for mark := uint32(1); mark <= uint32(repeats(300)); mark++ {
				_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{putting("a", attempted(1, mark)), setting("b", store.RuntimeIdle), putting("b", attempted(1, mark))}})
				if err != nil {
					return err
				}
				returned.Store(mark)
				for range mark % 16 { // let others look
					runtime.Gosched()
				}
			}
			return nil
		}
		looks := []look{a, b}
		var version uint64
		var seen uint32
		for turn := caller; !over.Load(); turn++ {
			low := max(seen, returned.Load())
			v, err := looks[turn%2](tr.Context())
			if err != nil {
				return err
			}
			if mark := markOf(v); mark < low || v.Version() < version {
				return fmt.Errorf("runtime %q is at mark %d and version %d, although mark %d had returned or was seen, and version %d was seen", v.RuntimeID(), mark, v.Version(), low, version)
			}
			version, seen = v.Version(), markOf(v)
			runtime.Gosched()
		}
		return nil
	})
	require.NoError(tr, err)
}

func endedBatchesChangeNothing(tr *trial) {
	tr.prepareConditions()
	before := tr.everything()
	try := func(ctx context.Context) error {
		_, err := tr.store.(batch.Committer).Commit(ctx, batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: "a"}}, Then: []batch.Write{deleting("a")}})
		return err
	}
	late, cancel := context.WithDeadline(tr.Context(), time.Unix(0, 0))
	defer cancel()
	_, bad := tr.store.(batch.Committer).Commit(late, batch.Batch{Then: []batch.Write{nil}})
	tr.refused("Commit of what is not valid", bad, context.DeadlineExceeded)
	for _, e := range tr.ended() {
		tr.refused("Commit", try(e.ctx), e.err)
	}
	require.Equal(tr, before, tr.everything())
	if has[io.Closer](tr) {
		tr.close()
		tr.refused("Commit", try(tr.Context()), store.ErrClosed)
	}
}
