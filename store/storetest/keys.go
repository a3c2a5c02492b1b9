package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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

func keys() []promise {
	return []promise{
		{words: "a key that another input has is refused, and nothing changes", try: takenKeysAreRefused},
		{words: "an input keeps its key, and may be stored again", try: ownKeysStay},
		{words: "keys are looked at when an operation ends", try: keysAreCheckedAtTheEnd},
		{words: "of callers that store one key one succeeds", try: keysAreTakenOnce},
		{words: "inputs that share a key already stay, and may be stored again", try: needs[archiver](sharedKeysStay)},
		{words: "a key outlives its input, and is not free", try: keysOutliveInputs},
		{words: "the last keys are kept, as many as the Retention says", try: lastKeysAreKept},
		{words: "keys are kept for as long as the Retention says", try: youngKeysAreKept},
		{words: "a key outlives an input that is pruned, and Prune removes keys", try: needs[pruner](keysArePruned)},
		{words: "keys that are not unique are kept, too", try: keysAreKeptThatAreNotUnique},
		{words: "keys go with their runtime", try: keysGoWithTheirRuntime},
		{words: "keys are there when the store is reopened", try: needsReopen(keysAreThereAgain)},
		{words: "an import has the keys that were kept", try: needs[archiver](importsHaveKeys)},
	}
}

// aKeyIsTaken checks the error of a call that stores input n with a key that another input
// has, or has had.
func (tr *trial) aKeyIsTaken(call string, err error, want store.KeyError) {
	tr.Helper()
	tr.refused(call, err, store.ErrKeyTaken)
	taken, ok := errors.AsType[*store.KeyError](err)
	require.True(tr, ok, "%s: the error must wrap a *store.KeyError, and is %v", call, err)
	require.Equal(tr, want, *taken, call)
}

// inputWays are all ways to store an input.
func (tr *trial) inputWays() []inputWay {
	way := func(write func(id store.RuntimeID, s store.InputState) batch.Write) func(context.Context, store.RuntimeID, store.InputState) error {
		return func(ctx context.Context, id store.RuntimeID, s store.InputState) error {
			_, err := tr.store.(batch.Committer).Commit(ctx, batch.Batch{Then: []batch.Write{setting("beside", store.RuntimeIdle), write(id, s)}})
			return err
		}
	}
	return []inputWay{
		{"PersistInputState", func(ctx context.Context, id store.RuntimeID, s store.InputState) error {
			return tr.store.PersistInputState(ctx, id, s)
		}},
		{"AtomicLifecycleCommit", func(ctx context.Context, id store.RuntimeID, s store.InputState) error {
			return tr.store.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{accepted(19), s}})
		}},
		{"CommitSessionBoundary", func(ctx context.Context, id store.RuntimeID, s store.InputState) error {
			_, err := tr.store.CommitSessionBoundary(ctx, id, committing(store.RunID{1}, accepted(19), s))
			return err
		}},
		{"AtomicApply", func(ctx context.Context, id store.RuntimeID, s store.InputState) error {
			return tr.store.AtomicApply(ctx, id, applying(store.RunID{2}, 7, accepted(19), s))
		}},
		{"PutInputState", way(putting)},
		{"CommitBoundary", way(func(id store.RuntimeID, s store.InputState) batch.Write {
			return bounding(id, committing(store.RunID{1}, s))
		})},
	}
}

type inputWay struct {
	name string
	do   func(ctx context.Context, id store.RuntimeID, s store.InputState) error
}

// removing is a batch's write that removes input n of runtime a.
func removing(n byte) batch.Write {
	return batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{n}}
}

// isFree checks whether KeyFree holds for a key of runtime a.
func (tr *trial) isFree(want bool, key, when string) {
	tr.Helper()
	_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.KeyFree{RuntimeID: "a", Key: key}}})
	if !want {
		tr.refused("KeyFree of "+key+" "+when, err, store.ErrConflict)
		return
	}
	require.NoError(tr, err, "KeyFree of %s %s", key, when)
}

