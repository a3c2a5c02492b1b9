package jetstream

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A KeptStream is one that the code of its version has filled.
type KeptStream struct {
	Name, Description string
	Subjects          []string
	First             uint64 // sequence
	Messages          []KeptMessage
}

// A KeptMessage is one of a KeptStream.
type KeptMessage struct {
	Sequence uint64
	Subject  string
	Data     []byte
}

// ReadStream reads the stream of a version. Its partition is agents/0, its prefix
// fixture. It has package fixture's content, and is never written again.
func ReadStream(t testing.TB, version int) (s KeptStream) {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("testdata/stream-v%d.jsonl.gz", version))
	require.NoError(t, err, "there is no stream of this version: "+remedy, version)
	defer func() { require.NoError(t, file.Close()) }()
	text, err := gzip.NewReader(file)
	require.NoError(t, err)
	lines := json.NewDecoder(text)
	require.NoError(t, lines.Decode(&s))
	for lines.More() {
		var m KeptMessage
		require.NoError(t, lines.Decode(&m))
		s.Messages = append(s.Messages, m)
	}
	return s
}

const remedy = "the format has changed: raise formatVersion, keep what stands readable or carried over, " +
	"and add testdata/stream-v%d.jsonl.gz, as internal/fixture/testdata/README.md says"

// Entries are still written as they stand in the stream that the version's own code has
// filled: so no program of one version misreads another's.
func TestEntriesAreWrittenAsTheyWere(t *testing.T) {
	s := ReadStream(t, formatVersion)
	own := identity{prefix: "fixture", partition: "agents/0"}
	seen, previous := map[kind]int{}, digest{}
	for i, m := range s.Messages {
		r, err := decode(m.Data)
		require.NoError(t, err, remedy, formatVersion+1)
		seen[r.kind]++
		require.Equal(t, own.owner(), r.owner, remedy, formatVersion+1)
		require.True(t, i == 0 || previous == r.previous, remedy, formatVersion+1)
		previous = sha256.Sum256(m.Data)
		switch {
		case r.kind == kindEpoch:
			r.body = own.encode()
		case r.kind != kindHorizon && r.parts == 1:
			changes, err := decodeChanges(r.body)
			require.NoError(t, err)
			r.body = encodeChanges(changes)
		}
		require.Equal(t, m.Data, r.encode(), "message %d: "+remedy, m.Sequence, formatVersion+1)
	}
	require.Len(t, seen, 4, "%v", seen)
}
