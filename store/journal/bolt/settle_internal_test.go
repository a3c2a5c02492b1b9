//go:build unix

package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// syncs calls look before each sync of a file, or of a directory, until the test ends.
func syncs(t *testing.T, look func(f *os.File, dir bool) error) {
	t.Cleanup(func() { syncFile = (*os.File).Sync })
	syncFile = func(f *os.File) error {
		info, err := f.Stat()
		require.NoError(t, err)
		return errors.Join(look(f, info.IsDir()), f.Sync())
	}
}

func openInternal(t *testing.T, path string) (journal.Journal, error) {
	return New(path, Options{Timeout: -1}).Open(t.Context(), "p", func(journal.Change) error { return nil })
}

func batchOf(size int) journal.Batch {
	return journal.Batch{Changes: []journal.Change{{Key: []byte("key"), Value: make([]byte, size)}}}
}

// What a killed process has written may be in memory alone, and so may the file's name:
// Open makes both durable before it writes.
func TestOpenBuildsOnWhatIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openInternal(t, path)
	require.NoError(t, err)
	_, err = j.Append(t.Context(), batchOf(10))
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	found, err := os.ReadFile(path)
	require.NoError(t, err)

	var order []bool
	broken := errors.New("broken")
	syncs(t, func(_ *os.File, dir bool) error {
		order = append(order, dir)
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, found, now, "nothing is written before")
		return broken
	})
	_, err = openInternal(t, path)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []bool{false, true}, order, "the file, and its directory")
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, found, now, "nothing is written after a sync that failed")
}

// A new file's name is durable before anything is acknowledged, and so is that of one
// that is compacted. Neither needs a descriptor for that when it is too late to fail.
func TestANameIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	dirs := 0
	syncs(t, func(_ *os.File, dir bool) error {
		if dir {
			dirs++
		}
		return nil
	})
	j, err := openInternal(t, path)
	require.NoError(t, err)
	assert.Equal(t, 1, dirs)
	fillAndClear(t, j)
	require.NoError(t, j.Compact(t.Context(), nil))
	assert.Equal(t, 2, dirs)
	require.NoError(t, j.Close(t.Context()))
}

func fillAndClear(t *testing.T, j journal.Journal) {
	t.Helper()
	for range 3 {
		_, err := j.Append(t.Context(), batchOf(1<<20))
		require.NoError(t, err)
	}
	_, err := j.Append(t.Context(), batchOf(1))
	require.NoError(t, err)
}

// A file that is removed or replaced under its owner takes no acknowledgement with it,
// and a Compact does not put its own in the place of another's.
func TestWhatIsNoLongerInPlace(t *testing.T) {
	for name, move := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"replaced": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			dir, err := os.Open(filepath.Dir(path))
			require.NoError(t, err)
			other := &file{path: path, dir: dir}
			require.NoError(t, other.create(t.Context()), "by hand, since this process has it open")
			require.NoError(t, other.close())
		},
		"moved away": func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, last := range []func(j journal.Journal) error{
				func(j journal.Journal) error { _, err := j.Append(t.Context(), batchOf(1)); return err },
				func(j journal.Journal) error { return j.Compact(t.Context(), nil) },
			} {
				path := filepath.Join(t.TempDir(), "journal")
				j, err := openInternal(t, path)
				require.NoError(t, err)
				fillAndClear(t, j)
				move(t, path)
				before, _ := os.ReadFile(path)
				require.ErrorIs(t, last(j), errMoved)
				_, err = j.Append(t.Context(), batchOf(1))
				require.Error(t, err, "the journal is finished")
				after, _ := os.ReadFile(path)
				assert.Equal(t, before, after, "what is there now is another's")
				require.NoError(t, j.Close(t.Context()))
				require.NoFileExists(t, path+".new")
			}
		})
	}
}

// A link beside leads to what is not the journal's.
func TestALinkBesideIsNotFollowed(t *testing.T) {
	path, precious := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("precious"), 0o600))
	link := func() { require.NoError(t, os.Symlink(precious, path+".new")) }
	link()
	j, err := openInternal(t, path) // which creates it
	require.NoError(t, err)
	link()
	fillAndClear(t, j)
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	link()
	j, err = openInternal(t, path)
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	assert.NoFileExists(t, path+".new")
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular())
	left, err := os.ReadFile(precious)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(left))
}

// What a killed process left beside goes with the next owner, unless it is in use.
func TestWhatIsLeftBesideGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openInternal(t, path)
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, os.WriteFile(path+".new", []byte("left"), 0o600))
	held, err := os.OpenFile(path+".new", os.O_RDWR, 0)
	require.NoError(t, err)
	locked, err := tryLock(held)
	require.NoError(t, err)
	require.True(t, locked)
	for _, there := range []bool{true, false} {
		j, err := openInternal(t, path)
		require.NoError(t, err)
		_, err = os.Stat(path + ".new")
		assert.Equal(t, there, err == nil)
		require.NoError(t, j.Close(t.Context()))
		_ = held.Close()
	}
}

// A name that is as long as the file system takes has room for one beside.
func TestALongFileName(t *testing.T) {
	for _, name := range []string{longName("x", 255), longName("x", 252), longName("ü", 254)} {
		path := filepath.Join(t.TempDir(), name)
		j, err := openInternal(t, path)
		require.NoError(t, err)
		fillAndClear(t, j)
		require.NoError(t, j.Compact(t.Context(), nil))
		require.NoError(t, j.Close(t.Context()))
		files, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, files, 1)
		assert.Equal(t, name, files[0].Name())
	}
	one, other := &file{path: longName("x", 254) + "a"}, &file{path: longName("x", 254) + "b"}
	assert.NotEqual(t, one.beside(), other.beside())
}

func longName(letter string, size int) (name string) {
	for len(name) < size {
		name += letter
	}
	return name
}

// A file that an administrator compacts stays its owner's.
func TestOwnerAndModeStay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file away")
	}
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openInternal(t, path)
	require.NoError(t, err)
	fillAndClear(t, j)
	require.NoError(t, errors.Join(os.Chown(path, 1234, 5678), os.Chmod(path, 0o640)))
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, j.Compact(t.Context(), nil))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after), "it was compacted")
	assert.Equal(t, os.FileMode(0o640), after.Mode())
	stat := after.Sys().(*syscall.Stat_t)
	assert.Equal(t, []uint32{1234, 5678}, []uint32{stat.Uid, stat.Gid})
	require.NoError(t, j.Close(t.Context()))
}
