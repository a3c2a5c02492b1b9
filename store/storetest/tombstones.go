package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func tombstones() []promise {
	return []promise{
		{words: "every write that would make a deleted runtime again is refused", try: deletedStaysAway},
		{words: "Fork to a deleted runtime is refused", try: needs[state.Historian](forksToDeletedAreRefused)},
		{words: "what removes something finds nothing of a deleted runtime", try: deletedIsDeletedAgain},
		{words: "a deleted runtime is not there", try: deletedIsNotThere},
		{words: "ReviveRuntime alone brings a runtime back, empty", try: revivedIsEmpty},
		{words: "ReviveRuntime of what was not deleted changes nothing", try: othersAreNotRevived},
		{words: "runs of a revived runtime begin after the highest sequence that any had", try: revivedGoesOn},
		{words: "keys that were kept come back with a revived runtime", try: revivedHasKeys},
		{words: "the last tombstones are kept, as many as the store is told", try: lastTombstonesAreKept},
		{words: "tombstones are kept for as long as the store is told", try: youngTombstonesAreKept},
		{words: "no caller makes a runtime again that another one deletes", try: deletedOnceAndForAll},
		{words: "tombstones are there when the store is reopened", try: needsReopen(tombstonesAreThereAgain)},
		{words: "an import has the tombstones", try: needs[archiver](importsHaveTombstones)},
	}
}

// deleter is a store with the Loop's DeleteRuntime.
type deleter interface {
	DeleteRuntime(ctx context.Context, id store.RuntimeID) (state.Removed, error)
}

// entombing continues the trial with a store that keeps tombstones, and keys.
func (tr *trial) entombing(keep store.Keep) {
	tr.Helper()
	tr.openWith(loopstore.Options{Tombstones: keep, UniqueKeys: true, Retention: store.Retention{Keys: keepAll}})
}

func reviving(id store.RuntimeID) batch.Write { return batch.ReviveRuntime{RuntimeID: id} }

// remakes are writes of batches that would make a runtime.
func remakes(id store.RuntimeID) []batch.Write {
	return []batch.Write{
		putting(id, accepted(1)), setting(id, store.RuntimeIdle), bounding(id, committing(store.RunID{1})),
		batch.PutReceipt{RuntimeID: id, Receipt: applying(store.RunID{1}, 0).Receipt}, batch.PutSnapshot{RuntimeID: id, Snapshot: []byte("x")},
		batch.PutLabels{RuntimeID: id, Labels: map[string]string{"a": "b"}}, batch.PutLabels{RuntimeID: id}, batch.RestoreSession{RuntimeID: id, Number: 1},
	}
}

// refusesAll checks that no write makes a runtime again.
func (tr *trial) refusesAll(id store.RuntimeID, when string) {
	tr.Helper()
	before := tr.everything()
	tr.allRefused(tr.allWrites(id, tr.Context()), store.ErrDeleted, when)
	for _, w := range remakes(id) {
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{setting("beside", store.RuntimeIdle), w}})
		tr.refused(fmt.Sprintf("a batch of %T %s", w, when), err, store.ErrDeleted)
		failed, ok := errors.AsType[*batch.WriteError](err)
		require.True(tr, ok, "the error of a batch must wrap a *batch.WriteError, and is %v", err)
		require.Equal(tr, batch.WriteError{Index: 1, RuntimeID: id, Err: failed.Err}, *failed)
	}
	require.Equal(tr, before, tr.everything(), "after writes that were refused, %s", when)
}

func deletedStaysAway(tr *trial) {
	for _, keep := range []store.Keep{keepAll, {Last: 1}, {Last: math.MaxInt}, {Last: 5, For: time.Hour}} {
		tr.entombing(keep)
		tr.fill("a")
		tr.fill("b")
		tr.write(deleting("a"))
		tr.refusesAll("a", "after it was deleted")
		tr.allDone(tr.allWrites("b", tr.Context()), "of another runtime")
		tr.allDone(tr.allWrites("c", tr.Context()), "of a new runtime")
		tr.refusesAll("a", "after other writes")
		before := tr.everything()
		for _, w := range remakes("b") {
			_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting("b"), w}})
			tr.refused(fmt.Sprintf("a batch of a deletion and %T", w), err, store.ErrDeleted)
			require.Equal(tr, before, tr.everything())
		}
	}
	if s, ok := tr.store.(deleter); ok {
		tr.fill("d")
		removed, err := s.DeleteRuntime(tr.Context(), "d")
		require.NoError(tr, err)
		assert.Equal(tr, 1, removed.Runtimes)
		tr.refusesAll("d", "after DeleteRuntime")
	}
	tr.allRefused(tr.allBadWrites("a", tr.Context()), store.ErrInvalidValue, "of what is not valid")
	for _, e := range tr.ended() {
		tr.allRefused(tr.allWrites("a", e.ctx), e.err, "under a context that has ended")
	}
}

