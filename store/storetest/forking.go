package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func (tr *trial) fork(from store.RuntimeID, number uint64, to store.RuntimeID) {
	tr.Helper()
	require.NoError(tr, tr.store.(state.Historian).Fork(tr.Context(), from, number, to), "Fork")
}

// isFork checks what a runtime was forked from, nil if it was not.
func (tr *trial) isFork(id store.RuntimeID, want *state.Origin, when string) {
	tr.Helper()
	from, ok := tr.look(id).Origin()
	require.Equal(tr, want != nil, ok, "%s: whether runtime %q was forked", when, id)
	if ok {
		require.Equal(tr, *want, from, "%s: what runtime %q was forked from", when, id)
	}
}

func forksHaveTheSession(tr *trial) {
	tr.keeping(keepAll)
	tr.fill("a")
	tr.write(deleting("a"))
	all := tr.putVersions("a")
	tr.persist("a", accepted(1), keyed(2, "k"))
	tr.setRuntime("a", store.RuntimeIdle)
	before := tr.view("a")
	for _, v := range all {
		to := store.RuntimeID(fmt.Sprint("fork of ", v.number))
		tr.fork("a", v.number, to)
		tr.has(to, []versionOf{{1, v.content, nil}}, string(to))
		tr.isFork(to, &state.Origin{RuntimeID: "a", Number: v.number}, "Fork")
		require.Equal(tr, view{Snapshot: v.text, HasSnapshot: true}, tr.view(to), "a fork has no inputs, no receipts and no state")
		_, latest := tr.look(to).LatestReceipt()
		require.False(tr, latest, "a fork has no receipt")
		require.NotZero(tr, tr.version(to), "a fork is a runtime")
	}
	require.Equal(tr, before, tr.view("a"), "what was forked")
	tr.has("a", all, "what was forked")
	tr.isFork("a", nil, "what was forked")

	tr.fork("fork of 5", 1, "fork of a fork")
	tr.isFork("fork of a fork", &state.Origin{RuntimeID: "fork of 5", Number: 1}, "a fork of a fork")
	tr.has("fork of a fork", []versionOf{{1, all[4].content, nil}}, "a fork of a fork")
	assert.Zero(tr, tr.commit("fork of 1", committing(store.RunID{1})).Sequence, "its sequences begin at 0")
	assert.EqualValues(tr, 4, tr.commit("a", committing(store.RunID{1})).Sequence, "its sequences go on")
}

func forksAreApart(tr *trial) {
	tr.keeping(keepAll)
	all := tr.putVersions("a")
	tr.fork("a", 5, "b")
	from := &state.Origin{RuntimeID: "a", Number: 5}
	b := []versionOf{{1, all[4].content, nil}}
	add := func(id store.RuntimeID, to []versionOf, n int) []versionOf {
		tr.Helper()
		last := to[len(to)-1]
		next := last.added(lineBy(n, n, 2000), 0)
		tr.write(putSession(id, adding(last.format, lineBy(n, n, 2000), 0)))
		return append(to, versionOf{last.number + 1, next, nil})
	}
	look := func(when string) {
		tr.Helper()
		tr.has("a", all, when)
		tr.has("b", b, when)
		tr.isFork("b", from, when)
	}
	for n := range 3 {
		all = add("a", all, 2*n)
		look("after a change of what was forked")
		b = add("b", b, 2*n+1)
		look("after a change of the fork")
	}
	tr.write(restoring("a", 5))
	all = append(all, versionOf{all[len(all)-1].number + 1, all[4].content, nil})
	all = add("a", all, 7)
	tr.write(restoring("b", 1))
	b = append(b, versionOf{b[len(b)-1].number + 1, b[0].content, nil})
	b = add("b", b, 8)
	look("after both went back")

	tr.fork("b", 1, "c")
	tr.write(deleting("b"))
	tr.has("a", all, "after the fork was deleted")
	tr.has("b", nil, "after the fork was deleted")
	tr.isFork("b", nil, "after the fork was deleted")
	tr.fork("a", 5, "b")
	b = []versionOf{{1, all[4].content, nil}}
	look("after it was forked again")
	tr.write(deleting("a"), putSession("a", linesOf("{}\n").delta()))
	all = []versionOf{{1, linesOf("{}\n"), nil}}
	look("after what was forked was deleted, and made again")
	b = add("b", b, 9)
	look("after a change of the fork of what is gone")
	tr.has("c", []versionOf{{1, b[0].content, nil}}, "the fork of the fork")
}

