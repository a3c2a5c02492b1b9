package store

import "github.com/loopstore/loopstore/store/session"

// A Snapshot is the bytes of a session snapshot. It is an immutable value:
// copies share the bytes, and nobody can change them. The zero value has none.
type Snapshot struct {
	text     string
	document *session.Document
}

// SnapshotOf returns a snapshot with a copy of any bytes.
func SnapshotOf(b []byte) Snapshot { return Snapshot{text: string(b)} }

// SnapshotOfText returns a snapshot of any bytes, which it shares.
func SnapshotOfText(text string) Snapshot { return Snapshot{text: text} }

// SnapshotOfDocument returns a snapshot with a document's text, which it
// shares.
func SnapshotOfDocument(d *session.Document) Snapshot { return Snapshot{d.Text(), d} }

// Document returns what was read of the snapshot, nil if it was stored as it
// came.
func (s Snapshot) Document() *session.Document { return s.document }

// Len returns how many bytes there are.
func (s Snapshot) Len() int { return len(s.text) }

// String returns the bytes. It copies nothing.
func (s Snapshot) String() string { return s.text }

// Bytes returns a copy of the bytes. It is never nil.
func (s Snapshot) Bytes() []byte { return []byte(s.text) }
