package session

import (
	"io"
	"iter"
	"slices"
	"strings"
)

// A Text is the text of a session: a rope of immutable parts, which texts share. It
// is an immutable value, and copies share all of it. The zero value is empty.
//
// Parts are listed by others, as in a tree. A text that comes in the place of another
// shares the parts that it has too, wherever they stand now; and lists end where the
// bytes say so, so that most of these are shared as well. So it takes memory for what is
// new, and for a list on each floor above that.
type Text struct{ root *Part }

// A Part is some bytes of a Text, up to 4 KiB, or a list of up to 64 parts. It never
// changes.
type Part struct {
	bytes string // nil if it is a list
	parts []*Part
	len   int
	mark  uint64 // of its last bytes
	count int32  // of parts: itself, and those that it lists
	floor int32  // 0 if it is no list, and else one more than the highest in it
}

// A part has at most so many bytes, or lists so many parts, on so many floors.
const (
	MaxBytes = 4 << 10
	MaxParts = 64
	MaxFloor = 12 // of a list: full ones have 8 parts at least
)

const (
	minBytes = MaxBytes * 7 / 8 // of a part that has another one after it
	minNew   = MaxBytes / 8     // of one that comes between others, if that can be

	minParts = 8
	listBits = 5 // so a list has some 40 parts
	cutBits  = 13
)

// TextOf returns a text with a copy of some bytes.
func TextOf(text string) Text { return Text{}.Replace(text) }

// Append returns a text that has more bytes at its end, a copy of them. It costs
// what is added, and the copy of one part and of the lists that it is on.
func (t Text) Append(more string) Text {
	if more == "" {
		return t
	}
	if t.root != nil && t.root.floor >= MaxFloor { // whoever made it had other rules
		t = TextOf(t.String())
	}
	var b builder
	tail := b.begin(t.root)
	for len(tail)+len(more) > 0 {
		both := more
		if tail != "" {
			both = tail + more[:min(len(more), MaxBytes+1-len(tail))]
		}
		n := cut(both)
		bytes := both[:n]
		if tail == "" || n < len(both) { // both is the caller's, or larger
			bytes = strings.Clone(bytes)
		}
		b.add(0, LeafOf(bytes))
		more = more[max(n-len(tail), 0):]
		tail = tail[min(n, len(tail)):]
	}
	return b.text()
}

// Len returns how many bytes there are.
func (t Text) Len() int {
	if t.root == nil {
		return 0
	}
	return t.root.len
}

// String returns the bytes. It copies them, unless they are one part.
func (t Text) String() string {
	switch {
	case t.root == nil:
		return ""
	case t.root.parts == nil:
		return t.root.bytes
	}
	var all strings.Builder
	all.Grow(t.Len())
	_, _ = t.WriteTo(&all)
	return all.String()
}

// AppendTo appends a copy of the bytes to b.
func (t Text) AppendTo(b []byte) []byte {
	b = slices.Grow(b, t.Len())
	for part := range t.Parts() {
		b = append(b, part...)
	}
	return b
}

