package storetest

import (
	"io"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func reopening() []promise {
	return []promise{
		{words: "everything is there again", try: everythingIsThereAgain},
		{words: "every value comes back", try: valuesAreThereAgain},
		{words: "every runtime id comes back", try: idsAreThereAgain},
		{words: "the latest version of everything is there", try: latestVersionIsThere},
		{words: "the order of inputs continues", try: orderGoesOn},
		{words: "sequences continue", try: sequencesGoOn},
		{words: "what was refused is not there", try: refusedIsNotThere},
		{words: "what was cancelled is not there", try: cancelledIsNotThere},
		{words: "a session of any format is there, and grows on", try: formatsAreThereAgain},
		{words: "the past of a session is there, and goes on", try: needsPast(pastIsThereAgain)},
		{words: "any sequence of changes and reopenings leaves what a plain copy has", try: needsPast(func(tr *trial) { tr.random(true) })},
		{words: "what was acknowledged before Close is there, and nothing else", try: needs[io.Closer](acknowledgedIsThere)},
	}
}

// Each write also gets a runtime of its own, so that what one write stored cannot hide
// that another's is missing.
func everythingIsThereAgain(tr *trial) {
	tr.fill("a")
	tr.fill("")
	empty := applying(store.RunID{1}, 0)
	empty.Session = new(store.SessionDelta)
	tr.apply("empty", empty)
	ids := []store.RuntimeID{"a", "", "b", "empty"}
	for _, w := range writes() {
		id := store.RuntimeID(w.name)
		require.NoError(tr, w.do(tr.Context(), tr.store, id, 3), w.name)
		ids = append(ids, id)
	}
	before := map[store.RuntimeID]view{}
	for _, id := range ids {
		before[id] = tr.view(id)
	}
	require.Len(tr, before["a"].Inputs, 2, "the store was filled")
	for range 2 {
		tr.reopen()
		for _, id := range ids {
			assert.Equal(tr, before[id], tr.view(id), "runtime %q", id)
		}
	}
}

func valuesAreThereAgain(tr *trial) {
	checks := []func(){tr.putInputs(), tr.putReceipts(), tr.putSnapshots()}
	tr.reopen()
	for _, check := range checks {
		check()
	}
}

func idsAreThereAgain(tr *trial) {
	check := tr.putOwn(runtimeIDs())
	tr.reopen()
	check()
}

// Every write stores two versions, in a runtime of its own and in one that all share.
func latestVersionIsThere(tr *trial) {
	at := map[store.RuntimeID]marks{"shared": {}}
	for i, w := range writes() {
		own := store.RuntimeID(w.name)
		at[own] = marks{}
		for mark := range uint32(2) {
			for _, id := range []store.RuntimeID{own, "shared"} {
				mark := uint32(10*i) + mark + 1
				require.NoError(tr, w.do(tr.Context(), tr.store, id, mark), w.name)
				at[id].put(w, mark)
			}
		}
	}
	for range 2 {
		tr.reopen()
		for _, w := range writes() {
			assert.NoError(tr, at[store.RuntimeID(w.name)].differ(tr.Context(), tr.store, store.RuntimeID(w.name), w.parts))
		}
		assert.NoError(tr, at["shared"].differ(tr.Context(), tr.store, "shared", partsOf(writes())))
	}
}

func orderGoesOn(tr *trial) {
	tr.persist("a", accepted(5), accepted(3), accepted(9), accepted(3))
	tr.reopen()
	tr.persist("a", accepted(1), accepted(9))
	assert.Equal(tr, []int{5, 3, 9, 1}, tr.order("a"))
}

func sequencesGoOn(tr *trial) {
	tr.fill("a")
	tr.apply("a", applying(store.RunID{2}, 41))
	tr.apply("a", applying(store.RunID{2}, 7)) // the highest sequence is not the latest
	tr.reopen()
	assert.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence)
	assert.EqualValues(tr, 42, tr.commit("a", committing(store.RunID{2})).Sequence)
	_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{9}))
	tr.refused("a commit to a run at its last sequence", err, store.ErrSequenceExhausted)
}

func refusedIsNotThere(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	for _, r := range refusals() {
		tr.refused(r.words, r.do(tr.Context(), tr.store, "a"), r.is)
	}
	tr.reopen()
	assert.Equal(tr, before, tr.view("a"))
}

func cancelledIsNotThere(tr *trial) {
	acknowledged := tr.writeAndCancel(false)
	tr.reopen()
	tr.allAreAt(acknowledged)
}

func acknowledgedIsThere(tr *trial) {
	for range repeats(20) {
		tr.open()
		acknowledged := tr.workUntilClosed()
		tr.reopen()
		tr.allAreAt(acknowledged)
	}
}

func formatsAreThereAgain(tr *trial) {
	if missing := onlyUnset(tr.factory, tr.store); missing != "" {
		tr.Skip("skipped: " + missing)
	}
	all := map[store.RuntimeID]content{}
	ways := tr.sessionWays()
	for i, c := range contents() {
		w := ways[i%len(ways)]
		id := store.RuntimeID(w.name + c.name)
		all[id] = c
		tr.put(w, id, c.delta(), c)
	}
	for turn := range 3 {
		tr.reopen()
		for id, c := range all {
			tr.holds(id, c, "after it was reopened")
			if c.format.Grows() {
				all[id] = c.added(lineBy(turn, turn, 100), c.count+1)
				tr.put(tr.sessionWays()[0], id, adding(c.format, lineBy(turn, turn, 100), c.count+1), all[id])
			} else {
				tr.put(tr.sessionWays()[0], id, c.delta(), c)
			}
		}
	}
}

// Forks share what they have with what they were forked from, also after it was
// deleted.
func pastIsThereAgain(tr *trial) {
	tr.keeping(store.Keep{Last: 7})
	all := tr.putVersions("a")[2:]
	tr.fork("a", 5, "b")
	b := []versionOf{{1, all[2].content, nil}}
	tr.fork("b", 1, "c")
	tr.write(deleting("b"))
	for n := range 3 {
		var before store.Totals
		s, ok := tr.store.(counted)
		if ok {
			before = s.Stats().Held
		}
		if tr.reopen(); ok {
			require.Equal(tr, before, tr.store.(counted).Stats().Held, "what the store holds")
		}
		tr.has("a", all, "after it was reopened")
		tr.has("b", nil, "what was deleted")
		tr.has("c", b, "the fork of what was deleted")
		tr.isFork("c", &state.Origin{RuntimeID: "b", Number: 1}, "after it was reopened")
		for _, v := range all {
			if v.at != nil {
				number, ok := tr.look("a").BoundaryVersion(v.at.run, v.at.sequence)
				require.True(tr, ok, "BoundaryVersion of version %d", v.number)
				require.Equal(tr, v.number, number, "BoundaryVersion")
			}
		}
		number := uint64(9 + 2*n)
		tr.write(restoring("a", number), putSession("a", adding(store.FormatLines, lineBy(n, n, 20_000), 0)))
		stands := all[len(all)-1].content
		all = append(all[2:], versionOf{number + 1, stands, nil}, versionOf{number + 2, stands.added(lineBy(n, n, 20_000), 0), nil})
		tr.has("a", all, "after it went on")
	}
}