func takenKeysAreRefused(tr *trial) {
	tr.openWith(loopstore.Options{UniqueKeys: true})
	tr.persist("a", keyed(1, "one"), keyed(2, ""), accepted(3))
	before := tr.everything()
	for _, w := range tr.inputWays() {
		for key, has := range map[string]byte{"one": 1, "": 2} {
			for _, n := range []byte{3, 4} { // one that is there, and a new one
				err := w.do(tr.Context(), "a", keyed(n, key))
				tr.aKeyIsTaken(w.name, err, store.KeyError{RuntimeID: "a", InputID: store.InputID{has}, There: true})
				require.Equal(tr, before, tr.everything(), "after %s with a key that is taken", w.name)
			}
		}
	}
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{putting("b", keyed(1, "new")), putting("b", keyed(2, "new")), setting("c", store.RuntimeIdle)}})
	tr.aKeyIsTaken("a batch of two inputs with one key", err, store.KeyError{RuntimeID: "b", InputID: keyErrorID(err), There: true})
	require.Equal(tr, before, tr.everything(), "after a batch of two inputs with one key")
	for i, w := range tr.inputWays() {
		id := store.RuntimeID(w.name)
		require.NoError(tr, w.do(tr.Context(), id, keyed(4, "one")), "%s in another runtime", w.name)
		require.NoError(tr, w.do(tr.Context(), "a", keyed(byte(5+i), w.name)), "%s of another key", w.name)
	}
}

// keyErrorID returns the input that a *store.KeyError names.
func keyErrorID(err error) (id store.InputID) {
	if taken, ok := errors.AsType[*store.KeyError](err); ok {
		id = taken.InputID
	}
	return id
}

func ownKeysStay(tr *trial) {
	tr.openWith(loopstore.Options{UniqueKeys: true})
	tr.persist("a", keyed(1, "one"), keyed(2, "two"))
	for i, w := range tr.inputWays() {
		again := keyed(1, "one")
		again.AttemptCount = uint32(i + 1)
		require.NoError(tr, w.do(tr.Context(), "a", again), w.name)
		require.EqualValues(tr, i+1, tr.input("a", store.InputID{1}).AttemptCount, w.name)
		require.NoError(tr, w.do(tr.Context(), "a", accepted(1)), "%s without the key", w.name)
		require.NoError(tr, w.do(tr.Context(), "a", keyed(2, "one")), "%s of another input with the key that is free again", w.name)
		tr.aKeyIsTaken(w.name, w.do(tr.Context(), "a", keyed(1, "one")), store.KeyError{RuntimeID: "a", InputID: store.InputID{2}, There: true})
		tr.write(removing(2))
		require.NoError(tr, w.do(tr.Context(), "a", keyed(1, "one")), "%s with the key of an input that was deleted", w.name)
	}
}

func keysAreCheckedAtTheEnd(tr *trial) {
	tr.openWith(loopstore.Options{UniqueKeys: true})
	tr.write(putting("a", keyed(1, "one")), putting("a", keyed(2, "one")), removing(1))
	tr.write(putting("a", keyed(1, "one")), putting("a", accepted(2)))
	tr.write(putting("a", keyed(2, "one")), putting("a", keyed(1, "two"))) // and so they change places
	tr.write(putting("a", keyed(1, "one")), putting("a", keyed(2, "two")))
	assert.Equal(tr, []string{textOf(keyed(2, "two")), textOf(keyed(1, "one"))}, textsOf(tr.inputs("a")))
	tr.lifecycle("a", store.RuntimeIdle, keyed(2, "one"), keyed(2, "two"))
	tr.lifecycle("a", store.RuntimeIdle, keyed(3, "one"), accepted(3))
	tr.write(removing(1), putting("a", keyed(4, "one")))
	tr.write(deleting("a"), putting("a", keyed(5, "one")), putting("a", keyed(6, "two")))

	before := tr.everything()
	for _, writes := range [][]batch.Write{
		{putting("a", keyed(7, "one"))}, {removing(5), putting("a", keyed(7, "one")), putting("a", keyed(5, "one"))},
		{putting("a", accepted(5)), putting("a", keyed(6, "one")), putting("a", keyed(5, "one"))},
	} {
		_, err := tr.tryBatch(batch.Batch{Then: writes})
		tr.refused("a batch after which two inputs have a key", err, store.ErrKeyTaken)
		require.Equal(tr, before, tr.everything())
	}
}

