package disk_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// writeFixture makes a directory with package fixture's content. A store is opened for
// each round.
func writeFixture(t testing.TB, path string) {
	t.Helper()
	for _, round := range fixture.Rounds() {
		l, err := loopstore.Open(t.Context(), disk.New(path, disk.Options{}), "p0", loopstore.Options{Retention: round.Retention})
		require.NoError(t, err)
		round.Do(fixture.OnLoop(t, l))
		require.NoError(t, l.Close())
	}
}

// oldFiles are files that have package fixture's content, written like writeFixture's
// directory. The code of their version, of the file and of its records, has written them,
// and they are never written again.
var oldFiles = []string{"testdata/journal-v1", "testdata/journal-v2"}

// copyOf copies one of oldFiles.
func copyOf(t testing.TB, old string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old")
	require.NoError(t, os.WriteFile(path, readOld(t, old), 0o600))
	return path
}

func readOld(t testing.TB, old string) []byte {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the file is in the byte order of other machines")
	}
	file, err := os.ReadFile(old)
	require.NoError(t, err)
	return file
}

// A file of an earlier version holds all that was acknowledged. What it is carried into can
// be gone on with, and all of that is there again. So it is with a directory that this
// version has written.
func TestDurableFilesOfEachVersion(t *testing.T) {
	carried := func(old string) func(testing.TB, string) {
		return func(t testing.TB, path string) {
			require.NoError(t, disk.Carry(t.Context(), copyOf(t, old), path, disk.Options{}))
		}
	}
	for name, make := range map[string]func(testing.TB, string){
		"version 1":    carried(oldFiles[0]),
		"version 2":    carried(oldFiles[1]),
		"this version": writeFixture,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			make(t, path)
			want := fixture.OnState(t, fixture.New(t))
			compare := func(places fixture.Places) {
				t.Helper()
				l := openLoop(t, path)
				fixture.Compare(t, fixture.At(want, places), fixture.At(fixture.OnLoop(t, l), places))
				require.NoError(t, l.Close())
			}
			compare(fixture.AllPlaces)
			compare(fixture.AllPlaces) // opening has changed nothing

			for n := range 2 {
				l := openLoop(t, path)
				fixture.GoOn(want, n)
				fixture.GoOn(fixture.OnLoop(t, l), n)
				fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(fixture.OnLoop(t, l), fixture.RuntimePlaces))
				require.NoError(t, l.Close())
				compare(fixture.RuntimePlaces)
			}
			l := openLoop(t, path)
			require.NoError(t, l.Compact(t.Context()))
			require.NoError(t, l.Close())
			compare(fixture.RuntimePlaces)
		})
	}
}

// A file of an earlier version is checked: whatever byte is altered, it is found, and then
// nothing is carried, or it makes no difference.
func TestCarryChecksTheFile(t *testing.T) {
	for _, old := range oldFiles {
		t.Run(filepath.Base(old), func(t *testing.T) {
			path, dir := copyOf(t, old), t.TempDir()
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			want := fixture.At(fixture.OnState(t, fixture.New(t)), fixture.AllPlaces)
			found := 0
			for at := 100; at < len(file); at += 2 * 4099 {
				file[at] ^= 0x10
				require.NoError(t, os.WriteFile(path, file, 0o600))
				file[at] ^= 0x10
				into := filepath.Join(dir, fmt.Sprint(at))
				if err := disk.Carry(t.Context(), path, into, disk.Options{}); err != nil {
					assert.ErrorIs(t, err, journal.ErrCorrupt, "byte %d", at)
					assert.NoDirExists(t, into)
					found++
					continue
				}
				l := openLoop(t, into)
				fixture.Compare(t, want, fixture.At(fixture.OnLoop(t, l), fixture.AllPlaces))
				require.NoError(t, l.Close())
			}
			assert.Greater(t, found, 5)
			for _, size := range []int{0, 1, 4096, 8192, len(file) / 4} {
				require.NoError(t, os.WriteFile(path, file[:size], 0o600))
				into := filepath.Join(dir, "cut", fmt.Sprint(size))
				require.ErrorIs(t, disk.Carry(t.Context(), path, into, disk.Options{}), journal.ErrCorrupt)
			}
		})
	}
}
