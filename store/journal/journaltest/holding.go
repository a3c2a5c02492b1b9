package journaltest

import (
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func holding() []promise {
	return []promise{
		{words: "epochs grow with every Open", try: epochsGrow},
		{words: "a second holder fences the first", try: fences, lacks: exclusive},
		{words: "a fenced holder stores nothing, whatever it tries", try: fencedStoresNothing, lacks: exclusive},
		{words: "the Close of a fenced holder does not end the other", try: fencedCloses, lacks: exclusive},
		{words: "a second Open is in use, and disturbs nothing", try: inUse, lacks: fencing},
		{words: "a holder is fenced only in its own partition", try: fencedAlone},
	}
}

func epochsGrow(tr *trial) {
	var last journal.Position
	for range 4 {
		j, _, err := tr.tryOpen("p")
		require.NoError(tr, err, "Open")
		at := tr.append(j, put("a", "1"))
		require.Greater(tr, at.Epoch, last.Epoch)
		require.Equal(tr, at.Epoch, tr.append(j, put("a", "2")).Epoch, "one Open has one epoch")
		last = at
		tr.reopen()
	}
}

func fences(tr *trial) {
	first := tr.open("p", nil)
	at := tr.append(first, put("a", "1"))
	second := tr.open("p", contents{"a": "1"})
	_, err := first.Append(tr.ctx, batch(put("a", "of the first")))
	require.ErrorIs(tr, err, journal.ErrFenced)
	now := tr.append(second, put("b", "2"))
	require.Equal(tr, at.Index+1, now.Index)
	require.Greater(tr, now.Epoch, at.Epoch)
	tr.stands("p", contents{"a": "1", "b": "2"})
}

func fencedStoresNothing(tr *trial) {
	first := tr.open("p", nil)
	second := tr.open("p", nil)
	tr.append(second, put("a", "1"))
	require.NoError(tr, second.Close(tr.ctx))
	tr.ended(first) // though nobody holds the partition now
	tr.stands("p", contents{"a": "1"})
}

func fencedCloses(tr *trial) {
	first := tr.open("p", nil)
	second := tr.open("p", nil)
	require.NoError(tr, first.Close(tr.ctx))
	tr.append(second, put("a", "1"))
	tr.stands("p", contents{"a": "1"})
}

func inUse(tr *trial) {
	first := tr.open("p", nil)
	tr.append(first, put("a", "1"))
	for range 3 {
		_, _, err := tr.tryOpen("p")
		require.ErrorIs(tr, err, journal.ErrInUse)
		tr.append(first, put("b", "2"))
	}
	require.NoError(tr, first.Close(tr.ctx))
	second := tr.open("p", contents{"a": "1", "b": "2"})
	tr.append(second, put("c", "3"))
	tr.stands("p", contents{"a": "1", "b": "2", "c": "3"})
}

func fencedAlone(tr *trial) {
	a := tr.open("a", nil)
	b := tr.open("b", nil)
	tr.append(a, put("k", "a"))
	tr.append(b, put("k", "b"))
	tr.append(a, put("k", "a2"))
	tr.reopen()
	tr.open("a", contents{"k": "a2"})
	tr.open("b", contents{"k": "b"})
}