func forksToDeletedAreRefused(tr *trial) {
	tr.openWith(loopstore.Options{Tombstones: keepAll, Retention: store.Retention{Sessions: keepAll}})
	tr.write(putSession("a", linesOf("[1]\n").delta()))
	tr.write(putSession("a", linesOf("[2]\n").delta()))
	tr.write(setting("b", store.RuntimeIdle))
	tr.write(deleting("b"))
	before := tr.everything()
	h := tr.store.(state.Historian)
	tr.refused("Fork to what was deleted", h.Fork(tr.Context(), "a", 2, "b"), store.ErrDeleted)
	require.Equal(tr, before, tr.everything())
	require.NoError(tr, h.Fork(tr.Context(), "a", 2, "c"))
	tr.write(deleting("a"))
	tr.refused("Fork from what was deleted", h.Fork(tr.Context(), "a", 2, "d"), store.ErrNoVersion)
	tr.holds("c", linesOf("[2]\n"), "the fork of what was deleted")
	tr.write(reviving("b"))
	tr.refused("Fork to what was revived", h.Fork(tr.Context(), "c", 1, "b"), store.ErrConflict)
}

func deletedIsDeletedAgain(tr *trial) {
	tr.entombing(keepAll)
	tr.fill("a")
	tr.write(deleting("a"))
	before := tr.everything()
	tr.write(deleting("a"), removing(1), deleting("a"))
	tr.write(removing(7))
	if s, ok := tr.store.(deleter); ok {
		removed, err := s.DeleteRuntime(tr.Context(), "a")
		require.NoError(tr, err)
		assert.Zero(tr, removed)
	}
	if p, ok := tr.store.(pruner); ok {
		removed, err := p.Prune(tr.Context(), "a", store.Retention{Inputs: store.Keep{Last: 1}, Keys: store.Keep{Last: 1}})
		require.NoError(tr, err)
		assert.Zero(tr, removed)
	}
	require.Equal(tr, before, tr.everything())
	tr.refusesAll("a", "after it was deleted again")
}

func deletedIsNotThere(tr *trial) {
	tr.entombing(keepAll)
	tr.fill("a")
	filed := applying(store.RunID{2}, 0)
	filed.Session, filed.SessionStoreKey = &store.SessionDelta{SessionSnapshot: []byte("filed")}, &store.SessionID{7}
	tr.apply("a", filed)
	tr.persist("a", keyed(3, "three"))
	tr.setRuntime("b", store.RuntimeIdle)
	tr.write(deleting("a"))
	require.Equal(tr, view{}, tr.view("a"))
	if has[state.Viewer](tr) {
		tr.isEmpty(tr.look("a"), "a")
	}
	_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{
		batch.RuntimeAbsent{RuntimeID: "a"}, batch.VersionIs{RuntimeID: "a"}, batch.RuntimeStateIs{RuntimeID: "a", OrNone: true},
		batch.InputAbsent{RuntimeID: "a", InputID: store.InputID{1}}, batch.SessionDigestIs{RuntimeID: "a"}, batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}},
	}})
	require.NoError(tr, err, "conditions about what is not there")
	if s, ok := tr.store.(sessionLoader); ok {
		_, ok, err := s.LoadSession(tr.Context(), store.SessionID{7})
		require.NoError(tr, err)
		assert.False(tr, ok, "what it had filed")
	}
	if has[lister](tr) {
		assert.Equal(tr, []store.RuntimeID{"b"}, tr.listed(state.Listing{}))
	}
}