func keysAreTakenOnce(tr *trial) {
	tr.openWith(loopstore.Options{UniqueKeys: true, Retention: store.Retention{Keys: store.Keep{Last: 1000}}})
	n := repeats(40)
	winners := make([]atomic.Int32, n)
	require.NoError(tr, inTurns(n, func(caller, turn int) error {
		err := tr.store.PersistInputState(tr.Context(), "a", keyed(byte(caller+1), fmt.Sprint(turn)))
		if err != nil {
			return mistaken(err, store.ErrKeyTaken)
		}
		if other := winners[turn].Swap(int32(caller + 1)); other != 0 {
			return fmt.Errorf("key %d was stored by callers %d and %d", turn, other-1, caller)
		}
		return nil
	}))
	for turn := range winners {
		assert.NotZero(tr, winners[turn].Load(), "key %d was refused to all", turn)
		tr.isFree(false, fmt.Sprint(turn), "in the end")
	}
}

func sharedKeysStay(tr *trial) {
	tr.persist("a", keyed(1, "one"), keyed(2, "one"), keyed(3, "three"))
	file := tr.export()
	tr.openWith(loopstore.Options{UniqueKeys: true})
	tr.importAll(file)
	want := textsOf(tr.inputs("a"))
	for _, n := range []byte{1, 2, 1} {
		for _, w := range tr.inputWays()[:1] {
			require.NoError(tr, w.do(tr.Context(), "a", keyed(n, "one")), "input %d again", n)
		}
		require.Equal(tr, want, textsOf(tr.inputs("a")))
	}
	tr.lifecycle("a", store.RuntimeIdle, keyed(1, "one"), keyed(2, "one"))
	err := tr.store.PersistInputState(tr.Context(), "a", keyed(4, "one"))
	tr.aKeyIsTaken("a third input with the key", err, store.KeyError{RuntimeID: "a", InputID: keyErrorID(err), There: true})
	tr.persist("a", accepted(1))
	tr.aKeyIsTaken("an input that has given the key up", tr.store.PersistInputState(tr.Context(), "a", keyed(1, "one")),
		store.KeyError{RuntimeID: "a", InputID: store.InputID{2}, There: true})
	tr.persist("a", accepted(2), keyed(1, "one"))
}

// keptKeys opens a store that keeps keys.
func (tr *trial) keptKeys(keep store.Keep) {
	tr.Helper()
	tr.openWith(loopstore.Options{UniqueKeys: true, Retention: store.Retention{Keys: keep}})
}

// areKept checks that these are the keys that runtime a keeps without their inputs, and the
// inputs that had them.
func (tr *trial) areKept(want map[string]byte, when string) {
	tr.Helper()
	if has[state.Viewer](tr) {
		shown := map[string]byte{}
		for k := range tr.look("a").Keys() {
			require.NotContains(tr, shown, k.Key, "View.Keys %s: a key that is there twice", when)
			shown[k.Key] = k.InputID[0]
		}
		require.Equal(tr, want, shown, "View.Keys %s", when)
	}
	for key, had := range want {
		tr.isFree(false, key, when)
		for _, w := range tr.inputWays() {
			err := w.do(tr.Context(), "a", keyed(17, key))
			tr.aKeyIsTaken(w.name+" "+when, err, store.KeyError{RuntimeID: "a", InputID: store.InputID{had}})
		}
		tr.aKeyIsTaken("the same input again, "+when, tr.store.PersistInputState(tr.Context(), "a", keyed(had, key)),
			store.KeyError{RuntimeID: "a", InputID: store.InputID{had}})
	}
}

