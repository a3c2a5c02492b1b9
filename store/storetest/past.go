package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func past() []promise {
	return []promise{
		{words: "every change of a session is a version, and they are numbered from 1", try: changesAreVersions},
		{words: "a version never changes", try: versionsNeverChange},
		{words: "a version's number is never used again", try: numbersAreUsedOnce},
		{words: "RestoreSession makes an earlier version the next one", try: restoredIsTheNext},
		{words: "RestoreSession of a version that is not there changes nothing", try: missingIsNotRestored},
		{words: "a fork has a version of the session, and nothing else", try: forksHaveTheSession},
		{words: "a fork and what it was forked from do not see each other's changes", try: forksAreApart},
		{words: "Fork is refused where there is a runtime, and where there is no version", try: forksAreRefused},
		{words: "of callers that fork to one runtime one succeeds", try: forksAreMadeOnce},
		{words: "additions and restored versions take effect one after the other", try: additionsAndRestoredOnes},
		{words: "the last versions are kept, as many as the Retention says", try: lastVersionsAreKept},
		{words: "versions are kept for as long as the Retention says", try: youngVersionsAreKept},
		{words: "Prune removes versions, and WouldPrune says what it would remove", try: needs[pruner](versionsArePruned)},
		{words: "what versions have in common takes memory once", try: partsAreCountedOnce},
		{words: "what is deleted frees all that it took", try: needs[counted](deletedIsFreed)},
		{words: "any sequence of changes leaves what a plain copy has", try: func(tr *trial) { tr.random(false) }},
		{words: "the past is refused if the context has ended or the store is closed", try: endedPastIsRefused},
	}
}

// pruner is a store with the Loop's Prune.
type pruner interface {
	Prune(ctx context.Context, id store.RuntimeID, keep store.Retention) (state.Removed, error)
	WouldPrune(ctx context.Context, id store.RuntimeID, keep store.Retention) (state.Removed, error)
}

// counted is a store with the Loop's Stats.
type counted interface{ Stats() loopstore.Stats }

func lacksPast(f Factory, s store.RuntimeStore) (missing string) {
	return lacksAny(noOpenWith, no[batch.Committer], no[state.Viewer], no[state.Historian])(f, s)
}

// needsPast wraps a promise that is skipped unless the store keeps versions.
func needsPast(try func(*trial)) func(*trial) {
	return func(tr *trial) {
		if missing := lacksPast(tr.factory, tr.store); missing != "" {
			tr.Skip("skipped: " + missing)
		}
		try(tr)
	}
}

func changesAreVersions(tr *trial) {
	tr.keeping(keepAll)
	tr.has("a", nil, "before there is a runtime")
	all := tr.putVersions("a")
	tr.has("a", all, "after changes of every kind")
	tr.persist("a", accepted(1))
	tr.setRuntime("a", store.RuntimeIdle)
	tr.apply("a", applying(store.RunID{3}, 0))
	tr.has("a", all, "after changes of other things")
	tr.has("b", nil, "another runtime")

	boundaries := func(want map[place]uint64) {
		tr.Helper()
		v := tr.look("a")
		for run := range byte(5) {
			for sequence := range uint64(9) {
				number, ok := v.BoundaryVersion(store.RunID{run}, sequence)
				known, wanted := want[place{store.RunID{run}, sequence}]
				require.Equal(tr, wanted, ok, "BoundaryVersion(%d, %d)", run, sequence)
				require.Equal(tr, known, number, "BoundaryVersion(%d, %d)", run, sequence)
			}
		}
	}
	want := map[place]uint64{}
	for _, v := range all {
		if v.at != nil {
			want[*v.at] = v.number
		}
	}
	boundaries(want)
	again := applying(store.RunID{2}, 7)
	again.Session = new(linesOf("[]\n").delta())
	tr.apply("a", again)
	want[place{store.RunID{2}, 7}] = 10
	boundaries(want)
}

