package archive_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/archive"
)

// fileOfVersion1 has package fixture's content. The code of version 1 has written
// it, and it is never written again.
func fileOfVersion1(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/export-v1.jsonl")
	require.NoError(t, err)
	return file
}

// A file of version 1 gives back all that was exported, and what was read goes on
// and can be exported again. So does one that this version has written.
func TestExportingFilesOfEachVersion(t *testing.T) {
	for name, file := range map[string][]byte{
		"version 1":    fileOfVersion1(t),
		"this version": write(t, fixture.New(t)),
	} {
		t.Run(name, func(t *testing.T) {
			held := read(t, file)
			want, got := fixture.OnState(t, fixture.New(t)), fixture.OnState(t, held)
			fixture.Compare(t, fixture.At(want, fixture.NoPlaces), fixture.At(got, fixture.NoPlaces))

			for n := range 2 {
				fixture.GoOn(want, n)
				fixture.GoOn(got, n)
				fixture.Compare(t, fixture.At(want, fixture.NoPlaces), fixture.At(got, fixture.NoPlaces))
				held = read(t, write(t, held))
				got = fixture.OnState(t, held)
				fixture.Compare(t, fixture.At(want, fixture.NoPlaces), fixture.At(got, fixture.NoPlaces))
			}
		})
	}
}

// A file of version 1 is still checked: no line can be altered or be missing.
func TestExportingFileOfVersion1IsChecked(t *testing.T) {
	file := fileOfVersion1(t)
	lines := bytes.SplitAfter(file, []byte("\n"))
	start := 0
	for i, line := range lines[:len(lines)-1] {
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
