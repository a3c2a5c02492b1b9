package state

import (
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
)

// Snapshots as version 1 of the format has them.

// standing returns the records of a snapshot that stands as in version 1, nil if the
// part is none.
func (s *State) standing(c change) []journal.Change {
	switch c.part.kind {
	case theSession:
		if v := c.rt.session; v.chunks > 0 {
			return chunks(keyRuntime, c.rt.place, v.snapshot)
		}
	case aFiled:
		if f, _ := s.sessions.values.get(c.part.at); f.chunks > 0 {
			head := sealed(1, keyOf(keyFiled, c.part.at, subHead), func(b []byte) []byte { return s.appendFiled(b, f) })
			return append([]journal.Change{head}, chunks(keyFiled, c.part.at, f.snapshot)...)
		}
	}
	return nil
}

// chunks returns the records of a snapshot in version 1.
func chunks(kind byte, place uint64, snapshot *store.Snapshot) []journal.Change {
	to := []journal.Change{sealed(1, keyOf(kind, place, subSnapshot), func(b []byte) []byte {
		b = appendNumbers(b, uint64(snapshot.Len()))
		if snapshot.Document() == nil {
			return append(b, 0)
		}
		return append(b, 1)
	})}
	for chunk := range slices.Chunk(snapshot.Bytes(), snapshotChunk) {
		key := keyOf(kind, place, subChunk, uint64(len(to)-1))
		to = append(to, sealed(1, key, func(b []byte) []byte { return append(b, chunk...) }))
	}
	return to
}

// removeChunks appends the removal of a snapshot that stands as in version 1, in so
// many records, and does nothing if there are none.
func removeChunks(to []journal.Change, kind byte, place, records uint64) []journal.Change {
	if records > 0 {
		to = append(to, remove(keyOf(kind, place, subSnapshot)))
	}
	for number := range max(records, 1) - 1 {
		to = append(to, remove(keyOf(kind, place, subChunk, number)))
	}
	return to
}

// chunk takes the next part of a snapshot.
func (o *pending) chunk(number uint64, b *payloadReader) string {
	chunk := b.take(len(b.rest))
	left := o.length - uint64(o.text.Len())
	if !o.there || number != o.chunks || uint64(len(chunk)) != min(left, snapshotChunk) || left == 0 {
		return "not the next part of its snapshot"
	}
	o.chunks++
	o.text.Write(chunk)
	return ""
}

// chunked returns the snapshot of version 1 that has come, nil if there is none.
func (o *pending) chunked() (_ *store.Snapshot, reason string) {
	switch {
	case !o.there:
		return nil, ""
	case uint64(o.text.Len()) != o.length:
		return nil, "a part of a snapshot is missing"
	}
	format := store.FormatUnset
	if o.document {
		format = store.FormatMeerkat
	}
	document, err := (*session.Document)(nil).Replace(format, o.text.String(), 0)
	if err != nil {
		return nil, "a snapshot is no session document"
	}
	return new(store.SnapshotOfDocument(document)), ""
}
