package state

import (
	"math"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store"
)

// How a Replay reads what few runtimes have, tombstones, and what the feed of changes
// remembers.

// stone takes a tombstone, which has one record.
func (r *Replay) stone(b *payloadReader) string {
	s, at := r.state, r.current.place
	r.current = pending{}
	if at > maxPlace {
		return "a place beyond all that there are"
	}
	t := &tombstone{id: store.RuntimeID(b.text()), revision: b.number(), at: b.nanoseconds(), highest: b.sequence()}
	const least = 18 // bytes of a key
	n := b.number()
	if b.bad = b.bad || b.version < 4 || n > uint64(len(b.rest)/least); b.bad || t.id.Validate() != nil {
		return "malformed"
	}
	for range n {
		t.keys = append(t.keys, b.usedKey())
	}
	if !b.done() {
		return "malformed"
	}
	if t.revision == 0 || t.revision > r.root.revision {
		return "later than the store itself"
	}
	if !t.distinct() {
		return "a key is kept twice"
	}
	if s.runtimes[t.id] != nil || s.CheckDeleted(t.id) != nil {
		return "a runtime is there, and was deleted, or that twice"
	}
	s.swap(nil, part{kind: aTombstone, at: at}, &value{stone: t})
	return ""
}

// deletion takes one that the feed of changes remembers, which has one record.
func (r *Replay) deletion(b *payloadReader) string {
	s, at := r.state, r.current.place
	r.current = pending{}
	d := &deletion{store.RuntimeID(b.text()), point{b.number(), b.number()}}
	_, twice := s.feed.deleted.place(d.id)
	switch {
	case at > maxPlace:
		return "a place beyond all that there are"
	case !b.done() || b.version < 4 || d.id.Validate() != nil || r.root.life == 0:
		return "malformed"
	case d.point.revision == 0 || d.point.revision > r.root.revision || d.point.place > maxPlace:
		return "later than the store itself"
	case s.runtimes[d.id] != nil || twice:
		return "a runtime is there, and was deleted, or that twice"
	}
	s.swap(nil, part{kind: aDeletion, at: at}, &value{deletion: d})
	return ""
}

// goOn makes the feed of changes and the lines go on. If not all that the feed remembers is
// there, it has forgotten everything.
func (r *Replay) goOn() {
	s, f := r.state, &r.state.feed
	if f.life, f.forgotten = r.root.life, r.root.forgotten; r.root.deleted != uint64(f.deleted.values.len) {
		f.forgotten = s.revision
	}
	f.startOver(s.revision)
	s.queueAll()
}

func (b *payloadReader) usedKey() *usedKey {
	u := &usedKey{b.text(), store.InputID(b.id()), b.nanoseconds()}
	b.bad = b.bad || !utf8.ValidString(u.key)
	return u
}

func (b *payloadReader) sequence() (q sequence) {
	if q.there = b.flag(); q.there {
		q.number = b.number()
	}
	return q
}

func (b *payloadReader) nanoseconds() int64 {
	n := b.number()
	b.bad = b.bad || n > math.MaxInt64
	return int64(n)
}

func (b *payloadReader) labels() map[string]string {
	n := b.number()
	if b.bad = b.bad || n > store.MaxLabels; b.bad || n == 0 {
		return nil
	}
	labels := make(map[string]string, n)
	for range n {
		key := b.text()
		labels[key] = b.text()
	}
	b.bad = b.bad || uint64(len(labels)) != n || store.ValidateLabels(labels) != nil
	return labels
}
