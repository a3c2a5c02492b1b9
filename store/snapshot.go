package store

import (
	"io"
	"iter"

	"github.com/loopstore/loopstore/store/session"
)

// A Format says what a session's text is: see [session.Format].
type Format = session.Format

// The formats of a session's text.
const (
	FormatUnset   = session.FormatUnset   // what the operation takes by default
	FormatMeerkat = session.FormatMeerkat // a session document of Meerkat's
	FormatLines   = session.FormatLines   // JSON Lines
	FormatOpaque  = session.FormatOpaque  // any bytes
)

// A Snapshot is the text of a session. It is an immutable value: copies share the
// bytes, also with snapshots of other times, and nobody can change them. The zero
// value is an empty one.
type Snapshot struct{ document *session.Document }

// SnapshotOf returns a snapshot with a copy of any bytes, of which nothing is known.
func SnapshotOf(b []byte) Snapshot {
	s, _ := Snapshot{}.Replace(FormatUnset, string(b), 0)
	return s
}

// SnapshotOfDocument returns a snapshot with a document's text, which it shares.
func SnapshotOfDocument(d *session.Document) Snapshot { return Snapshot{d} }

// Replace returns a snapshot with a whole text that comes in the place of s: see
// [session.Document.Replace]. The error is a *session.Error.
func (s Snapshot) Replace(format Format, text string, messages uint64) (Snapshot, error) {
	d, err := s.document.Replace(format, text, messages)
	return Snapshot{d}, err
}

// Append returns a snapshot with an addition of its format at its end: see
// [session.Addition]. To the zero value any can be appended.
func (s Snapshot) Append(more session.Addition) Snapshot { return Snapshot{more.To(s.document)} }

// Document returns what was read of the snapshot, nil if it was stored as it came.
func (s Snapshot) Document() *session.Document {
	if s.Format() == FormatUnset {
		return nil
	}
	return s.document
}

// Format returns the format that the bytes were read as, FormatUnset if the snapshot was
// stored as it came.
func (s Snapshot) Format() Format { return s.document.Format() }

// Digest returns the conversation's digest as receipts spell it, empty if it is not
// known: see Format.
func (s Snapshot) Digest() string {
	if d := s.Document(); d != nil {
		return d.HexDigest()
	}
	return ""
}

// MessageCount returns how many messages there are in the conversation, 0 if that is
// not known.
func (s Snapshot) MessageCount() uint64 { return s.document.MessageCount() }

// Text returns the bytes as they are kept, to be shared.
func (s Snapshot) Text() session.Text { return s.document.Text() }

// Len returns how many bytes there are.
func (s Snapshot) Len() int { return s.Text().Len() }

// Parts returns the bytes in parts of up to 4 KiB, none of which is empty. It copies
// nothing.
func (s Snapshot) Parts() iter.Seq[string] { return s.Text().Parts() }

// String returns the bytes. It copies them if they are more than 4 KiB.
func (s Snapshot) String() string { return s.Text().String() }

// Bytes returns a copy of the bytes. It is never nil.
func (s Snapshot) Bytes() []byte { return s.AppendTo([]byte{}) }

// AppendTo appends a copy of the bytes to b.
func (s Snapshot) AppendTo(b []byte) []byte { return s.Text().AppendTo(b) }

// WriteTo writes the bytes to w, part by part. It copies nothing itself.
func (s Snapshot) WriteTo(w io.Writer) (int64, error) { return s.Text().WriteTo(w) }

// Reader returns a reader of the bytes, which copies them to where they are read to.
// A json.Decoder on it reads the messages of FormatLines one by one.
func (s Snapshot) Reader() io.Reader { return s.Text().Reader() }

// Equal reports whether two snapshots have the same bytes, and the same is known of
// them.
func (s Snapshot) Equal(other Snapshot) bool {
	return s.Format() == other.Format() && s.MessageCount() == other.MessageCount() && s.Text().Equal(other.Text())
}