func revivedIsEmpty(tr *trial) {
	tr.entombing(keepAll)
	tr.fill("b")
	highest := tr.version("b")
	for turn := range 3 {
		if turn == 0 {
			tr.fill("a")
		} else {
			tr.persist("a", accepted(byte(turn)))
		}
		tr.write(batch.PutLabels{RuntimeID: "a", Labels: map[string]string{"a": "b"}})
		tr.write(deleting("a"))
		tr.refusesAll("a", "before it is revived")
		result := tr.write(reviving("a"))
		require.Greater(tr, result.Revision, highest)
		highest = result.Revision
		require.Equal(tr, view{}, tr.view("a"), "after it was revived")
		require.Equal(tr, highest, tr.version("a"), "the version of a revived runtime")
		if has[state.Viewer](tr) {
			v := tr.look("a")
			require.True(tr, v.Exists())
			require.Empty(tr, v.Summary().Labels)
			require.Zero(tr, v.Summary().Held.InputStates)
		}
		require.Equal(tr, highest, tr.write(reviving("a")).Revision, "to revive it again is no change")
		_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: "a"}}})
		require.NoError(tr, err)
	}
	for i, w := range writes()[1:] { // no more is minted after the last sequence
		id := store.RuntimeID(fmt.Sprint("revived ", i))
		tr.setRuntime(id, store.RuntimeIdle)
		tr.write(deleting(id), reviving(id), setting(id, store.RuntimeIdle))
		require.NoError(tr, w.do(tr.Context(), tr.store, id, 3), "%s of a revived runtime", w.name)
		require.NoError(tr, marks{}.with(w, 3).differ(tr.Context(), tr.store, id, w.parts))
		tr.write(deleting(id))
		tr.refusesAll(id, "after a revived one was deleted")
	}
	before := tr.everything()
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting("a"), reviving("a"), putting("a", accepted(1)), putting("b", store.InputState{})}})
	tr.refused("a batch with a bad write", err, store.ErrInvalidValue)
	require.Equal(tr, before, tr.everything(), "after a revival that was refused")
}

// with returns marks with those of a write.
func (m marks) with(w write, mark uint32) marks {
	m.put(w, mark)
	return m
}

func othersAreNotRevived(tr *trial) {
	tr.entombing(store.Keep{Last: 1})
	tr.fill("a")
	before := tr.everything()
	tr.write(reviving("a"), reviving("b"), reviving("never"))
	require.Equal(tr, before, tr.everything())
	require.Zero(tr, tr.version("never"))
	tr.write(deleting("a"), setting("b", store.RuntimeIdle), deleting("b")) // of which the last one is kept
	tr.write(reviving("a"))
	require.Zero(tr, tr.version("a"), "its tombstone has gone")
	tr.fill("a")
	require.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence, "without it there is no memory")

	tr.open() // without tombstones
	tr.fill("a")
	tr.write(deleting("a"))
	revision := tr.write().Revision
	require.Equal(tr, revision, tr.write(reviving("a")).Revision)
	require.Zero(tr, tr.version("a"))
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{reviving("\xff")}})
	tr.refused("ReviveRuntime of an id that is not text", err, store.ErrInvalidValue)
}

// floor returns the View's SequenceFloor, -1 if there is none.
func (tr *trial) floor(id store.RuntimeID, want int64, when string) {
	tr.Helper()
	if has[state.Viewer](tr) {
		floor, ok := tr.look(id).SequenceFloor()
		require.Equal(tr, want >= 0, ok, "SequenceFloor %s", when)
		require.Equal(tr, uint64(max(want, 0)), floor, "SequenceFloor %s", when)
	}
}

