package disk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// A record is what a Logger was told, which other goroutines tell.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

// has reports whether a message was told, and how often.
func (r *record) has(message string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.text.String(), message)
}

// The Logger is told once that the log grows, and once that it is mended; of a compaction that
// has failed, which changes nothing; and of what ends the journal.
func TestTheLoggerIsTold(t *testing.T) {
	var told record
	var cause atomic.Pointer[error]
	var full, noRoom atomic.Bool
	hook(t, func(c files.Change) error {
		switch {
		case c.Op == files.Committed && full.Load():
			return *cause.Load()
		case c.Op == files.Created && strings.HasSuffix(c.Path, "pages.new") && noRoom.Load():
			return syscall.ENOSPC
		}
		return nil
	}, nil)
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{CheckpointBytes: 1 << 20, CompactAt: 0.1, Logger: slog.New(slog.NewTextHandler(&told, nil))}, 1<<20)
	j := openWith(t, path, opts)
	want := contents{}
	until := func(message string) {
		t.Helper()
		require.Eventually(t, func() bool {
			value := strings.Repeat("v", 300_000)
			if tryAppend(t, j, put("x", value)) == nil {
				want["x"] = value
			}
			return told.has(message) > 0
		}, 20*time.Second, 5*time.Millisecond, message)
	}
	noRoom.Store(true)
	for i := range 20 {
		appendTo(t, j, put(fmt.Sprint(i), strings.Repeat("v", 1<<20)))
	}
	for i := range 20 {
		appendTo(t, j, remove(fmt.Sprint(i)))
	}
	until("the pages were not compacted, nothing has changed")
	noRoom.Store(false)

	cause.Store(new(error(syscall.ENOSPC)))
	full.Store(true)
	until("the log grows, there is no room for a checkpoint")
	time.Sleep(1100 * time.Millisecond) // it is tried again meanwhile
	full.Store(false)
	until("checkpoints go on")
	require.Equal(t, 1, told.has("the log grows"))

	cause.Store(new(error(syscall.EIO)))
	full.Store(true)
	until("the pages cannot be written")
	full.Store(false)
	require.Error(t, tryAppend(t, j, put("x", "late")))
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, want, reload(t, path, opts))
}