// What shares parts with a version is changed at both ends and in its middle.
func versionsNeverChange(tr *trial) {
	tr.keeping(keepAll)
	var text strings.Builder
	for n := range 400 {
		text.WriteString(lineBy(n, n, n))
	}
	var all []versionOf
	c := linesOf(text.String())
	note := func(next content) {
		c = next
		all = append(all, versionOf{uint64(len(all) + 1), c, nil})
	}
	tr.write(putSession("a", c.delta()))
	note(c)
	first := tr.look("a")
	for n := range 12 {
		d := adding(store.FormatLines, lineBy(n, n, 900*n), 0)
		next := c.added(string(d.SessionSnapshot), 0)
		switch n % 4 {
		case 1:
			next = linesOf(lineBy(n, 0, n) + c.text)
			d = next.delta()
		case 3:
			next = linesOf(strings.Replace(c.text, fmt.Sprintf(`{"by":%d,`, 100*n/4), `{"changed":1,`, 1))
			d = next.delta()
		}
		tr.write(putSession("a", d))
		clear(d.SessionSnapshot)
		note(next)
		if tr.has("a", all, fmt.Sprint("after change ", n)); tr.Failed() {
			return
		}
	}
	one, ok := first.SessionAt(1)
	require.True(tr, ok, "a view that was kept")
	assert.Equal(tr, all[0].String(), sessionWith(one), "a view that was kept")
	_, ok = first.SessionAt(2)
	assert.False(tr, ok, "a view that was kept")
}

func numbersAreUsedOnce(tr *trial) {
	tr.keeping(store.Keep{Last: 3})
	seen := map[uint64]string{}
	highest := uint64(0)
	look := func(when string) {
		tr.Helper()
		var last uint64
		for v := range tr.look("a").Sessions() {
			if stood, ok := seen[v.Number]; ok {
				require.Equal(tr, stood, v.Snapshot.String(), "%s: number %d", when, v.Number)
			}
			require.Greater(tr, v.Number, last, "%s: numbers ascend", when)
			last, seen[v.Number] = v.Number, v.Snapshot.String()
		}
		require.Equal(tr, highest+1, last, "%s: the last number", when)
		highest = last
	}
	for n := range 4 {
		tr.write(putSession("a", linesOf(lineBy(n, 0, 5)).delta()))
		look("a whole text")
		tr.write(putSession("a", adding(store.FormatLines, lineBy(n, 1, 5), 0)))
		look("an addition")
		if highest >= 3 {
			tr.write(restoring("a", highest-2))
			look("a restored version")
			tr.write(restoring("a", highest))
			look("a restored version that is the last one")
		}
		if p, ok := tr.store.(pruner); ok {
			_, err := p.Prune(tr.Context(), "a", store.Retention{Sessions: store.Keep{Last: 1}})
			require.NoError(tr, err, "Prune")
			tr.write(putSession("a", linesOf(lineBy(n, 2, 5)).delta()))
			look("a whole text after Prune")
		}
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{putSession("a", linesOf("{}\n").delta()), putSession("a", linesOf("{}").delta())}})
		tr.refused("a batch of half a line", err, store.ErrInvalidSnapshot)
		_, err = tr.tryBatch(batch.Batch{Then: []batch.Write{putSession("a", linesOf("{}\n").delta()), restoring("a", 1000)}})
		tr.refused("a batch without a version", err, store.ErrNoVersion)
	}
	tr.write(deleting("a"), putSession("a", linesOf("{}\n").delta()))
	tr.has("a", []versionOf{{1, linesOf("{}\n"), nil}}, "a runtime that is made again is another one")
}

func restoredIsTheNext(tr *trial) {
	tr.keeping(keepAll)
	all := tr.putVersions("a")
	for number := range uint64(9) {
		tr.write(restoring("a", number+1))
		all = append(all, versionOf{uint64(len(all) + 1), all[number].content, nil})
		tr.has("a", all, fmt.Sprint("after RestoreSession of ", number+1))
		if c := all[number].content; c.format.Grows() { // it goes on from there
			next := c.added(lineBy(1, int(number), 100), 3)
			receipt := tr.commit("a", boundWith(1, adding(c.format, lineBy(1, int(number), 100), 3)))
			tr.says(receipt, next, "after RestoreSession")
			all = append(all, versionOf{uint64(len(all) + 1), next, &place{receipt.RunID, receipt.Sequence}})
		}
	}
	next := linesOf(all[3].text + "{}\n")
	result := tr.write(restoring("a", 7), restoring("a", 4), bounding("a", boundWith(1, adding(store.FormatLines, "{}\n", 0))), restoring("a", uint64(len(all)+3)))
	require.Len(tr, result.Receipts, 1)
	tr.says(result.Receipts[0], next, "an addition after RestoreSession in a batch")
	n := uint64(len(all))
	all = append(all, versionOf{n + 1, all[6].content, nil}, versionOf{n + 2, all[3].content, nil},
		versionOf{n + 3, next, &place{store.RunID{1}, result.Receipts[0].Sequence}}, versionOf{n + 4, next, nil})
	tr.has("a", all, "after a batch")
}