func forksAreRefused(tr *trial) {
	tr.keeping(store.Keep{Last: 6})
	tr.putVersions("a")
	tr.setRuntime("b", store.RuntimeIdle)
	tr.fork("a", 9, "c")
	before, h := tr.everything(), tr.store.(state.Historian)
	for _, to := range []store.RuntimeID{"a", "b", "c"} {
		err := h.Fork(tr.Context(), "a", 9, to)
		tr.refused("Fork to a runtime that is there", err, store.ErrConflict)
		conflict, ok := errors.AsType[*batch.ConflictError](err)
		require.True(tr, ok, "the error must wrap a *batch.ConflictError, and is %v", err)
		assert.Equal(tr, -1, conflict.Index)
		assert.Equal(tr, to, conflict.RuntimeID)
		assert.Equal(tr, tr.version(to), conflict.Version)
	}
	for _, missing := range []state.VersionError{{RuntimeID: "a", Number: 0}, {RuntimeID: "a", Number: 3}, {RuntimeID: "a", Number: 10}, {RuntimeID: "b", Number: 1}, {RuntimeID: "raw", Number: 1}} {
		err := h.Fork(tr.Context(), missing.RuntimeID, missing.Number, "raw")
		tr.refused("Fork of a version that is not there", err, store.ErrNoVersion)
		got, ok := errors.AsType[*state.VersionError](err)
		require.True(tr, ok, "the error must wrap a *state.VersionError, and is %v", err)
		assert.Equal(tr, missing, *got)
	}
	tr.refused("Fork from what is no text", h.Fork(tr.Context(), "\xff", 1, "raw"), store.ErrInvalidValue)
	tr.refused("Fork to what is no text", h.Fork(tr.Context(), "a", 9, "\xff"), store.ErrInvalidValue)
	assert.Equal(tr, before, tr.everything())
	assert.Equal(tr, view{}, tr.view("\xff"))
}

// Meanwhile what they fork grows.
func forksAreMadeOnce(tr *trial) {
	tr.keeping(keepAll)
	tr.write(putSession("a", linesOf(lineBy(0, 0, 30_000)).delta()))
	n := repeats(40)
	made := make([]atomic.Int64, n)
	require.NoError(tr, inTurns(n, func(caller, turn int) error {
		if caller == 0 {
			_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{putSession("a", adding(store.FormatLines, lineBy(0, turn, 100), 0))}})
			return err
		}
		number := uint64(turn/4 + caller)
		err := tr.store.(state.Historian).Fork(tr.Context(), "a", number, store.RuntimeID(fmt.Sprint("fork ", turn)))
		switch {
		case err == nil && made[turn].Swap(int64(number)) != 0:
			return fmt.Errorf("fork %d was made twice", turn)
		case err != nil && !errors.Is(err, store.ErrNoVersion):
			return mistaken(err, store.ErrConflict)
		}
		return nil
	}))
	for turn := range made {
		id, number := store.RuntimeID(fmt.Sprint("fork ", turn)), uint64(made[turn].Load())
		if number == 0 {
			tr.has(id, nil, "nobody made it")
			continue
		}
		v, ok := tr.look("a").SessionAt(number)
		require.True(tr, ok)
		tr.has(id, []versionOf{{1, linesOf(v.Snapshot.String()), nil}}, string(id))
		tr.isFork(id, &state.Origin{RuntimeID: "a", Number: number}, string(id))
	}
}
