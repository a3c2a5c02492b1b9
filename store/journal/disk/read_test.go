package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// To read changes nothing, not a byte, and needs no more than to be allowed to read,
// whether what is read stands in the pages, in the log, or in both.
func TestReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	engine := disk.New(path, disk.Options{})
	var head journal.Position
	for _, partition := range []string{"b", "", "a"} {
		j, err := engine.Open(t.Context(), partition, func(journal.Change) error { return nil })
		require.NoError(t, err)
		for _, key := range []string{"2", "1", "3"} {
			appendTo(t, j, put(key, partition+key))
			if key == "2" {
				require.NoError(t, j.Compact(t.Context(), nil))
			}
		}
		head = appendTo(t, j, remove("3"))
		_, err = disk.Partitions(t.Context(), path, disk.Options{Timeout: -1})
		require.ErrorIs(t, err, journal.ErrInUse)
		_, err = disk.Read(t.Context(), path, "a", disk.Options{Timeout: -1}, nil)
		require.ErrorIs(t, err, journal.ErrInUse)
		require.NoError(t, j.Close(t.Context()))
	}
	for name := range readDir(t, path) {
		require.NoError(t, os.Chmod(filepath.Join(path, name), 0o400))
	}
	require.NoError(t, os.Chmod(path, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(path, 0o700)) })
	before := stampsOf(t, path)

	names, err := disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{"", "a", "b"}, names)
	var got []string
	read, err := disk.Read(t.Context(), path, "a", disk.Options{}, func(c journal.Change) error {
		got = append(got, string(c.Key)+"="+string(c.Value))
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"1=a1", "2=a2"}, got)
	assert.Equal(t, head, read.Position)
	assert.EqualValues(t, 2, read.Keys)
	want := journal.Head{}
	want.Put([]byte("1"), []byte("a1"))
	want.Put([]byte("2"), []byte("a2"))
	assert.Equal(t, want.Digest, read.Digest)

	_, err = disk.Read(t.Context(), path, "c", disk.Options{}, nil)
	require.ErrorContains(t, err, `no partition "c"; there are: `)
	why := errors.New("why")
	_, err = disk.Read(t.Context(), path, "a", disk.Options{}, func(journal.Change) error { return why })
	require.Equal(t, why, err)
	require.PanicsWithValue(t, "mine", func() {
		_, _ = disk.Read(t.Context(), path, "a", disk.Options{}, func(journal.Change) error { panic("mine") })
	})
	_, err = disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err, "nothing is left open")

	assert.Equal(t, before, stampsOf(t, path))
	_, err = disk.Partitions(t.Context(), path+".none", disk.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.NoFileExists(t, path+".none")
	empty := t.TempDir()
	_, err = disk.Partitions(t.Context(), empty, disk.Options{})
	require.ErrorContains(t, err, "holds no journal")
	assert.Empty(t, readDir(t, empty))
}
