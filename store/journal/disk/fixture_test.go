package disk_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

// writeFixture makes a directory with all of package fixture's content. A store is opened
// for each round.
func writeFixture(t testing.TB, path string) {
	t.Helper()
	for _, round := range fixture.All.Rounds() {
		l, err := loopstore.Open(t.Context(), disk.New(path, disk.Options{}), "p0", loopstore.Options{Retention: round.Retention})
		require.NoError(t, err)
		round.Do(fixture.OnLoop(t, l))
		require.NoError(t, l.Close())
	}
}

// oldFiles are journals of the versions that were one file, the first of which is 1. The
// code of their version, of the file and of its records, has written them, and they are
// never written again.
var oldFiles = []string{"testdata/journal-v1", "testdata/journal-v2"}

// contentOf is what partition p0 of the journal of a version holds.
func contentOf(version int) fixture.Content {
	if version == 1 {
		return fixture.First
	}
	return fixture.All
}

// copyOf copies one of oldFiles.
func copyOf(t testing.TB, old string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old")
	require.NoError(t, os.WriteFile(path, readOld(t, old), 0o600))
	return path
}

func readOld(t testing.TB, old string) []byte {
	t.Helper()
	skipOtherOrder(t)
	file, err := os.ReadFile(old)
	require.NoError(t, err)
	return file
}

func skipOtherOrder(t testing.TB) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the file is in the byte order of other machines")
	}
}

// unzip makes the directory that the code of a version has left, as a crash would have.
func unzip(t testing.TB, version int) (path string) {
	t.Helper()
	skipOtherOrder(t)
	files, err := zip.OpenReader(fmt.Sprintf("testdata/journal-v%d.zip", version))
	require.NoError(t, err)
	d := directory{}
	for _, file := range files.File {
		text, err := fs.ReadFile(files, file.Name)
		require.NoError(t, err)
		d[file.Name] = string(text)
	}
	require.NoError(t, files.Close())
	path = filepath.Join(t.TempDir(), "journal")
	require.NoError(t, d.write(path))
	return path
}

// journalOf is a directory with what the journal of a version has.
func journalOf(t testing.TB, version int) (path string) {
	t.Helper()
	if version > len(oldFiles) {
		return unzip(t, version)
	}
	path = filepath.Join(t.TempDir(), "journal")
	require.NoError(t, disk.Carry(t.Context(), copyOf(t, oldFiles[version-1]), path, disk.Options{}))
	return path
}

// A journal of each version holds all that was acknowledged. It, or what it is carried
// into, can be gone on with, and all of that is there again. So it is with a directory that
// this version has written.
func TestDurableFilesOfEachVersion(t *testing.T) {
	for version := 1; version <= disk.FormatVersion+1; version++ {
		name := fmt.Sprint("version ", version)
		if version > disk.FormatVersion {
			name = "written now"
		}
		t.Run(name, func(t *testing.T) {
			content := contentOf(version)
			var path string
			if version > disk.FormatVersion {
				path = filepath.Join(t.TempDir(), "journal")
				writeFixture(t, path)
			} else {
				path = journalOf(t, version)
			}
			want := fixture.OnState(t, content.State(t))
			compare := func(places fixture.Places) {
				t.Helper()
				l := openLoop(t, path)
				fixture.Compare(t, fixture.At(want, places), fixture.At(fixture.OnLoop(t, l), places))
				require.NoError(t, l.Close())
			}
			l := openLoop(t, path)
			content.Check(t, fixture.OnLoop(t, l))
			require.NoError(t, l.Close())
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
			l = openLoop(t, path)
			require.NoError(t, l.Compact(t.Context()))
			require.NoError(t, l.Close())
			compare(fixture.RuntimePlaces)
		})
	}
}

