package bolt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// To read changes nothing, not a byte, and needs no more than to be allowed to
// read.
func TestReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	engine := bolt.New(path, bolt.Options{})
	var head journal.Position
	for _, partition := range []string{"b", "", "a"} {
		j, err := engine.Open(t.Context(), partition, func(journal.Change) error { return nil })
		require.NoError(t, err)
		for _, key := range []string{"2", "1"} {
			head, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{{Key: []byte(key), Value: []byte(partition + key)}}})
			require.NoError(t, err)
		}
		_, err = bolt.Partitions(t.Context(), path, bolt.Options{Timeout: -1})
		require.ErrorIs(t, err, journal.ErrInUse)
		require.NoError(t, j.Close(t.Context()))
	}
	require.NoError(t, os.Chmod(path, 0o400))
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	names, err := bolt.Partitions(t.Context(), path, bolt.Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{"", "a", "b"}, names)
	var got []string
	read, err := bolt.Read(t.Context(), path, "a", bolt.Options{}, func(c journal.Change) error {
		got = append(got, string(c.Key)+"="+string(c.Value))
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"1=a1", "2=a2"}, got)
	assert.Equal(t, head, read.Position)
	assert.EqualValues(t, 2, read.Keys)

	_, err = bolt.Read(t.Context(), path, "c", bolt.Options{}, nil)
	require.ErrorContains(t, err, `no partition "c"`)
	why := errors.New("why")
	_, err = bolt.Read(t.Context(), path, "a", bolt.Options{}, func(journal.Change) error { return why })
	require.Equal(t, why, err)

	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, slices.Equal(before, after))
	_, err = bolt.Partitions(t.Context(), path+".none", bolt.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.NoFileExists(t, path+".none")

	damaged := bytes.ReplaceAll(before, []byte("a1"), []byte("a9")) // wherever it stands: one place is in use
	require.NoError(t, os.WriteFile(path+".damaged", damaged, 0o600))
	_, err = bolt.Partitions(t.Context(), path+".damaged", bolt.Options{})
	require.ErrorIs(t, err, journal.ErrCorrupt)
}
