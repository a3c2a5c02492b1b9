package disk

import (
	"bytes"
	"math/bits"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// Four of the largest keys and values fit a page of bbolt's, however many bits an int has, and
// a batch has room for one.
func TestTheLargestValuesFitAPage(t *testing.T) {
	for _, size := range []int{32, 64} {
		l, page := limits(size), int64(1)<<(28+3*(size/32-1))
		require.Less(t, 4*int64(l.KeyBytes+l.ValueBytes+1<<10), page, size)
		require.Greater(t, l.BatchBytes, int64(l.KeyBytes+l.ValueBytes), size)
	}
	require.Equal(t, limits(bits.UintSize), new(partition).Limits())
	if bits.UintSize == 64 {
		t.Skip("the pages themselves need a GiB where an int has 64 bits")
	}
	engine := New(filepath.Join(t.TempDir(), "journal"), Options{})
	var got int
	open := func() journal.Journal {
		got = 0
		j, err := engine.Open(t.Context(), "p", func(c journal.Change) error {
			got += len(c.Value)
			return nil
		})
		require.NoError(t, err)
		return j
	}
	j := open()
	size := j.Limits().ValueBytes
	for i := range byte(4) {
		_, err := j.Append(t.Context(), journal.Batch{ID: [16]byte{i}, Changes: []journal.Change{{Key: []byte{i}, Value: bytes.Repeat([]byte{i}, size)}}})
		require.NoError(t, err)
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, open().Close(t.Context()))
	require.Equal(t, 4*size, got)
}