func revivedGoesOn(tr *trial) {
	tr.entombing(keepAll)
	tr.setRuntime("a", store.RuntimeIdle)
	tr.floor("a", -1, "of a new runtime")
	tr.write(deleting("a"), reviving("a"))
	tr.floor("a", -1, "where there was no run")
	tr.mints("a", 0, "where there was no run")

	tr.apply("a", applying(store.RunID{2}, 41))
	tr.apply("a", applying(store.RunID{3}, 7))
	tr.write(deleting("a"))
	tr.write(reviving("a"))
	tr.floor("a", 41, "after run 2")
	tr.mints("a", 42, "after a sequence of 41")
	tr.write(deleting("a"), reviving("a"), deleting("a"), reviving("a")) // mints has gone on to 43
	tr.floor("a", 43, "after it was deleted without a run")
	tr.write(deleting("a"), setting("b", store.RuntimeIdle))
	tr.write(reviving("a"))
	tr.floor("a", 43, "after it was deleted without a run")
	tr.apply("a", applying(store.RunID{4}, 7)) // a receipt of the caller's own may be anywhere
	assert.EqualValues(tr, 44, tr.commit("a", committing(store.RunID{4})).Sequence, "a run with a receipt below")
	tr.apply("a", applying(store.RunID{4}, 50))
	assert.EqualValues(tr, 51, tr.commit("a", committing(store.RunID{4})).Sequence, "a run with a receipt above")
	assert.EqualValues(tr, 44, tr.commit("a", committing(store.RunID{5})).Sequence, "a run begins after what was before the revival")

	tr.apply("a", applying(store.RunID{9}, math.MaxUint64))
	tr.write(deleting("a"))
	tr.write(reviving("a"))
	for run := range byte(3) {
		_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{run}))
		tr.refused("a commit after the last sequence", err, store.ErrSequenceExhausted)
	}
}

// mints checks the sequences with which runs begin, the known and the new.
func (tr *trial) mints(id store.RuntimeID, first uint64, when string) {
	tr.Helper()
	for run := range byte(5) {
		for n := range uint64(2) {
			require.Equal(tr, first+n, tr.commit(id, committing(store.RunID{run})).Sequence, "%s: commit %d of run %d", when, n, run)
		}
	}
}

func revivedHasKeys(tr *trial) {
	tr.entombing(keepAll)
	kept := tr.keptAndTaken()
	tr.write(removing(5), putting("a", keyed(5, "5"))) // which keeps the key that it takes again
	tr.write(deleting("a"))
	tr.refusesAll("a", "with keys")
	tr.write(reviving("a"))
	kept["one"], kept["3"], kept["5"] = 1, 3, 5
	tr.areKept(kept, "after it was revived")
	tr.persist("a", keyed(6, "6"))
	tr.write(deleting("a"), reviving("a"))
	kept["6"] = 6
	tr.areKept(kept, "after it was revived again")

	tr.openWith(loopstore.Options{Tombstones: keepAll, UniqueKeys: true})
	tr.keptAndTaken()
	tr.write(deleting("a"))
	tr.write(reviving("a"))
	tr.areKept(map[string]byte{}, "where keys are not kept")
	tr.persist("a", keyed(1, "one"), keyed(2, "2"))
}

func lastTombstonesAreKept(tr *trial) {
	for _, last := range []int{1, 3} {
		tr.entombing(store.Keep{Last: last})
		var dead []store.RuntimeID
		for n := range 8 {
			id := store.RuntimeID(fmt.Sprint("runtime ", n))
			tr.setRuntime(id, store.RuntimeIdle)
			tr.write(deleting(id))
			if dead = append(dead, id); len(dead) > last {
				require.NoError(tr, tr.store.PersistRuntimeState(tr.Context(), dead[0], store.RuntimeIdle), "the tombstone of %q has gone", dead[0])
				dead = dead[1:]
			}
			for _, id := range dead {
				tr.refused("PersistRuntimeState", tr.store.PersistRuntimeState(tr.Context(), id, store.RuntimeIdle), store.ErrDeleted)
			}
		}
	}
}

// An age is not waited for, but for the shortest. A tombstone that is too old goes with the
// next change.
func youngTombstonesAreKept(tr *trial) {
	tr.entombing(store.Keep{For: time.Nanosecond})
	tr.fill("a")
	tr.write(deleting("a"))
	require.Eventually(tr, func() bool {
		tr.setRuntime("b", store.RuntimeIdle)
		return tr.store.PersistRuntimeState(tr.Context(), "a", store.RuntimeIdle) == nil
	}, 10*time.Second, time.Millisecond, "the id of a tombstone that is too old is free")
	assert.EqualValues(tr, 0, tr.commit("a", committing(store.RunID{1})).Sequence, "without it there is no memory")
}

