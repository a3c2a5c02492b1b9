package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// numbers returns the numbers of the versions of a runtime's session.
func (tr *trial) numbers(id store.RuntimeID) (all []uint64) {
	tr.Helper()
	for v := range tr.look(id).Sessions() {
		all = append(all, v.Number)
	}
	return all
}

func lastVersionsAreKept(tr *trial) {
	for _, keep := range []store.Keep{{}, {Last: 1}, {Last: 2}, {Last: 5}, {Last: 5, For: time.Hour}, keepAll} {
		tr.keeping(keep)
		var all []versionOf
		for n := range 9 {
			c := linesOf(lineBy(n, n, 300))
			tr.write(putSession("a", c.delta()))
			all = append(all, versionOf{uint64(n + 1), c, nil})
			most := keep.Last
			if keep == (store.Keep{}) {
				most = 1
			}
			if most > 0 && len(all) > most {
				all = all[1:]
			}
			tr.has("a", all, fmt.Sprintf("%+v, change %d", keep, n))
		}
	}
}

// An age is not waited for, but for the shortest.
func youngVersionsAreKept(tr *trial) {
	tr.keeping(store.Keep{For: time.Nanosecond})
	gone := func() bool {
		for range 3 {
			tr.write(putSession("a", linesOf(lineBy(1, 1, 9)).delta()))
		}
		time.Sleep(time.Millisecond)
		tr.write(putSession("a", linesOf(lineBy(1, 1, 9)).delta()))
		return len(tr.numbers("a")) == 1
	}
	require.Eventually(tr, gone, 10*time.Second, time.Millisecond, "versions that are too old go with the next change")
	last := tr.numbers("a")
	tr.setRuntime("a", store.RuntimeIdle)
	assert.Equal(tr, last, tr.numbers("a"), "the last one always stays")

	tr.keeping(keepAll)
	all := tr.putVersions("a")
	v := tr.look("a")
	for _, c := range []struct {
		keep  store.Keep
		after time.Duration
		gone  int
	}{
		{store.Keep{For: time.Hour}, 50 * time.Minute, 0}, {store.Keep{For: time.Hour}, 70 * time.Minute, len(all) - 1},
		{store.Keep{For: time.Hour, Last: 4}, 0, len(all) - 4}, {store.Keep{For: time.Hour, Last: 4}, 70 * time.Minute, len(all) - 1},
		{store.Keep{}, 70 * time.Minute, 0}, {store.Keep{Last: 1}, 0, len(all) - 1}, {store.Keep{Last: len(all)}, 0, 0},
	} {
		would := v.WouldPrune(store.Retention{Sessions: c.keep}, store.TimeOf(time.Now().Add(c.after)))
		assert.Equal(tr, c.gone, would.Versions, "%+v, after %v", c.keep, c.after)
		assert.Equal(tr, c.gone > 0, would.SnapshotBytes > 0, "%+v, after %v", c.keep, c.after)
	}
	tr.has("a", all, "after WouldPrune")
}

func versionsArePruned(tr *trial) {
	tr.keeping(keepAll)
	p := tr.store.(pruner)
	all := tr.putVersions("a")
	tr.fork("a", 2, "fork")
	before := tr.view("a")
	held := func() store.Totals { return tr.look("a").Summary().Held }
	for _, last := range []int{20, 9, 7, 6, 2, 2, 1, 1} {
		keep := store.Retention{Sessions: store.Keep{Last: last}}
		was, gone := held(), max(0, len(all)-last)
		would, err := p.WouldPrune(tr.Context(), "a", keep)
		require.NoError(tr, err, "WouldPrune")
		require.Equal(tr, was, held(), "WouldPrune removes nothing")
		did, err := p.Prune(tr.Context(), "a", keep)
		require.NoError(tr, err, "Prune")
		require.Equal(tr, gone, would.Versions, "WouldPrune to %d", last)
		require.Equal(tr, gone, did.Versions, "Prune to %d", last)
		require.LessOrEqual(tr, did.SnapshotBytes, would.SnapshotBytes, "a fork has some of it")
		now := held()
		require.Equal(tr, was.SnapshotBytes-would.SnapshotBytes, now.SnapshotBytes, "what the runtime holds after Prune to %d", last)
		require.Equal(tr, was.Versions-gone, now.Versions)
		all = all[gone:]
		tr.has("a", all, fmt.Sprintf("after Prune to %d", last))
	}
	assert.Equal(tr, before, tr.view("a"), "the rest")
	number, ok := tr.look("a").BoundaryVersion(store.RunID{1}, 0)
	assert.False(tr, ok, "the version of a boundary is gone: %d", number)
	tr.has("fork", []versionOf{{1, meerkatOf(4, 1000), nil}}, "the fork of a version that is gone")
}