func keysOutliveInputs(tr *trial) {
	for _, keep := range []store.Keep{keepAll, {Last: 100}, {Last: math.MaxInt}, {Last: 100, For: time.Hour}} {
		tr.keptKeys(keep)
		for i, w := range tr.inputWays() {
			require.NoError(tr, w.do(tr.Context(), "a", keyed(byte(i+1), w.name)), w.name)
		}
		tr.persist("a", keyed(8, "8"), keyed(9, "9"))
		want := map[string]byte{}
		tr.areKept(want, "while all inputs are there")
		for i, w := range tr.inputWays() {
			without := accepted(byte(i + 1))
			if i%2 == 0 {
				without = keyed(byte(i+1), "another "+w.name)
			}
			require.NoError(tr, w.do(tr.Context(), "a", without), w.name)
			want[w.name] = byte(i + 1)
		}
		tr.areKept(want, "after they were replaced")
		tr.write(removing(8))
		want["8"] = 8
		tr.areKept(want, "after an input was deleted")
		tr.write(removing(9), putting("a", keyed(9, "9")), putting("a", attempted(9, 1)), putting("a", keyed(9, "9")))
		tr.isFree(false, "9", "after it went and came in one batch")
		require.NoError(tr, tr.store.PersistInputState(tr.Context(), "a", keyed(9, "9")), "it is the input's own")
		tr.write(removing(9))
		want["9"] = 9
		tr.areKept(want, "after it has gone for good")
		tr.persist("a", keyed(10, "10"))
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{removing(10), putting("a", keyed(11, "10"))}})
		tr.refused("a batch that takes over the key of an input that goes", err, store.ErrKeyTaken)
		tr.areKept(want, "after batches that were refused")
		tr.persist("b", keyed(1, "8"))
	}
	tr.keptKeys(store.Keep{})
	tr.persist("a", keyed(1, "one"))
	tr.write(removing(1))
	tr.areKept(map[string]byte{}, "where none are kept")
	tr.persist("a", keyed(2, "one"))
}

func lastKeysAreKept(tr *trial) {
	for _, last := range []int{1, 2, 5} {
		tr.keptKeys(store.Keep{Last: last})
		var all []string
		for n := range 9 {
			key := fmt.Sprint(n)
			tr.persist("a", keyed(byte(n), key))
			tr.write(removing(byte(n)))
			if all = append(all, key); len(all) > last {
				tr.isFree(true, all[0], "after others came")
				all = all[1:]
			}
			want := map[string]byte{}
			for i, key := range all {
				want[key] = byte(n - len(all) + 1 + i)
			}
			tr.areKept(want, fmt.Sprintf("with Last %d, after %d", last, n))
		}
	}
}

// An age is not waited for, but for the shortest.
func youngKeysAreKept(tr *trial) {
	tr.keptKeys(store.Keep{For: time.Nanosecond})
	tr.persist("a", keyed(1, "one"))
	tr.write(removing(1))
	require.Eventually(tr, func() bool {
		return tr.store.PersistInputState(tr.Context(), "a", keyed(2, "one")) == nil
	}, 10*time.Second, time.Millisecond, "a key that is too old is free")

	tr.keptKeys(store.Keep{For: time.Hour})
	tr.persist("a", keyed(1, "one"))
	tr.write(removing(1))
	tr.areKept(map[string]byte{"one": 1}, "within the hour")
	if !has[state.Viewer](tr) {
		return
	}
	v := tr.look("a")
	for after, gone := range map[time.Duration]int64{50 * time.Minute: 0, 70 * time.Minute: 1} {
		would := v.WouldPrune(store.Retention{Keys: store.Keep{For: time.Hour}}, store.TimeOf(time.Now().Add(after)))
		assert.Equal(tr, gone > 0, would != state.Removed{}, "after %v", after)
	}
	for k := range v.Keys() {
		assert.WithinDuration(tr, time.Now(), k.Since.Time(), time.Hour, "since when a key is kept")
	}
}

