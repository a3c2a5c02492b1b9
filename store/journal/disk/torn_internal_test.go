package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
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

// A whole frame with what the pages cannot take is found when the directory is opened.
func TestAnEntryBeyondTheLimitsIsFound(t *testing.T) {
	first := journal.Position{Epoch: 1}
	for name, e := range map[string]wal.Entry{
		"a key":  {Partition: "p", Position: journal.Position{Index: 1}, Changes: []journal.Change{{Key: make([]byte, maxKey+1)}}},
		"a name": {Partition: strings.Repeat("n", MaxName+1), Position: first},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			d, err := openDirectory(t.Context(), path, Options{}.withDefaults(), true)
			require.NoError(t, err)
			require.NoError(t, d.log.Append([]wal.Entry{{Partition: "q", Position: first}}))
			require.NoError(t, d.log.Append([]wal.Entry{e}))
			require.NoError(t, d.close())
			for _, open := range []func() error{
				func() error {
					_, err := New(path, Options{}).Open(t.Context(), "q", func(journal.Change) error { return nil })
					return err
				},
				func() error {
					_, err := Partitions(t.Context(), path, Options{})
					return err
				},
			} {
				err := open()
				require.ErrorIs(t, err, journal.ErrCorrupt)
				require.ErrorContains(t, err, "frame 2 of the log, at byte 56 of segment 1")
				require.ErrorContains(t, err, "limit")
			}
		})
	}
}