// partsAreCountedOnce has sessions of which each version has a little that the one
// before it has not.
func partsAreCountedOnce(tr *trial) {
	tr.keeping(keepAll)
	var b strings.Builder
	for n := 0; b.Len() < 1<<20; n++ {
		b.WriteString(lineBy(n, n*n, n%300))
	}
	c := linesOf(b.String())
	tr.write(putSession("a", c.delta()), putSession("b", c.delta()))
	text := c.text
	for n := range 50 {
		tr.write(putSession("a", adding(store.FormatLines, lineBy(n, n, 1000), 0)))
		text = "[0]\n" + text + lineBy(n, n, 1000)
		tr.write(putSession("b", linesOf(text).delta()))
	}
	for _, id := range []store.RuntimeID{"a", "b"} {
		held := tr.look(id).Summary().Held
		assert.Equal(tr, 50, held.Versions)
		assert.Less(tr, held.SnapshotBytes, int64(4<<20), "51 versions of 1 MB in runtime %q", id)
		assert.Greater(tr, held.SnapshotBytes, int64(1<<20))
	}
	s, ok := tr.store.(counted)
	if !ok {
		return
	}
	before := s.Stats().Held
	for n := range 20 {
		tr.fork("a", uint64(2*n+1), store.RuntimeID(fmt.Sprint("fork ", n)))
	}
	tr.write(restoring("a", 1), restoring("a", 30))
	after := s.Stats().Held
	assert.Equal(tr, before.Runtimes+20, after.Runtimes)
	assert.Less(tr, after.Bytes()-before.Bytes(), int64(20*4096), "20 forks of 1 MB")
	assert.Greater(tr, tr.look("fork 1").Summary().Held.SnapshotBytes, int64(1<<20), "a runtime by itself holds all of its session")
}

// deletedIsFreed takes everything away again, step by step and in different orders.
func deletedIsFreed(tr *trial) {
	tr.keeping(keepAll)
	s := tr.store.(counted)
	held := func() store.Totals { return s.Stats().Held }
	empty := held()
	assert.Zero(tr, empty, "an empty store")
	tr.putVersions("a")
	one := held()
	for n := range 4 {
		var was []store.Totals
		for i := range 6 {
			was = append(was, held())
			id := store.RuntimeID(fmt.Sprint("fork ", i))
			tr.fork("a", uint64(5+i%5), id)
			if i%2 == n%2 { // it has something of its own, which goes with it
				tr.write(putSession(id, linesOf(strings.Repeat(lineBy(1, 1, 500), 90)+lineBy(i, n, 3000)).delta()), restoring(id, 1))
				tr.persist(id, accepted(1))
			}
		}
		for i := range 6 {
			if n < 2 { // the last comes first
				i = 5 - i
			}
			tr.write(deleting(store.RuntimeID(fmt.Sprint("fork ", i))))
			if n < 2 {
				require.Equal(tr, was[i], held(), "after fork %d was deleted", i)
			}
		}
		require.Equal(tr, one, held(), "after all forks were deleted")
	}
	if p, ok := tr.store.(pruner); ok {
		removed, err := p.Prune(tr.Context(), "a", store.Retention{Sessions: store.Keep{Last: 1}})
		require.NoError(tr, err)
		require.Equal(tr, one.SnapshotBytes-removed.SnapshotBytes, held().SnapshotBytes, "after Prune")
		require.Positive(tr, removed.SnapshotBytes)
	}
	tr.write(deleting("a"))
	require.Equal(tr, empty, held(), "after all was deleted")
	for range 9 { // the numbers and the receipts count the same
		tr.write(putSession("a", linesOf("{}\n").delta()))
	}
	tr.write(deleting("a"))
	tr.putVersions("a")
	require.Equal(tr, one, held(), "the same again")
	tr.fork("a", 9, "fork")
	tr.write(deleting("a"))
	only := held()
	tr.write(deleting("fork"), putSession("fork", linesOf(strings.Repeat(lineBy(1, 1, 500), 100)).delta()))
	assert.Equal(tr, held(), only, "a fork of what is gone holds what the same session does")
	tr.write(deleting("fork"))
	require.Equal(tr, empty, held(), "after all was deleted")
}