func missingIsNotRestored(tr *trial) {
	tr.keeping(store.Keep{Last: 6})
	tr.putVersions("a")
	tr.setRuntime("bare", store.RuntimeIdle)
	before := tr.everything()
	for id, number := range map[store.RuntimeID]uint64{"a": 3, "b": 1, "bare": 1, "c": 0} {
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{setting("c", store.RuntimeIdle), restoring(id, number)}})
		tr.refused("RestoreSession of what is not there", err, store.ErrNoVersion)
		missing, ok := errors.AsType[*state.VersionError](err)
		require.True(tr, ok, "the error must wrap a *state.VersionError, and is %v", err)
		assert.Equal(tr, state.VersionError{RuntimeID: id, Number: number}, *missing)
		at, ok := errors.AsType[*batch.WriteError](err)
		require.True(tr, ok, "the error must wrap a *batch.WriteError, and is %v", err)
		assert.Equal(tr, 1, at.Index)
	}
	for _, number := range []uint64{0, 10, math.MaxUint64} {
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{restoring("a", number)}})
		tr.refused("RestoreSession of what is not there", err, store.ErrNoVersion)
	}
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{restoring("a", 9), deleting("a"), restoring("a", 9)}})
	tr.refused("RestoreSession after the runtime was deleted", err, store.ErrNoVersion)
	_, err = tr.tryBatch(batch.Batch{Then: []batch.Write{restoring("\xff", 1)}})
	tr.refused("RestoreSession of what is no text", err, store.ErrInvalidValue)
	assert.Equal(tr, before, tr.everything())
}

func additionsAndRestoredOnes(tr *trial) {
	tr.keeping(keepAll)
	first := linesOf(lineBy(9, 0, 100))
	tr.write(putSession("a", first.delta()))
	var mu sync.Mutex
	type turn struct {
		added    string
		restored uint64
		receipt  *store.RunBoundaryReceipt
	}
	turns := map[uint64]turn{}
	require.NoError(tr, inTurns(repeats(40), func(caller, n int) error {
		one, b := turn{}, batch.Batch{}
		if (caller+n)%4 == 0 {
			one.restored = uint64(n/2 + 1)
			b.Then = append(b.Then, restoring("a", one.restored))
		}
		if (caller+n)%8 != 0 {
			one.added = textBy(caller, n)
			b.Then = append(b.Then, bounding("a", boundWith(1, adding(store.FormatLines, one.added, 0))))
		}
		result, err := tr.tryBatch(b)
		if len(result.Receipts) > 0 {
			one.receipt = &result.Receipts[0]
		}
		mu.Lock()
		defer mu.Unlock()
		turns[result.Revision] = one
		return err
	}))
	texts := []string{"", first.text}
	for revision := uint64(2); len(turns) > 0; revision++ {
		one, ok := turns[revision]
		require.True(tr, ok, "no change has revision %d", revision)
		if delete(turns, revision); one.restored > 0 {
			require.Less(tr, one.restored, uint64(len(texts)), "the version was restored before it was made")
			texts = append(texts, texts[one.restored])
		}
		if one.added != "" {
			texts = append(texts, texts[len(texts)-1]+one.added)
			tr.says(*one.receipt, linesOf(texts[len(texts)-1]), fmt.Sprint("revision ", revision))
		}
	}
	tr.holds("a", linesOf(texts[len(texts)-1]), "after all changes")
	for v := range tr.look("a").Sessions() {
		tr.same(texts[v.Number], v.Snapshot.String(), "version %d", v.Number)
	}
}

func endedPastIsRefused(tr *trial) {
	tr.keeping(keepAll)
	all := tr.putVersions("a")
	h := tr.store.(state.Historian)
	refuse := func(ctx context.Context, want error) {
		_, _, err := h.LoadSessionAt(ctx, "a", 1)
		tr.refused("LoadSessionAt", err, want)
		tr.refused("Fork", h.Fork(ctx, "a", 1, "b"), want)
		tr.refused("Fork of what is no text", h.Fork(ctx, "\xff", 1, "b"), want)
		_, err = tr.store.(batch.Committer).Commit(ctx, batch.Batch{Then: []batch.Write{restoring("a", 1)}})
		tr.refused("RestoreSession", err, want)
	}
	for _, e := range tr.ended() {
		refuse(e.ctx, e.err)
	}
	tr.has("a", all, "after calls under contexts that have ended")
	tr.has("b", nil, "after calls under contexts that have ended")
	if has[io.Closer](tr) {
		tr.close()
		refuse(tr.Context(), store.ErrClosed)
	}
}
