package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A frame that was torn when it began a segment leaves its header there. The log goes on in
// the segment before, and past that frame's number.
func TestAFrameThatIsTornWhereItBeginsASegment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	open := func() journal.Journal {
		j, err := New(path, crashOptions()).Open(t.Context(), "p", func(journal.Change) error { return nil })
		require.NoError(t, err)
		return j
	}
	put := func(j journal.Journal, size int) {
		change := journal.Change{Key: []byte("k"), Value: []byte(strings.Repeat("x", size))}
		_, err := j.Append(t.Context(), journal.Batch{Changes: []journal.Change{change}})
		require.NoError(t, err)
	}
	j := open()
	put(j, 5000)
	put(j, 12_000) // has no room in the first segment
	require.NoError(t, j.Close(t.Context()))
	second, err := os.OpenFile(filepath.Join(path, "log-0000000000000002"), os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = second.WriteAt(make([]byte, 8000), 4096)
	require.NoError(t, err)
	require.NoError(t, second.Close())

	j = open()
	put(j, 100)
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, open().Close(t.Context()))
}
