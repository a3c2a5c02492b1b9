package disk_test

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// A journal whose pages are of a machine of the other byte order is refused as that by
// everything that opens one, and nothing of it is salvaged or changed.
func TestAJournalOfTheOtherByteOrderIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, _, err := load(t, disk.New(path, disk.Options{}), "p")
	require.NoError(t, err)
	appendTo(t, j, put("k", "v"))
	require.NoError(t, j.Close(t.Context()))
	pages, err := os.ReadFile(filepath.Join(path, "pages"))
	require.NoError(t, err)
	for _, at := range []int{16, 4096 + 16} { // the number with which bbolt's headers begin
		binary.NativeEndian.PutUint32(pages[at:], bits.ReverseBytes32(binary.NativeEndian.Uint32(pages[at:])))
	}
	require.NoError(t, os.WriteFile(filepath.Join(path, "pages"), pages, 0o600))
	before := readDir(t, path)
	emit := func(journal.Change) error { return errors.New("nothing is emitted") }
	calls := lookingIn(t, path, emit)
	calls["salvage anyway"] = func() error {
		_, err := disk.SalvageAnyway(t.Context(), path, "p", disk.Options{}, nil, emit)
		return err
	}
	for name, do := range calls {
		err := do()
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
		require.NotErrorIs(t, err, journal.ErrCorrupt, name)
		require.ErrorContains(t, err, "the other byte order", name)
		require.Equal(t, before, readDir(t, path), name)
	}
}

// lookingIn returns the calls that open a directory, or read it.
func lookingIn(t *testing.T, path string, emit func(journal.Change) error) map[string]func() error {
	return map[string]func() error{
		"open":       func() error { _, err := disk.New(path, disk.Options{}).Open(t.Context(), "p", emit); return err },
		"read":       func() error { _, err := disk.Read(t.Context(), path, "p", disk.Options{}, emit); return err },
		"partitions": func() error { _, err := disk.Partitions(t.Context(), path, disk.Options{}); return err },
		"salvage": func() error {
			_, err := disk.Salvage(t.Context(), path, "p", disk.Options{}, nil, emit)
			return err
		},
	}
}
