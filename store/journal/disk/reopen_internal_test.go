package disk

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A commit that fails may be on the disk all the same. Then the pages have got further than
// was known, and the log goes on behind that; or where they have got to is not in the log.
func TestACommitThatFailedAndWasMade(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost=%v", lost), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			opts := Options{CheckpointBytes: 1 << 40, Logger: slog.New(slog.DiscardHandler), segment: 4096}
			var full atomic.Bool
			files.Before = func(c files.Change) error {
				if full.Load() && c.Op == files.Committed {
					return syscall.ENOSPC
				}
				return nil
			}
			t.Cleanup(func() { files.Before = nil })
			e := New(path, opts)
			j, err := e.Open(t.Context(), "p", func(journal.Change) error { return nil })
			require.NoError(t, err)
			put := func(key string) {
				t.Helper()
				_, err := j.Append(t.Context(), journal.Batch{Changes: []journal.Change{{Key: []byte(key), Value: make([]byte, 1500)}}})
				require.NoError(t, err)
			}
			d := j.(*partition).directory
			for i := range 10 {
				put(fmt.Sprint("before ", i))
			}
			file, err := d.take(t.Context())
			require.NoError(t, err)
			pending, err := file.Pending()
			require.NoError(t, err)
			r := *d.reader
			for size := int64(1); size > 0; {
				size, err = r.Next(pending.Add)
				require.NoError(t, err)
			}
			mark := r.Mark()
			if lost {
				mark.Number += 5
			}
			require.NoError(t, file.Apply(mark, pending), "it was made")
			full.Store(true)
			require.ErrorIs(t, file.Apply(wal.Mark{}, pending), syscall.ENOSPC)
			full.Store(false)
			require.Error(t, file.Failed())
			d.give(file)
			err = d.keepUp()
			if lost {
				require.ErrorIs(t, err, journal.ErrCorrupt)
				require.NoError(t, j.Close(t.Context()))
				return
			}
			require.NoError(t, err)
			require.Equal(t, mark, d.reader.Mark())
			require.Zero(t, d.log.Backlog())
			for i := range 10 {
				put(fmt.Sprint("after ", i))
			}
			require.NoError(t, j.Compact(t.Context(), nil))
			put("last")
			require.NoError(t, j.Close(t.Context()))
			n := 0
			j, err = e.Open(t.Context(), "p", func(journal.Change) error { n++; return nil })
			require.NoError(t, err)
			require.Equal(t, 21, n)
			require.NoError(t, j.Close(t.Context()))
		})
	}
}

// Who waits for a checkpoint, while the log is far behind, waits no longer than its context.
func TestAWaitForACheckpointEndsWithItsContext(t *testing.T) {
	c := checkpointer{kick: make(chan struct{}, 1), passed: make(chan struct{}, 1), gone: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.awaitCheckpoint(ctx)
}
