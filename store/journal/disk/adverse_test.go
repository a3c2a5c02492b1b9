package disk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// A link to nothing in the format's place ends an Open, in a new directory and in one that
// has lost its format.
func TestAFormatThatLeadsNowhere(t *testing.T) {
	for _, rest := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, openWith(t, path, disk.Options{}).Close(t.Context()))
		require.NoError(t, os.Remove(filepath.Join(path, "format")))
		if !rest {
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}
		require.NoError(t, os.Symlink(filepath.Join(path, "nowhere"), filepath.Join(path, "format")))
		_, _, err := load(t, disk.New(path, disk.Options{Timeout: -1}), "p")
		require.Error(t, err)
	}
}

// The segment that was prepared is removed before the log goes on in it.
func TestThePreparedSegmentIsRemoved(t *testing.T) {
	for _, full := range []bool{false, true} { // so that none is prepared after it
		path := filepath.Join(t.TempDir(), "journal")
		opts := disk.WithSegments(disk.Options{Timeout: -1}, 4096)
		noRoom := failing(t, syscall.ENOSPC, func(c files.Change) bool { return c.Op == files.Created })
		j := openWith(t, path, opts)
		appendTo(t, j, put("a", strings.Repeat("v", 3000)))
		appendTo(t, j, put("a", strings.Repeat("v", 2000))) // in segment 2; 3 is prepared
		prepared := filepath.Join(path, "log-0000000000000003")
		require.Eventually(t, func() bool {
			_, err := os.Stat(prepared)
			return err == nil
		}, 10*time.Second, time.Millisecond)
		require.NoError(t, os.Remove(prepared))
		time.Sleep(150 * time.Millisecond) // then one look at the directory is enough
		appendTo(t, j, put("b", "1"))
		noRoom.Store(full)
		require.ErrorIs(t, tryAppend(t, j, put("c", strings.Repeat("v", 2500))), journal.ErrAmbiguous)
		noRoom.Store(false)
		require.NoError(t, j.Close(t.Context()))
	}
}

// A copy is put back over a journal that is open, with the directory's time.
func TestACopyIsPutBackWithItsTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openWith(t, path, disk.Options{})
	time.Sleep(150 * time.Millisecond)
	appendTo(t, j, put("a", "1"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	for name, text := range readDir(t, path) {
		beside := filepath.Join(path, "."+name)
		require.NoError(t, os.WriteFile(beside, []byte(text), 0o600))
		require.NoError(t, os.Rename(beside, filepath.Join(path, name)))
	}
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	require.ErrorIs(t, tryAppend(t, j, put("a", "2")), journal.ErrAmbiguous)
	require.NoError(t, j.Close(t.Context()))
}

// The path is a link, which is turned to a copy.
func TestALinkIsTurned(t *testing.T) {
	dir := t.TempDir()
	one, other, path := filepath.Join(dir, "one"), filepath.Join(dir, "other"), filepath.Join(dir, "current")
	require.NoError(t, openWith(t, one, disk.Options{}).Close(t.Context()))
	require.NoError(t, readDir(t, one).write(other))
	require.NoError(t, os.Symlink(one, path))
	j := openWith(t, path, disk.Options{})
	appendTo(t, j, put("a", "1"))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(other, path))
	require.ErrorIs(t, tryAppend(t, j, put("a", "2")), journal.ErrAmbiguous)
	require.NoError(t, j.Close(t.Context()))
}

// A batch that has no room in a segment finds the disk full before anything is written.
func TestALargeBatchOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1}, 4096)
	j := openWith(t, path, opts)
	appendTo(t, j, put("a", "1"))
	full := failing(t, syscall.ENOSPC, func(c files.Change) bool { return c.Op == files.Resized && c.Offset > 4096 })
	full.Store(true)
	require.ErrorIs(t, tryAppend(t, j, put("large", strings.Repeat("x", 10_000))), journal.ErrRejected)
	appendTo(t, j, put("a", "2"))
	full.Store(false)
	appendTo(t, j, put("large", strings.Repeat("y", 10_000)))
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, contents{"a": "2", "large": strings.Repeat("y", 10_000)}, reload(t, path, opts))
}

// A format.new that a killed process left, which came too late to create the journal, does
// not make a journal without a format one that may be created.
func TestAFormatThatCameTooLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openWith(t, path, disk.Options{})
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	late := filepath.Join(path, "format.new")
	require.NoError(t, os.WriteFile(late, nil, 0o600))
	reload(t, path, disk.Options{})
	require.NoFileExists(t, late)
	require.NoError(t, os.Rename(filepath.Join(path, "format"), late))
	before := readDir(t, path)
	_, _, err := load(t, disk.New(path, disk.Options{Timeout: -1}), "p")
	require.ErrorIs(t, err, journal.ErrCorrupt)
	after := readDir(t, path)
	for _, name := range append(after.segments(), "pages") {
		require.Equal(t, before[name], after[name])
	}
}

// Who appends although its journal was closed, and the partition opened again, does no harm.
func TestAnAppendBesideTheNextHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	e := disk.New(path, disk.Options{Timeout: -1})
	keep, _, err := load(t, e, "keep")
	require.NoError(t, err)
	for range 30 {
		j, _, err := load(t, e, "p")
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for err := error(nil); err == nil; {
				_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("a", "1")}})
			}
		}()
		require.NoError(t, j.Close(t.Context()))
		next, _, err := load(t, e, "p")
		require.NoError(t, err)
		for i := range 3 {
			_ = tryAppend(t, next, put("a", fmt.Sprint(i)))
		}
		<-done
		require.NoError(t, next.Close(t.Context()))
	}
	require.NoError(t, keep.Close(t.Context()))
	_, err = disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err)
}
