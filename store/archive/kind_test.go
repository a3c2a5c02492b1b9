package archive_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/archive"
)

// What is no export is called what it is.
func TestReadSaysWhatIsNoExport(t *testing.T) {
	export, err := os.ReadFile("testdata/export-v1.jsonl")
	require.NoError(t, err)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(export)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	wide := []byte("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(string(export))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	bolt := make([]byte, 8192)
	copy(bolt[16:], "\xed\xda\x0c\xed")
	tar := make([]byte, 1024)
	copy(tar, "state.jsonl")
	copy(tar[257:], "ustar")
	for text, want := range map[string]string{
		"":                                   "it is empty",
		zipped.String():                      "compressed with gzip",
		"\x28\xb5\x2f\xfd\x04\x58":           "compressed with zstd",
		"\xfd7zXZ\x00\x00\x04":               "compressed with xz",
		"BZh91AY&SY":                         "compressed with bzip2",
		"PK\x03\x04\x14\x00":                 "a zip file",
		"SQLite format 3\x00\x10\x00":        "SQLite",
		string(bolt):                         "a journal of an earlier version",
		string(tar):                          "a tar file",
		string(wide):                         "UTF-16",
		"\xff\xfe\x00\x00{\x00\x00\x00":      "UTF-32",
		"\xef\xbb\xbf" + string(export):      "byte order mark",
		"loopstore journal, version 3, log ": "part of a journal",
		`{"id":"1","messages":[]}`:           "JSON of another kind",
		"[1]":                                "JSON of another kind",
		"runtime,state\n":                    "text of another kind",
		strings.Repeat("é", 100_000):         "text of another kind",
		strings.Repeat("\x00", 100_000):      "it is binary",
		"\xc3\x28 and so on":                 "it is binary",
		strings.ReplaceAll(string(export), "\n", "\r\n"):   "its lines end in CR LF",
		strings.Replace(string(export), "\n{", "\r\n{", 1): "its lines end in CR LF",
	} {
		_, err := archive.Read(strings.NewReader(text))
		require.ErrorContains(t, err, want)
		of, ok := errors.AsType[*archive.Error](err)
		require.True(t, ok)
		require.Equal(t, 1, of.Line)
	}
	_, err = archive.Read(strings.NewReader(string(export[:20])))
	require.ErrorContains(t, err, "the file ends too early")
}
