package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/archive"
)

// contentOf is what the file of a version holds.
func contentOf(version int) fixture.Content {
	return []fixture.Content{1: fixture.First, 2: fixture.All, 3: fixture.Everything}[version]
}

// lookAt looks at all that a file has.
func lookAt(s fixture.Store) fixture.Look {
	return fixture.Precise(s, fixture.NoPlaces).WithoutVersions()
}

// fileOf has a content. The code of its version has written it, and it is never written
// again.
func fileOf(t testing.TB, version int) []byte {
	t.Helper()
	file, err := os.ReadFile(fmt.Sprintf("testdata/export-v%d.jsonl", version))
	require.NoError(t, err)
	return file
}

// A file of each version gives back all that was exported, and what was read goes on and
// can be exported again.
func TestExportingFilesOfEachVersion(t *testing.T) {
	for version := 1; version <= archive.FormatVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			content := contentOf(version)
			held := read(t, fileOf(t, version))
			want, got := fixture.OnState(t, content.State(t)), fixture.OnState(t, held)
			content.Check(t, got)
			fixture.Compare(t, fixture.At(want, fixture.NoPlaces), fixture.At(got, fixture.NoPlaces))
			if version >= 3 { // which has times
				fixture.Compare(t, lookAt(want), lookAt(got))
			}

			for n := range 2 {
				fixture.GoOn(want, n)
				fixture.GoOn(got, n)
				fixture.Compare(t, fixture.At(want, fixture.NoPlaces), fixture.At(got, fixture.NoPlaces))
				before := lookAt(got)
				held = read(t, write(t, held))
				got = fixture.OnState(t, held)
				fixture.Compare(t, before, lookAt(got))
			}
		})
	}
}

// What this version writes is what it wrote when it was new: a file that is read and
// written again is the same bytes. So no program of one version misreads another's.
func TestExportingIsAsItWas(t *testing.T) {
	const remedy = "the format of exports has changed: raise formatVersion, keep reading what there is, " +
		"and add testdata/export-v%d.jsonl, as internal/fixture/testdata/README.md says"
	_, err := os.Stat(fmt.Sprintf("testdata/export-v%d.jsonl", archive.FormatVersion))
	require.NoError(t, err, "there is no file of this version: "+remedy, archive.FormatVersion)
	file := fileOf(t, archive.FormatVersion)
	held, err := archive.Read(bytes.NewReader(file))
	require.NoError(t, err, remedy, archive.FormatVersion+1)
	lines, again := bytes.Split(file, []byte("\n")), bytes.Split(write(t, held), []byte("\n"))
	for i := range min(len(lines), len(again)) {
		require.Equal(t, string(lines[i]), string(again[i]), "line %d: "+remedy, i+1, archive.FormatVersion+1)
	}
	require.Len(t, again, len(lines), remedy, archive.FormatVersion+1)
}

// A file of each version is checked: no line can be altered or be missing.
func TestExportingFilesOfEachVersionAreChecked(t *testing.T) {
	for version := 1; version <= archive.FormatVersion; version++ {
		file := fileOf(t, version)
		lines := bytes.SplitAfter(file, []byte("\n"))
		start := 0
		for i, line := range lines[:len(lines)-1] {
			if i%every > 0 {
				start += len(line)
				continue
			}
			altered := bytes.Clone(file)
			altered[start+len(line)/2] ^= 0x10
			_, err := archive.Read(bytes.NewReader(altered))
			var refused *archive.Error
			if assert.ErrorAs(t, err, &refused, "line %d", i+1) {
				assert.Equal(t, i+1, refused.Line)
			}
			_, err = archive.Read(bytes.NewReader(append(bytes.Clone(file[:start]), file[start+len(line):]...)))
			assert.ErrorAs(t, err, &refused, "line %d", i+1)
			start += len(line)
		}
	}
}
