package journaltest

import (
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func compaction() []promise {
	return []promise{
		{words: "Compact changes nothing, and the journal goes on", try: compacts},
		{words: "Compact of an empty partition is no error", try: compactsNothing},
		{words: "what was compacted is there after a crash", try: compactsAndCrashes, lacks: noCrash},
		{words: "Compact leaves other partitions alone", try: compactsAlone},
	}
}

// live returns what stands, as a caller of Compact passes it.
func live(c contents) func(func(journal.Change) bool) {
	return func(yield func(journal.Change) bool) {
		for _, key := range slices.Sorted(maps.Keys(c)) {
			if !yield(put(key, c[key])) {
				return
			}
		}
	}
}

// wear leaves a partition with many replaced values.
func (tr *trial) wear(j journal.Journal, want contents) {
	tr.Helper()
	for round := range uint64(3) {
		var changes []journal.Change
		for i := range uint64(200) {
			key := noise(i, 6)
			want[key] = noise(round*1000+i, 2000)
			changes = append(changes, put(key, want[key]))
		}
		tr.append(j, changes...)
	}
	var changes []journal.Change
	for i := range uint64(150) {
		changes = append(changes, del(noise(i, 6)))
		delete(want, noise(i, 6))
	}
	tr.append(j, changes...)
}

func compacts(tr *trial) {
	want := contents{}
	j := tr.open("p", nil)
	tr.wear(j, want)
	before := tr.append(j, put("a", "1"))
	want["a"] = "1"
	require.NoError(tr, j.Compact(tr.ctx, live(want)), "Compact")
	after := tr.append(j, put("a", "2"), put("b", "3"))
	require.Equal(tr, journal.Position{Epoch: before.Epoch, Index: before.Index + 1}, after)
	want["a"], want["b"] = "2", "3"
	require.NoError(tr, j.Compact(tr.ctx, live(want)), "Compact")
	j = tr.stands("p", want)
	require.NoError(tr, j.Compact(tr.ctx, live(want)), "Compact")
	j = tr.stands("p", want)
	last := tr.append(j, del("a"))
	require.Equal(tr, after.Index+1, last.Index)
	require.Greater(tr, last.Epoch, after.Epoch)
}

func compactsNothing(tr *trial) {
	j := tr.open("p", nil)
	require.NoError(tr, j.Compact(tr.ctx, live(nil)))
	tr.append(j, put("a", "1"))
	tr.stands("p", contents{"a": "1"})
}

func compactsAndCrashes(tr *trial) {
	want := contents{}
	j := tr.open("p", nil)
	tr.wear(j, want)
	require.NoError(tr, j.Compact(tr.ctx, live(want)))
	tr.crash()
	j = tr.open("p", want)
	tr.append(j, put("a", "1"))
	want["a"] = "1"
	require.NoError(tr, j.Compact(tr.ctx, live(want)))
	tr.append(j, put("b", "2"))
	want["b"] = "2"
	tr.crash()
	tr.open("p", want)
}

func compactsAlone(tr *trial) {
	a, b := tr.open("a", nil), tr.open("b", nil)
	of := map[string]contents{"a": {}, "b": {}}
	tr.wear(a, of["a"])
	tr.wear(b, of["b"])
	require.NoError(tr, a.Compact(tr.ctx, live(of["a"])))
	tr.append(b, put("k", "b"))
	of["b"]["k"] = "b"
	tr.reopen()
	tr.open("a", of["a"])
	tr.open("b", of["b"])
}
