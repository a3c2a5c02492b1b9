package journaltest

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// most is the largest limit that the suite tests.
const most = 80 << 20

func limits() []promise {
	return []promise{
		{words: "a key as long as the limit is stored, a longer one is refused", try: keyLimit},
		{words: "a value as long as the limit is stored, a longer one is refused", try: valueLimit},
		{words: "a batch as large as the limit is stored, a larger one is refused", try: batchLimit},
		{words: "a refused batch leaves nothing, and the journal goes on", try: refusedLeavesNothing},
	}
}

// tooLarge returns a batch that exceeds a limit, if the suite can reach one.
func tooLarge(j journal.Journal) (journal.Batch, bool) {
	l := j.Limits()
	for _, n := range []int{l.KeyBytes, l.ValueBytes, int(l.BatchBytes)} {
		switch {
		case n == 0 || n > most:
		case n == l.KeyBytes:
			return batch(put("first", "1"), put(noise(1, n+1), ""), put("last", "1")), true
		default:
			return batch(put("first", "1"), put("large", noise(1, n+1)), put("last", "1")), true
		}
	}
	return journal.Batch{}, false
}

// refused appends a batch that is too large, if the journal has a limit that the
// suite can reach.
func (tr *trial) refused(j journal.Journal) bool {
	tr.Helper()
	b, limited := tooLarge(j)
	if limited {
		_, err := j.Append(tr.ctx, b)
		require.ErrorIs(tr, err, journal.ErrRejected)
	}
	return limited
}

// atLimit tests a batch at a limit, and one just beyond it.
func (tr *trial) atLimit(limit int64, what string, with func(n int) []journal.Change) {
	tr.Helper()
	if limit == 0 || limit > most || testing.Short() && limit > 1<<20 {
		tr.Skipf("not tested: %s have no limit that the suite can reach (%d)", what, limit)
	}
	j := tr.open("p", nil)
	tr.append(j, put("z", "1"))
	want := contents{"z": "1"}
	tr.append(j, with(int(limit))...)
	for _, c := range with(int(limit)) {
		want[string(c.Key)] = string(c.Value)
	}
	_, err := j.Append(tr.ctx, batch(with(int(limit)+1)...))
	require.ErrorIs(tr, err, journal.ErrRejected)
	tr.append(j, put("z", "2"))
	want["z"] = "2"
	tr.stands("p", want)
}

func limitsOf(tr *trial) journal.Limits {
	tr.Helper()
	j := tr.open("p", nil)
	defer tr.closeAll()
	return j.Limits()
}

func keyLimit(tr *trial) {
	tr.atLimit(int64(limitsOf(tr).KeyBytes), "keys", func(n int) []journal.Change {
		return []journal.Change{put(noise(1, n), "1")}
	})
}

func valueLimit(tr *trial) {
	tr.atLimit(int64(limitsOf(tr).ValueBytes), "values", func(n int) []journal.Change {
		return []journal.Change{put("v", noise(1, n))}
	})
}

func batchLimit(tr *trial) {
	l := limitsOf(tr)
	tr.atLimit(l.BatchBytes, "batches", func(n int) (changes []journal.Change) {
		size := 1 << 20
		if l.ValueBytes > 0 {
			size = min(size, l.ValueBytes)
		}
		for i := 100; n > 0; i++ {
			key := strconv.Itoa(i)
			value := min(size, max(n-len(key), 0))
			if n < len(key) {
				key = key[:n]
			}
			changes = append(changes, put(key, noise(uint64(i), value)))
			n -= len(key) + value
		}
		return changes
	})
}

func refusedLeavesNothing(tr *trial) {
	j := tr.open("p", nil)
	before := tr.append(j, put("a", "1"))
	for range 3 {
		if !tr.refused(j) {
			tr.Skip("not tested: there is no limit that the suite can reach")
		}
	}
	after := tr.append(j, put("b", "2"))
	assert.Equal(tr, before.Index+1, after.Index, "a refused batch is not counted")
	tr.stands("p", contents{"a": "1", "b": "2"})
}