func keysArePruned(tr *trial) {
	tr.keptKeys(keepAll)
	p := tr.store.(pruner)
	var writes []batch.Write
	for n := range byte(10) {
		s := keyed(n, fmt.Sprint(n))
		s.CurrentState = store.InputConsumed
		writes = append(writes, putting("a", s))
	}
	tr.write(writes...)
	prune := func(keep store.Retention) {
		tr.Helper()
		would, err := p.WouldPrune(tr.Context(), "a", keep)
		require.NoError(tr, err, "WouldPrune")
		did, err := p.Prune(tr.Context(), "a", keep)
		require.NoError(tr, err, "Prune")
		require.Equal(tr, would.InputStates, did.InputStates, "inputs")
	}
	want := map[string]byte{}
	prune(store.Retention{Inputs: store.Keep{Last: 6}})
	for n := range byte(4) {
		want[fmt.Sprint(n)] = n
	}
	require.Len(tr, tr.inputs("a"), 6)
	tr.areKept(want, "after Prune of inputs")
	prune(store.Retention{Keys: store.Keep{Last: 4}})
	tr.areKept(want, "after Prune that keeps as many keys as there are")
	prune(store.Retention{Keys: store.Keep{Last: 3}})
	delete(want, "0")
	tr.isFree(true, "0", "after Prune of keys")
	tr.areKept(want, "after Prune of keys")
	tr.isFree(false, "9", "the key of an input that is there")
	prune(store.Retention{Keys: store.Keep{Last: 1}})
	tr.areKept(map[string]byte{"3": 3}, "after Prune of keys but the last")
}

func keysAreKeptThatAreNotUnique(tr *trial) {
	tr.openWith(loopstore.Options{Retention: store.Retention{Keys: keepAll}})
	tr.persist("a", keyed(1, "one"), keyed(2, "one"))
	tr.write(removing(1))
	tr.isFree(false, "one", "another input has it")
	if has[state.Viewer](tr) {
		assert.Empty(tr, slices.Collect(tr.look("a").Keys()), "another input has it")
	}
	tr.write(removing(2))
	tr.isFree(false, "one", "after the last input that had it")
	tr.persist("a", keyed(3, "one")) // it is not free, but may be stored
	tr.write(removing(3))
	tr.isFree(false, "one", "after it came back and went again")
	if has[state.Viewer](tr) {
		kept := slices.Collect(tr.look("a").Keys())
		require.Len(tr, kept, 1)
		assert.Equal(tr, store.InputID{3}, kept[0].InputID, "the input that had it last")
	}
}

func keysGoWithTheirRuntime(tr *trial) {
	tr.keptKeys(keepAll)
	tr.persist("a", keyed(1, "one"), keyed(2, "two"))
	tr.write(removing(1))
	tr.write(deleting("a"))
	tr.isFree(true, "one", "after the runtime was deleted")
	tr.isFree(true, "two", "after the runtime was deleted")
	tr.persist("a", keyed(3, "one"), keyed(4, "two"))
	tr.areKept(map[string]byte{}, "of a runtime that was made again")
}

// keptAndTaken makes keys that are kept, and some that inputs have.
func (tr *trial) keptAndTaken() (kept map[string]byte) {
	tr.Helper()
	tr.persist("a", keyed(1, "1"), keyed(2, "2"), keyed(3, "3"), keyed(4, "4"), keyed(5, "5"))
	tr.write(removing(2))
	tr.persist("a", accepted(4))
	tr.persist("a", keyed(1, "one"))
	return map[string]byte{"2": 2, "4": 4, "1": 1}
}

func keysAreThereAgain(tr *trial) {
	tr.keptKeys(store.Keep{Last: 4})
	want := tr.keptAndTaken()
	for range 2 {
		tr.reopen()
		tr.areKept(want, "after it was reopened")
		err := tr.store.PersistInputState(tr.Context(), "a", keyed(9, "3"))
		tr.aKeyIsTaken("after it was reopened", err, store.KeyError{RuntimeID: "a", InputID: store.InputID{3}, There: true})
	}
	tr.write(removing(3))
	tr.write(removing(5)) // the first of those that are kept goes
	delete(want, "2")
	maps.Copy(want, map[string]byte{"3": 3, "5": 5})
	tr.reopen()
	tr.areKept(want, "after it went on")
	tr.isFree(true, "2", "after it went on")
	tr.persist("a", keyed(2, "2"))
}

func importsHaveKeys(tr *trial) {
	tr.keptKeys(store.Keep{Last: 4})
	want := tr.keptAndTaken()
	file := tr.export()
	tr.keptKeys(store.Keep{Last: 4})
	require.NoError(tr, tr.tryImport(tr.Context(), strings.NewReader(file)))
	tr.areKept(want, "after an import")
	tr.keeps(file, "after an import")
	tr.areKept(want, "after an import that was reopened")
	tr.write(removing(3))
	tr.write(removing(5))
	tr.isFree(true, "2", "the first that was kept")
}
