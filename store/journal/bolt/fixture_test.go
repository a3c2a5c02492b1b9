package bolt_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// writeFixture makes a file with package fixture's content. A store is opened for
// each round.
func writeFixture(t testing.TB, path string) {
	t.Helper()
	for _, round := range fixture.Rounds() {
		l, err := loopstore.Open(t.Context(), bolt.New(path, bolt.Options{}), "p0", loopstore.Options{Retention: round.Retention})
		require.NoError(t, err)
		round.Do(fixture.OnLoop(t, l))
		require.NoError(t, l.Close())
	}
}

// copyOfVersion1 copies the file that has package fixture's content, written like
// writeFixture's. The code of version 1, of the file and of its records, has
// written it, and it is never written again.
func copyOfVersion1(t testing.TB, path string) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the file is in the byte order of other machines")
	}
	file, err := os.ReadFile("testdata/journal-v1")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, file, 0o600))
}

// A file of version 1 holds all that was acknowledged. One can go on writing, and all
// of that is there again. So it is with a file that this version has written.
func TestDurableFilesOfEachVersion(t *testing.T) {
	for name, make := range map[string]func(testing.TB, string){
		"version 1":    copyOfVersion1,
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

// A file of version 1 is still checked: whatever byte is altered, it is found or
// makes no difference.
func TestDurableFileOfVersion1IsChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	copyOfVersion1(t, path)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	want := fixture.At(fixture.OnState(t, fixture.New(t)), fixture.AllPlaces)
	found := 0
	for at := 100; at < len(file); at += 4099 {
		file[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, file, 0o600))
		file[at] ^= 0x10
		l, err := loopstore.Open(t.Context(), bolt.New(path, bolt.Options{}), "p0", loopstore.Options{})
		if err != nil {
			assert.ErrorIs(t, err, journal.ErrCorrupt, "byte %d", at)
			found++
			continue
		}
		fixture.Compare(t, want, fixture.At(fixture.OnLoop(t, l), fixture.AllPlaces))
		require.NoError(t, l.Close())
	}
	assert.Greater(t, found, 10)
}
