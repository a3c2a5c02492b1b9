package state

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
)

// texts are the parts of all texts that a State holds. Each is held once, however many
// texts have it, and goes with the last of them.
type texts struct {
	held    map[*session.Part]heldPart
	live    int // of these, how many have uses
	written int // of these, how many have a record in a journal
	bytes   int64
	names   uint64 // the last one given

	// Since the last settle, or in the group: parts that nothing has any more, and those
	// whose records come or go. They stay in held until then, since they may come back.
	touched []*session.Part
}

// A heldPart is what a State knows of a part. A list has a higher name than its
// parts.
type heldPart struct {
	name   uint64 // in the journal, never used again; 0 if there is no record
	uses   int32  // by texts as a whole, and by lists
	writes int32  // of these, by texts and lists that have records: not by a snapshot of version 1
	stored bool   // the journal has a record of it
}

// add takes notice of one more text, and whether it stands in parts that have records.
// nil is the root of an empty one.
func (t *texts) add(p *session.Part, writes bool) { t.change(p, 1, writes) }

// drop takes notice of one text less.
func (t *texts) drop(p *session.Part, writes bool) { t.change(p, -1, writes) }

func (t *texts) change(p *session.Part, n int32, writes bool) {
	switch {
	case p == nil:
	case writes:
		t.count(p, n, n)
	default:
		t.count(p, n, 0)
	}
}

// count adds to the uses and the writes of a part, each 1, 0 or -1. What comes into use,
// or into the journal, uses the parts that it lists.
func (t *texts) count(p *session.Part, uses, writes int32) {
	h := t.held[p]
	h.uses, h.writes = h.uses+uses, h.writes+writes
	if h.uses != max(uses, 0) {
		uses = 0
	}
	if h.writes != max(writes, 0) {
		writes = 0
	}
	if uses != 0 || writes != 0 {
		for _, part := range p.Parts() {
			t.count(part, uses, writes)
		}
	}
	t.put(p, h, uses, writes)
}

// put puts down what is known of a part that comes or goes, or neither.
func (t *texts) put(p *session.Part, h heldPart, uses, writes int32) {
	t.live, t.written = t.live+int(uses), t.written+int(writes)
	t.bytes += int64(uses) * partSize(p)
	if uses < 0 || writes != 0 {
		t.touched = append(t.touched, p)
	}
	if h.writes > 0 && h.name == 0 { // those that it lists have theirs
		t.names++
		h.name = t.names
	}
	if t.held == nil {
		t.held = make(map[*session.Part]heldPart)
	}
	t.held[p] = h
}

// replace takes notice of one more text, which comes in the place of another; both stand
// in parts that have records. What both have on the same floor keeps its uses.
func (t *texts) replace(old, p *session.Part) {
	before, after := t.held[old], t.held[p]
	if old == nil || p == nil || old.Floor() != p.Floor() || p.Floor() == 0 || before.uses > 1 || before.writes > 1 || after.uses > 0 {
		t.add(p, true)
		t.drop(old, true)
		return
	}
	a, b := old.Parts(), p.Parts()
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for len(a) > 0 && len(b) > 0 {
		t.replace(a[0], b[0])
		a, b = a[1:], b[1:]
	}
	for _, part := range b {
		t.add(part, true)
	}
	for _, part := range a {
		t.drop(part, true)
	}
	after.uses, after.writes = 1, 1
	t.put(p, after, 1, 1)
	before.uses, before.writes = 0, 0
	t.put(old, before, -1, -1)
}

// restore takes notice of a part that a journal has.
func (t *texts) restore(p *session.Part, name uint64) {
	if t.held == nil {
		t.held = make(map[*session.Part]heldPart)
	}
	t.held[p] = heldPart{name: name, stored: true}
}

// settle forgets the parts that nothing has any more, and the names of those that have
// no records.
func (t *texts) settle() {
	for _, p := range t.touched {
		switch h, ok := t.held[p]; {
		case !ok:
		case h.uses == 0:
			delete(t.held, p)
		case h.writes == 0:
			h.name = 0
			t.held[p] = h
		}
	}
	clear(t.touched)
	t.touched = t.touched[:0]
}

// records returns the new records of the parts that were touched, of which one may be
// there twice, and the names of those whose records go.
func (t *texts) records() (to []journal.Change, gone []uint64) {
	for _, p := range t.touched {
		switch h := t.held[p]; {
		case h.writes > 0 && !h.stored:
			to = append(to, t.record(p))
		case h.writes == 0 && h.stored:
			gone = append(gone, h.name)
		}
	}
	slices.Sort(gone)
	return to, slices.Compact(gone)
}

// record is the record of a part.
func (t *texts) record(p *session.Part) journal.Change {
	return put(partKey(t.held[p].name), func(b []byte) []byte {
		if p.Parts() == nil {
			return append(append(b, 0), p.Bytes()...)
		}
		b = append(b, 1)
		for _, part := range p.Parts() {
			b = appendNumbers(b, t.held[part].name)
		}
		return b
	})
}

// store takes notice that the journal has what records has said, or all.
func (t *texts) store(all bool) {
	for _, p := range t.touched {
		t.storePart(p)
	}
	if all {
		for p := range t.held {
			t.storePart(p)
		}
	}
}

func (t *texts) storePart(p *session.Part) {
	if h, ok := t.held[p]; ok {
		h.stored = h.writes > 0
		t.held[p] = h
	}
}

// all returns the parts that have records, by ascending names.
func (t *texts) all() iter.Seq[*session.Part] {
	parts := slices.Collect(maps.Keys(t.held))
	parts = slices.DeleteFunc(parts, func(p *session.Part) bool { return t.held[p].writes == 0 })
	slices.SortFunc(parts, func(a, b *session.Part) int { return cmp.Compare(t.held[a].name, t.held[b].name) })
	return slices.Values(parts)
}

// partSize is what a part counts for without those that it lists.
func partSize(p *session.Part) int64 {
	if p.Parts() == nil {
		return int64(partBytes + p.Len())
	}
	return int64(partBytes + 8*len(p.Parts()))
}

// A tally counts the texts of one runtime: each part once.
type tally struct {
	bytes int64
	uses  map[*session.Part]int // nil if there is one text, so bytes are its own
}

func (t *tally) add(p *session.Part) {
	if p == nil {
		return
	}
	if t.uses[p]++; t.uses[p] == 1 {
		for _, part := range p.Parts() {
			t.add(part)
		}
		t.bytes += partSize(p)
	}
}

func (t *tally) drop(p *session.Part) {
	if p == nil {
		return
	}
	if t.uses[p]--; t.uses[p] == 0 {
		delete(t.uses, p)
		for _, part := range p.Parts() {
			t.drop(part)
		}
		t.bytes -= partSize(p)
	}
}
