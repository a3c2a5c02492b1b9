package archive

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// kinds are what people give in the place of an export, by how it begins. The numbers of
// compressed files are those of RFC 1952, RFC 8878, and of the formats of xz, bzip2 and
// zip.
var kinds = []struct{ start, name string }{
	{"\x1f\x8b", "it is compressed with gzip, and has to be expanded first"},
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd, and has to be expanded first"},
	{"\xfd7zXZ\x00", "it is compressed with xz, and has to be expanded first"},
	{"BZh", "it is compressed with bzip2, and has to be expanded first"},
	{"PK\x03\x04", "it is a zip file, and has to be unpacked first"},
	{"SQLite format 3\x00", "it is a database of SQLite"},
	{"\xff\xfe\x00\x00", "it is text of UTF-32, and an export is UTF-8"},
	{"\xff\xfe", "it is text of UTF-16, and an export is UTF-8"},
	{"\xfe\xff", "it is text of UTF-16, and an export is UTF-8"},
	{"\xef\xbb\xbf", "it begins with a byte order mark, as text does that something has converted"},
	{"loopstore journal", "it is a part of a journal"},
	{"{", "it is JSON of another kind"},
	{"[", "it is JSON of another kind"},
}

// Kind says what a file is by its first bytes, of which 512 are enough, in a sentence such as
// "it is empty".
func Kind(head []byte) string {
	const tar, bolt = 257, 16 // where their magic is
	is := "it is text of another kind"
	if bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(head[:max(0, len(head)-utf8.UTFMax)]) {
		is = "it is binary, of another kind, or a journal of an earlier version whose first pages are damaged"
	}
	if len(head) > tar && bytes.HasPrefix(head[tar:], []byte("ustar")) {
		is = "it is a tar file, and has to be unpacked first"
	}
	if len(head) > bolt && bytes.HasPrefix(head[bolt:], []byte("\xed\xda\x0c\xed")) {
		is = "it is a database of bbolt, such as a journal of an earlier version"
	}
	for _, kind := range kinds {
		if bytes.HasPrefix(head, []byte(kind.start)) {
			is = kind.name
			break
		}
	}
	switch {
	case len(head) == 0:
		return "it is empty"
	case bytes.HasPrefix(head, []byte(opening(header{}.kind())+`"format":"`+format+`",`)):
		return "it is an export of loopstore"
	}
	return is
}

// notExport is the error of a file that is no export.
func notExport(head []byte) error {
	if len(head) == 0 {
		return fmt.Errorf("%w: %s: %w", errFormat, Kind(head), io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%w: %s", errFormat, Kind(head))
}
