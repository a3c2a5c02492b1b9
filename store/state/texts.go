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
	held  map[*session.Part]heldPart
	live  int // of these, how many have uses
	old   int // of these, how many only stand in snapshots of a journal's version 1
	bytes int64
	names uint64 // the last one given

	// Since the last settle, or in the group: parts of which more or fewer have them
	// now. One that nothing has any more stays in held until then, since it may come
	// back.
	touched []*session.Part

	replaying bool // such snapshots
}

// A heldPart is what a State knows of a part. A list has a higher name than its
// parts.
type heldPart struct {
	name   uint64 // in the journal, never used again
	uses   int32  // by texts as a whole, and by lists
	stored bool   // the journal has a record of it
	old    bool   // it has stood in a snapshot of a journal's version 1
}

// add takes notice of one more text. nil is the root of an empty one.
func (t *texts) add(p *session.Part) {
	if p == nil {
		return
	}
	if h := t.use(p); h.uses > 1 && !h.stored {
		t.touched = append(t.touched, p)
	}
}

// use takes notice of one more use of a part, and returns what is known of it.
func (t *texts) use(p *session.Part) heldPart {
	h, ok := t.held[p]
	if !ok {
		if t.held == nil {
			t.held = make(map[*session.Part]heldPart)
		}
		h.old = t.replaying
	}
	if h.uses++; h.uses == 1 {
		for _, part := range p.Parts() {
			t.use(part)
		}
	}
	return t.put(p, h)
}

// put puts down what is known of a part that has got a use more.
func (t *texts) put(p *session.Part, h heldPart) heldPart {
	if h.uses == 1 {
		t.count(h, 1)
		t.bytes += partSize(p)
		t.touched = append(t.touched, p)
	}
	if h.name == 0 {
		t.names++
		h.name = t.names
	}
	t.held[p] = h
	return h
}

// replace takes notice of one more text, which comes in the place of another. What both
// have on the same floor keeps its uses.
func (t *texts) replace(old, p *session.Part) {
	before := t.held[old]
	if old == p || old == nil || p == nil || old.Floor() != p.Floor() || p.Floor() == 0 || before.uses > 1 || t.held[p].uses > 0 {
		t.add(p)
		t.drop(old)
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
		t.add(part)
	}
	for _, part := range a {
		t.drop(part)
	}
	h := t.held[p]
	h.old, h.uses = h.old || h.name == 0 && t.replaying, 1
	t.put(p, h)
	before.uses = 0
	t.held[old] = before
	t.ended(old, before)
}

// count counts a part that comes, or goes.
func (t *texts) count(h heldPart, n int) {
	t.live += n
	if h.old && !h.stored {
		t.old += n
	}
}

// drop takes notice of one use less.
func (t *texts) drop(p *session.Part) {
	if p == nil {
		return
	}
	h := t.held[p]
	h.uses--
	t.held[p] = h
	if h.uses == 0 {
		for _, part := range p.Parts() {
			t.drop(part)
		}
		t.ended(p, h)
	}
}

// ended takes notice of a part that nothing has any more.
func (t *texts) ended(p *session.Part, h heldPart) {
	t.count(h, -1)
	t.bytes -= partSize(p)
	t.touched = append(t.touched, p)
}

// restore takes notice of a part that a journal has.
func (t *texts) restore(p *session.Part, name uint64) {
	if t.held == nil {
		t.held = make(map[*session.Part]heldPart)
	}
	t.held[p] = heldPart{name: name, stored: true}
}

// settle forgets the parts that nothing has any more.
func (t *texts) settle() {
	for _, p := range t.touched {
		if h, ok := t.held[p]; ok && h.uses == 0 {
			delete(t.held, p)
		}
	}
	clear(t.touched)
	t.touched = t.touched[:0]
}

// records returns what there is to change in a journal of the parts that were touched,
// and how many it has then.
func (t *texts) records() (to []journal.Change, n int) {
	put, n := make(map[*session.Part]bool), t.live-t.old
	for _, p := range t.touched {
		switch h := t.held[p]; {
		case h.uses > 0:
			to = t.appendNew(to, p, put)
		case h.stored:
			to = append(to, remove(partKey(h.name)))
		}
	}
	for p := range put {
		if t.held[p].old {
			n++
		}
	}
	return to, n
}

// appendNew appends the records of a part that the journal does not have, and of the
// parts that it lists.
func (t *texts) appendNew(to []journal.Change, p *session.Part, put map[*session.Part]bool) []journal.Change {
	h := t.held[p]
	if h.stored || put[p] {
		return to
	}
	put[p] = true
	for _, part := range p.Parts() {
		to = t.appendNew(to, part, put)
	}
	return append(to, t.record(p))
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
		if h := t.held[p]; h.uses > 0 {
			t.storePart(p)
		}
	}
	if all {
		for p := range t.held {
			t.storePart(p)
		}
	}
}

func (t *texts) storePart(p *session.Part) {
	if h := t.held[p]; !h.stored {
		t.count(h, -1)
		h.stored = true
		t.count(h, 1)
		t.held[p] = h
		for _, part := range p.Parts() {
			t.storePart(part)
		}
	}
}

// all returns the parts that have records, by ascending names.
func (t *texts) all() iter.Seq[*session.Part] {
	parts := slices.Collect(maps.Keys(t.held))
	parts = slices.DeleteFunc(parts, func(p *session.Part) bool { return t.held[p].old && !t.held[p].stored })
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
