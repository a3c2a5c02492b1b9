package session

import (
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Text is the text of a session: a rope of immutable parts, which texts share. It
// is an immutable value, and copies share all of it. The zero value is empty.
//
// A text is cut where its bytes say so, so two texts that have a stretch in common
// are soon cut alike there, wherever it stands. Only the bytes before a cut decide on
// it, so what is appended changes no part but the last. Parts are listed by others,
// as in a tree, and these lists are cut the same way. So a text that comes in the
// place of another takes memory for what is new, and for a list on each floor above
// it; and equal texts have equal parts, however they came about.
type Text struct{ root *Part }

// A Part is some bytes of a Text, 8 KiB on average and up to 16 KiB, or a list of up to 64 parts. It never
// changes.
type Part struct {
	bytes string // nil if it is a list
	parts []*Part
	len   int
	count int    // of parts: itself, and those that it lists
	mark  uint64 // of its last bytes
}

// A part has at most so many bytes, or lists so many parts.
const (
	MaxBytes = 16 << 10
	MaxParts = 64
)

// Parts have 8 KiB on average. Few have as many as they may, so a text that moved by a
// byte is soon cut as it was.
const (
	minBytes = 4 << 10
	cutBits  = 12 // after minBytes, of 2^12 bytes one ends a part

	minParts = 8
	listBits = 5 // so a list has some 40 parts

	window = 64              // bytes before a cut decide on it
	rest   = utf8.UTFMax - 1 // bytes may be missing of a character
)

// gear has a random number for each byte: the first of SplitMix64.
var gear = func() (table [256]uint64) {
	var seed uint64
	for i := range table {
		seed += 0x9e3779b97f4a7c15
		z := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		table[i] = z ^ z>>31
	}
	return table
}()

// markOf returns a hash of the last bytes of a text.
func markOf(text string) (mark uint64) {
	for i := max(0, len(text)-window); i < len(text); i++ {
		mark = mark<<1 + gear[text[i]]
	}
	return mark
}

// cut returns where the first part of a text ends. FastCDC cuts like this: it looks
// for a place whose last bytes have a hash that begins with zeros. A character of
// UTF-8 stays whole.
func cut(text string) int { return cutAfter(0, text) }

// cutAfter cuts a text that some bytes of its first part stand in front of. If there
// are any, the part does not end in the first bytes of text, a window.
func cutAfter(front int, text string) int {
	at, end := max(minBytes-front, window), min(MaxBytes-rest-front, len(text))
	if at >= len(text) {
		return len(text)
	}
	mark := markOf(text[:at])
	for ; at < end && mark>>(64-cutBits) != 0; at++ {
		mark = mark<<1 + gear[text[at]]
	}
	for range rest {
		if at < len(text) && endsWithin(text[:at]) {
			at++
		}
	}
	return at
}

// endsWithin reports whether a text ends within a character.
func endsWithin(text string) bool {
	at := len(text) - 1
	for at > len(text)-rest && !utf8.RuneStart(text[at]) {
		at--
	}
	return !utf8.FullRuneInString(text[at:])
}

// TextOf returns a text with a copy of some bytes.
func TextOf(text string) Text { return Text{}.Replace(text) }

// Replace returns a text with these bytes. It shares the parts that t has too, and
// copies the others.
func (t Text) Replace(text string) Text { return t.replace(text, 0) }

// replace is told how many bytes t and text are known to begin with both.
func (t Text) replace(text string, known int) Text {
	old := slices.Collect(t.leaves()) // nil is in the place of one that is shared, so none is there twice
	b := builder{standing: t.lists()}
	var where map[string]int // of old
	for next := 0; len(text) > 0; {
		if next < len(old) && old[next].begins(text, known, next == len(old)-1) {
			text, known = text[old[next].len:], known-old[next].len
			b.add(0, old[next])
			old[next] = nil
			next++
			continue
		}
		bytes := text[:cut(text)]
		text, known = text[len(bytes):], 0
		if where == nil && next < len(old)-1 { // something else follows that may be in text too
			where = make(map[string]int, len(old)-next)
			for i, p := range slices.Backward(old) {
				if p != nil {
					where[p.bytes] = i
				}
			}
		}
		if i, ok := where[bytes]; ok && old[i] != nil {
			b.add(0, old[i])
			old[i] = nil
			next = i + 1
		} else {
			b.add(0, LeafOf(strings.Clone(bytes)))
		}
	}
	return b.text()
}

// begins reports whether p is the first part of a text. The last one of a text may be
// shorter than it would be if more came.
func (p *Part) begins(text string, known int, last bool) bool {
	return p != nil && (p.len <= known || strings.HasPrefix(text, p.bytes)) && (!last || p.len == len(text))
}

// Append returns a text that has more bytes at its end, a copy of them. It costs
// what is added, and the copy of one part and of the lists that it is on.
func (t Text) Append(text string) Text {
	if text == "" {
		return t
	}
	var b builder
	if last := b.begin(t.root); last != nil {
		seam := last.bytes[max(0, len(last.bytes)-window-rest):]
		n := cutAfter(last.len-len(seam), seam+text[:min(len(text), MaxBytes)]) - len(seam)
		if n > 0 {
			last = LeafOf(last.bytes + text[:n])
			text = text[n:]
		}
		b.add(0, last)
	}
	for text != "" {
		n := cut(text)
		b.add(0, LeafOf(strings.Clone(text[:n])))
		text = text[n:]
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

// Parts returns the bytes in parts of up to 16 KiB, none of which is empty. It
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
	if t.root == other.root || t.Len() != other.Len() {
		return t.Len() == other.Len()
	}
	at := 0
	for part := range t.Parts() {
		if !other.isAt(at, at+len(part), part) {
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
	}
	return list
}

// Len returns how many bytes the part has, with those of the parts that it lists.
func (p *Part) Len() int { return p.len }

// Count returns how many parts it is: itself, and those that it lists.
func (p *Part) Count() int { return p.count }

// Bytes returns the bytes of a part that is no list.
func (p *Part) Bytes() string { return p.bytes }

// Parts returns the parts that a list lists, nil if it is none. They must not be
// changed.
func (p *Part) Parts() []*Part { return p.parts }