// A journal of version 3 that a crash has left, in the middle of an import and behind a
// deletion in pieces, is read, and opened, without what was not acknowledged, and goes on.
func TestDurablePiecesOfVersion3(t *testing.T) {
	path := unzip(t, 3)
	names, err := disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err)
	const left = "läufer/\x00 left"
	require.Equal(t, []string{"", "keep", left, "p0"}, names)
	records := map[string]int{}
	for _, name := range names {
		all := state.NewReplay(new(state.State))
		head, err := disk.Read(t.Context(), path, name, disk.Options{}, all.Put)
		require.NoError(t, err, name)
		require.NoError(t, all.Done(), name)
		records[name] = int(head.Keys)
	}
	require.Equal(t, map[string]int{"": 4, "keep": 2, left: 213, "p0": 393}, records)

	open := func(name string) *loopstore.Loop {
		l, err := loopstore.Open(t.Context(), disk.New(path, disk.Options{}), name, loopstore.Options{})
		require.NoError(t, err)
		return l
	}
	l := open("")
	require.Zero(t, l.Stats().Held.Runtimes, "the import did not end")
	export, err := os.ReadFile("../../archive/testdata/export-v1.jsonl")
	require.NoError(t, err)
	_, err = l.Import(t.Context(), bytes.NewReader(export))
	require.NoError(t, err)
	fixture.First.Check(t, fixture.OnLoop(t, l))
	require.NoError(t, l.Close())

	l = open(left)
	require.Equal(t, 4, l.Stats().Held.Runtimes, "many was deleted")
	for n := range 4 { // the log has the start of a frame hidden in it
		text, ok, err := l.LoadSessionSnapshot(t.Context(), store.RuntimeID(fmt.Sprint("loops ", n)))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, strings.Repeat("-", n)+strings.Repeat("loop", 1000), string(text))
	}
	require.NoError(t, l.Close())
	for _, name := range []string{"", left} {
		l := open(name)
		require.Equal(t, map[string]int{"": 33, left: 4}[name], l.Stats().Held.Runtimes, "%q", name)
		require.NoError(t, l.Close())
	}
}

// The journal of this version is there, as it was written when the version was new. That
// the pages and the log are still written like that, tests beside them check.
func TestTheFormatIsAsItWas(t *testing.T) {
	const remedy = "the format has changed: raise formatVersion, keep reading what there is, " +
		"and add testdata/journal-v%d.zip, as internal/fixture/testdata/README.md says"
	_, err := os.Stat(fmt.Sprintf("testdata/journal-v%d.zip", disk.FormatVersion))
	require.NoError(t, err, "there is no journal of this version: "+remedy, disk.FormatVersion)
	text := readDir(t, unzip(t, disk.FormatVersion))["format"]
	again, err := disk.FormatAgain(text)
	require.NoError(t, err, remedy, disk.FormatVersion+1)
	require.Equal(t, text, again, remedy, disk.FormatVersion+1)
}

// A file of an earlier version is checked: whatever byte is altered, it is found, and then
// nothing is carried, or it makes no difference.
func TestCarryChecksTheFile(t *testing.T) {
	for i, old := range oldFiles {
		t.Run(filepath.Base(old), func(t *testing.T) {
			path, dir := copyOf(t, old), t.TempDir()
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			want := fixture.At(fixture.OnState(t, contentOf(i+1).State(t)), fixture.AllPlaces)
			found := 0
			for at := 100; at < len(file); at += len(file)/64 | 1 {
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

// A store that finds records of a newer version does not open. It has changed none of them:
// the version that wrote them goes on with all that it had.
func TestNewerRecordsAreLeftAsTheyAre(t *testing.T) {
	path := unzip(t, disk.FormatVersion)
	j, all, err := load(t, disk.New(path, disk.Options{}), "p0")
	require.NoError(t, err)
	root := []byte(all["\x00"])
	root[0] = 0xff // a version of records that nobody knows yet
	sealed := root[:len(root)-4]
	sum := crc32.Update(crc32.Checksum([]byte{0}, castagnoli), castagnoli, sealed)
	all["\x00"] = string(binary.LittleEndian.AppendUint32(sealed, sum))
	appendTo(t, j, put("\x00", all["\x00"]))
	require.NoError(t, j.Close(t.Context()))
	for range 2 {
		_, err = loopstore.Open(t.Context(), disk.New(path, disk.Options{}), "p0", loopstore.Options{})
		require.ErrorIs(t, err, journal.ErrNewerFormat)
		_, err = loopstore.Open(t.Context(), disk.New(path, disk.Options{}), "p0", loopstore.Options{SetAside: true})
		require.ErrorIs(t, err, journal.ErrNewerFormat)
	}
	j, after, err := load(t, disk.New(path, disk.Options{}), "p0")
	require.NoError(t, err)
	require.Equal(t, all, after)
	require.NoError(t, j.Close(t.Context()))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