func deletedOnceAndForAll(tr *trial) {
	for range repeats(20) {
		tr.entombing(keepAll)
		tr.fill("a")
		var deleted atomic.Bool
		require.NoError(tr, together(callers, func(caller int) error {
			if caller == 0 {
				for range 10 {
					runtime.Gosched()
				}
				_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting("a")}})
				deleted.Store(true)
				return err
			}
			for turn := uint32(1); ; turn++ {
				before := deleted.Load()
				w := writes()[caller%len(writes())]
				err := w.do(tr.Context(), tr.store, "a", turn)
				switch {
				case err != nil:
					return mistaken(err, store.ErrDeleted)
				case before:
					return fmt.Errorf("%s was not refused after the deletion had returned", w.name)
				}
				runtime.Gosched()
			}
		}))
		require.Equal(tr, view{}, tr.view("a"))
		tr.close()
	}
}

// entombed makes a runtime that was deleted, one that was revived, and one that is there.
func (tr *trial) entombed() {
	tr.Helper()
	for _, id := range []store.RuntimeID{"a", "c"} {
		tr.apply(id, applying(store.RunID{2}, 41))
		tr.persist(id, keyed(1, "one"), keyed(2, "two"))
		tr.write(batch.DeleteInputState{RuntimeID: id, InputID: store.InputID{1}}, putting(id, keyed(1, "one")))
		tr.write(batch.DeleteInputState{RuntimeID: id, InputID: store.InputID{2}})
		tr.write(deleting(id))
	}
	tr.write(reviving("c"))
	tr.setRuntime("b", store.RuntimeIdle)
}

// stayEntombed checks that all of entombed is there, and goes on.
func (tr *trial) stayEntombed(when string) {
	tr.Helper()
	tr.refusesAll("a", when)
	require.Equal(tr, view{}, tr.view("a"))
	tr.floor("c", 41, when)
	err := tr.store.PersistInputState(tr.Context(), "c", keyed(9, "two"))
	tr.aKeyIsTaken(when, err, store.KeyError{RuntimeID: "c", InputID: store.InputID{2}})
	require.Equal(tr, store.RuntimeIdle, tr.runtime("b"))
}

// revivesEntombed checks that what comes back has its memory.
func (tr *trial) revivesEntombed() {
	tr.Helper()
	tr.write(reviving("a"))
	tr.areKept(map[string]byte{"one": 1, "two": 2}, "after it was revived")
	for _, id := range []store.RuntimeID{"a", "c"} {
		tr.floor(id, 41, "after it was revived")
		tr.mints(id, 42, "after it was revived")
	}
}

func tombstonesAreThereAgain(tr *trial) {
	tr.entombing(keepAll)
	tr.entombed()
	for range 2 {
		tr.reopen()
		tr.stayEntombed("after it was reopened")
	}
	tr.revivesEntombed()
	tr.reopen()
	tr.floor("a", 41, "after it was reopened")
	require.EqualValues(tr, 44, tr.commit("a", committing(store.RunID{1})).Sequence)
	tr.write(deleting("a"))
	tr.reopen()
	tr.refusesAll("a", "after it was deleted again")
	tr.write(reviving("a"))
	tr.floor("a", 44, "after it was revived again")
}

func importsHaveTombstones(tr *trial) {
	tr.entombing(keepAll)
	tr.entombed()
	file := tr.export()
	tr.close()
	tr.entombing(keepAll)
	require.NoError(tr, tr.tryImport(tr.Context(), strings.NewReader(file)))
	tr.stayEntombed("after an import")
	tr.keeps(file, "after an import")
	tr.stayEntombed("after an import that was reopened")
	tr.revivesEntombed()
	tr.keeps(tr.export(), "after an import that went on")

	tr.close()
	tr.entombing(keepAll)
	tr.setRuntime("only", store.RuntimeIdle)
	tr.write(deleting("only"))
	file = tr.export()
	tr.close()
	tr.entombing(keepAll)
	require.NoError(tr, tr.tryImport(tr.Context(), strings.NewReader(file)), "an import of a tombstone alone")
	tr.refusesAll("only", "after an import of a tombstone alone")
	tr.keeps(file, "after an import of a tombstone alone")
}
