package wal

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Frames are still written as they stand in the journal that the version's own code has
// written: so no program of one version misreads, or leaves out, another's.
func TestFramesAreWrittenAsTheyWere(t *testing.T) {
	const remedy = "the format of the log has changed: raise formatVersion of package disk, keep reading what there is, " +
		"and add a journal to its testdata, as internal/fixture/testdata/README.md says"
	journals, err := filepath.Glob("../../testdata/journal-v*.zip")
	require.NoError(t, err)
	files, err := zip.OpenReader(slices.Max(journals))
	require.NoError(t, err)
	defer func() { require.NoError(t, files.Close()) }()
	text := func(name string) []byte {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		return text
	}
	var id ID
	_, rest, _ := strings.Cut(string(text("format")), ", log ")
	_, err = hex.Decode(id[:], []byte(rest[:2*len(id)]))
	require.NoError(t, err)

	log := text(Prefix + "0000000000000001")
	var before Mark
	at, changes, deleted, hidden := 0, 0, 0, 0
	for {
		h, ok := parseHeader(id, log[at:])
		if !ok {
			break
		}
		frame := log[at:][:headerSize+h.Length]
		if h.Hidden > 0 {
			hidden++
		}
		body := bytes.Clone(frame[headerSize:])
		require.NoError(t, restore(body, h.Hidden), remedy)
		var entries []Entry
		for len(body) > 0 {
			e, rest, err := parseEntry(body)
			require.NoError(t, err, remedy)
			entries, body = append(entries, e), rest
			changes += len(e.Changes)
			for _, c := range e.Changes {
				if c.Delete {
					deleted++
				}
			}
		}
		again, mark := appendFrame(nil, id, before, entries)
		require.Equal(t, frame, again, "frame %d: "+remedy, h.Number)
		before, at = mark, at+int(h.size())
	}
	require.Greater(t, before.Number, uint64(200), remedy)
	require.Positive(t, changes-deleted)
	require.Positive(t, deleted)
	require.Positive(t, hidden)
	require.Zero(t, len(bytes.Trim(log[at:], "\x00")), remedy)
	t.Logf("%d frames, %d changes, %d deletions, %d frames that hide something", before.Number, changes, deleted, hidden)
}