// WriteTo writes the bytes to w, part by part. It copies nothing itself.
func (t Text) WriteTo(w io.Writer) (n int64, err error) {
	for part := range t.Parts() {
		written, err := io.WriteString(w, part)
		if n += int64(written); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Parts returns the bytes in parts of up to 4 KiB, none of which is empty. It
// copies nothing.
func (t Text) Parts() iter.Seq[string] { return t.between(0, t.Len()) }

// Reader returns a reader of the bytes. It copies them to where they are read to.
func (t Text) Reader() io.Reader { return &textReader{t, 0} }

type textReader struct {
	text Text
	at   int
}

func (r *textReader) Read(p []byte) (n int, err error) {
	for part := range r.text.between(r.at, min(r.text.Len(), r.at+len(p))) {
		n += copy(p[n:], part)
	}
	if r.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Equal reports whether two texts have the same bytes. Parts that they share are not
// looked at.
func (t Text) Equal(other Text) bool {
	return t.Len() == other.Len() && other.begins(t)
}

// begins reports whether a text begins with the bytes of another. Parts that they
// share are not looked at.
func (t Text) begins(with Text) bool {
	if t.root == with.root || t.Len() < with.Len() {
		return t.Len() >= with.Len()
	}
	at := 0
	for part := range with.Parts() {
		if !t.isAt(at, at+len(part), part) {
			return false
		}
		at += len(part)
	}
	return true
}

// between returns the bytes from one place to another.
func (t Text) between(from, to int) iter.Seq[string] {
	return func(yield func(string) bool) {
		if from < to {
			t.root.between(from, to, yield)
		}
	}
}

func (p *Part) between(from, to int, yield func(string) bool) bool {
	if p.parts == nil {
		return yield(p.bytes[max(from, 0):min(to, p.len)])
	}
	for _, part := range p.parts {
		if from < part.len && !part.between(from, to, yield) {
			return false
		}
		if from, to = from-part.len, to-part.len; to <= 0 {
			break
		}
	}
	return true
}

// isAt reports whether text begins with the bytes from one place to another.
func (t Text) isAt(from, to int, text string) bool {
	for part := range t.between(from, to) {
		if !strings.HasPrefix(text, part) {
			return false
		}
		text = text[len(part):]
	}
	return true
}

// leaves returns the parts that have bytes.
func (t Text) leaves() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		if t.root != nil {
			t.root.leaves(yield)
		}
	}
}

func (p *Part) leaves(yield func(*Part) bool) bool {
	if p.parts == nil {
		return yield(p)
	}
	for _, part := range p.parts {
		if !part.leaves(yield) {
			return false
		}
	}
	return true
}

// lists returns the parts that are lists, by their first parts.
func (t Text) lists() map[*Part]*Part {
	if t.root == nil || t.root.parts == nil {
		return nil
	}
	found := make(map[*Part]*Part)
	t.root.lists(found)
	return found
}

func (p *Part) lists(found map[*Part]*Part) {
	found[p.parts[0]] = p
	for _, part := range p.parts {
		if part.parts != nil {
			part.lists(found)
		}
	}
}

// A builder lists the parts of a text, in their order.
type builder struct {
	open     [maxFloors][]*Part // of each floor, the list that is not full
	floors   int                // that have one
	standing map[*Part]*Part    // lists that there are, by their first parts
}

const maxFloors = MaxFloor + 4

// begin lists all parts of a text but the last, and returns the bytes of that.
func (b *builder) begin(root *Part) (tail string) {
	if root == nil {
		return ""
	}
	for p := root; p.parts != nil; p = p.parts[len(p.parts)-1] {
		b.floors++
	}
	for floor := b.floors - 1; floor >= 0; floor-- {
		n := len(root.parts) - 1
		b.open[floor] = append(make([]*Part, 0, n+2), root.parts[:n]...)
		root = root.parts[n]
	}
	return root.bytes
}

// add adds a part to the list of a floor. A full list is added to the next floor's.
func (b *builder) add(floor int, p *Part) {
	list := append(b.open[floor], p)
	b.open[floor], b.floors = list, max(b.floors, floor+1)
	ends := p.mark<<(cutBits+floor*listBits)>>(64-listBits) == 0
	if n := len(list); n == MaxParts || n >= minParts && ends {
		b.close(floor)
	}
}

// close adds a floor's list to the next floor's. One that stands is shared.
func (b *builder) close(floor int) {
	list := b.open[floor]
	whole := b.standing[list[0]]
	if whole != nil && slices.Equal(whole.parts, list) {
		b.open[floor] = list[:0]
	} else {
		whole, b.open[floor] = ListOf(list), nil
	}
	b.add(floor+1, whole)
}

// text ends all lists.
func (b *builder) text() Text {
	for floor := 0; floor < b.floors; floor++ {
		switch list := b.open[floor]; {
		case len(list) == 1 && floor == b.floors-1:
			return Text{list[0]}
		case len(list) > 0:
			b.close(floor)
		}
	}
	return Text{}
}

// Root returns the part that has all of the text, nil if it is empty.
func (t Text) Root() *Part { return t.root }

// TextWith returns the text that has all of a part, nil if it is to be empty.
func TextWith(root *Part) Text { return Text{root} }

// LeafOf returns a part with some bytes, which it shares.
func LeafOf(bytes string) *Part {
	return &Part{bytes: bytes, len: len(bytes), count: 1, mark: markOf(bytes)}
}

// ListOf returns a part that lists others. It keeps the slice.
func ListOf(parts []*Part) *Part {
	list := &Part{parts: parts, count: 1, mark: parts[len(parts)-1].mark}
	for _, p := range parts {
		list.len += p.len
		list.count += p.count
		list.floor = max(list.floor, p.floor+1)
	}
	return list
}

// Len returns how many bytes the part has, with those of the parts that it lists.
func (p *Part) Len() int { return p.len }

// Count returns how many parts it is: itself, and those that it lists.
func (p *Part) Count() int { return int(p.count) }

// Floor returns 0 if the part is no list, and else one more than the highest of the
// floors of those that it lists. That of a text is at most MaxFloor.
func (p *Part) Floor() int { return int(p.floor) }

// Bytes returns the bytes of a part that is no list.
func (p *Part) Bytes() string { return p.bytes }

// Parts returns the parts that a list lists, nil if it is none. They must not be
// changed.
func (p *Part) Parts() []*Part { return p.parts }
