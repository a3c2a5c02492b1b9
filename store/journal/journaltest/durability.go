package journaltest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func durability() []promise {
	return []promise{
		{words: "what was acknowledged is there after Close", try: thereAfterClose},
		{words: "what was acknowledged is there after a crash", try: thereAfterCrash, lacks: noCrash},
		{words: "many keys come back", try: manyKeys},
		{words: "after Close nothing is stored", try: nothingAfterEnd},
		{words: "a context that has ended leaves all or nothing", try: endedContext},
	}
}

// churn appends n batches, and updates want.
func (tr *trial) churn(j journal.Journal, want contents, seed uint64, n int) {
	tr.Helper()
	for i := range n {
		var changes []journal.Change
		for k := range 5 {
			random := noise(seed+uint64(i*5+k), 4)
			key := fmt.Sprintf("key %d", random[0]%64)
			if random[1]%4 == 0 {
				changes = append(changes, del(key))
				delete(want, key)
			} else {
				want[key] = noise(uint64(random[2]), int(random[3])*3)
				changes = append(changes, put(key, want[key]))
			}
		}
		tr.append(j, changes...)
	}
}

func thereAfterClose(tr *trial) {
	want := contents{}
	for round := range uint64(4) {
		j := tr.open("p", want)
		tr.churn(j, want, round*1000, 20)
		tr.reopen()
	}
	tr.open("p", want)
}

func thereAfterCrash(tr *trial) {
	want := contents{}
	for round := range uint64(4) {
		j := tr.open("p", want)
		tr.churn(j, want, round*1000, 5)
		tr.crash()
	}
	tr.open("p", want)
}

func manyKeys(tr *trial) {
	n := 100_000
	if testing.Short() {
		n = 2_000
	}
	j := tr.open("p", nil)
	want := contents{}
	for from := 0; from < n; from += 1000 {
		var changes []journal.Change
		for i := from; i < min(from+1000, n); i++ {
			key := noise(uint64(i), 8) + fmt.Sprint(i)
			want[key] = fmt.Sprint("value ", i)
			changes = append(changes, put(key, want[key]))
		}
		tr.append(j, changes...)
	}
	tr.stands("p", want)
}

func nothingAfterEnd(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	require.NoError(tr, j.Close(tr.ctx))
	tr.ended(j)
	tr.stands("p", contents{"a": "1"})
}

// ended checks that a journal is finished: every Append fails.
func (tr *trial) ended(j journal.Journal) {
	tr.Helper()
	for range 3 {
		_, err := j.Append(tr.ctx, batch(put("late", "1")))
		require.Error(tr, err, "Append to a finished journal")
		require.NotErrorIs(tr, err, journal.ErrRejected, "ErrRejected would mean that the journal goes on")
	}
}

// An engine may look at the context or not; its answer must be true.
func endedContext(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	want := contents{"a": "1"}
	_, err := j.Append(tr.endedCtx(), batch(put("b", "2"), put("c", "3")))
	if err == nil {
		want["b"], want["c"] = "2", "3"
	}
	switch {
	case err == nil || isRejected(err):
		tr.append(j, put("d", "4"))
		want["d"] = "4"
	default:
		tr.ended(j)
	}
	tr.reopen()
	_, got, openErr := tr.tryOpen("p")
	require.NoError(tr, openErr, "Open")
	if _, both := got["b"]; err != nil && !isFenced(err) && !isRejected(err) && both {
		want["b"], want["c"] = "2", "3" // the answer left it open
	}
	require.Empty(tr, want.differ(got), "Append returned %v", err)
}
