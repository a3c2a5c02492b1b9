package journaltest

import (
	"bytes"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func appending() []promise {
	return []promise{
		{words: "a batch is stored whole", try: storedWhole},
		{words: "a later batch replaces and deletes", try: replacesAndDeletes},
		{words: "the last change of a key wins", try: lastChangeWins},
		{words: "deleting an absent key is no error", try: deleteOfNothing},
		{words: "a batch that is applied again does no harm", try: appliedAgain},
		{words: "indexes grow by one per batch, over all Opens", try: indexesGrow},
		{words: "arguments are not changed", try: argumentsAreNotChanged},
		{words: "arguments are not kept", try: argumentsAreNotKept},
	}
}

func storedWhole(tr *trial) {
	j := tr.open("p", nil)
	var changes []journal.Change
	want := contents{}
	for i := range 300 {
		key := noise(uint64(i), 3+i%40)
		want[key] = noise(uint64(i)+1000, i*7)
		changes = append(changes, put(key, want[key]))
	}
	tr.append(j, changes...)
	tr.stands("p", want)
}

func replacesAndDeletes(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"), put("b", "2"), put("c", "3"))
	tr.append(j, put("b", "a longer one"), del("c"), put("d", "4"))
	tr.append(j, put("a", ""))
	j = tr.stands("p", contents{"a": "", "b": "a longer one", "d": "4"})
	tr.append(j, put("c", "again"), del("a"))
	tr.stands("p", contents{"b": "a longer one", "c": "again", "d": "4"})
}

func lastChangeWins(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"), put("a", "2"), put("b", "1"), del("b"), del("c"), put("c", "1"),
		put("d", "1"), del("d"), put("d", "2"))
	j = tr.stands("p", contents{"a": "2", "c": "1", "d": "2"})
	tr.append(j, del("a"), put("a", "3"), put("c", "2"), del("c"), put("d", "3"), put("d", "4"))
	tr.stands("p", contents{"a": "3", "d": "4"})
}

func deleteOfNothing(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, del("a"))
	tr.append(j, put("b", "1"), del("c"), del("c"))
	tr.append(j, del("b"))
	tr.append(j, del("b"))
	tr.stands("p", nil)
}

// A batch that is known already may keep its index, or get a new one.
func appliedAgain(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "0"), put("b", "0"))
	b := batch(put("a", "1"), del("b"), put("c", "1"))
	first := tr.appendBatch(j, b)
	again := tr.appendBatch(j, b)
	assert.Contains(tr, []uint64{first.Index, first.Index + 1}, again.Index)
	want := contents{"a": "1", "c": "1"}
	j = tr.stands("p", want)
	tr.appendBatch(j, b)
	tr.stands("p", want)
}

func indexesGrow(tr *trial) {
	var last journal.Position
	for range 3 {
		j, _, err := tr.tryOpen("p")
		require.NoError(tr, err, "Open")
		for range 3 {
			at := tr.append(j, put("a", noise(last.Index, 5)))
			require.Equal(tr, last.Index+1, at.Index, "after %+v came %+v", last, at)
			last = at
		}
		tr.refused(j)
		tr.reopen()
	}
}

func argumentsAreNotChanged(tr *trial) {
	j := tr.open("p", nil)
	b := batch(put("b", "2"), put("a", "1"), del("c"), put("b", "3"))
	want := cloned(b)
	tr.appendBatch(j, b)
	require.Equal(tr, want, b)
	require.NoError(tr, j.Compact(tr.ctx, slices.Values(b.Changes[:0])))
	require.Equal(tr, want, b)
}

func cloned(b journal.Batch) journal.Batch {
	b.Changes = slices.Clone(b.Changes)
	for i, c := range b.Changes {
		b.Changes[i].Key, b.Changes[i].Value = bytes.Clone(c.Key), bytes.Clone(c.Value)
	}
	return b
}

func argumentsAreNotKept(tr *trial) {
	j := tr.open("p", nil)
	b := batch(put("a", "1"), put("b", noise(1, 10_000)))
	want := contents{"a": "1", "b": string(b.Changes[1].Value)}
	tr.appendBatch(j, b)
	for _, c := range b.Changes {
		scribble(c.Key)
		scribble(c.Value)
	}
	tr.append(j, put("c", "3"))
	want["c"] = "3"
	tr.stands("p", want)
}

func scribble(p []byte) {
	for i := range p {
		p[i] ^= 0xff
	}
}
