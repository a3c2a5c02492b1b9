package session

import (
	"slices"
	"strings"
)

// markOf returns a hash of the last bytes of a text.
func markOf(text string) (mark uint64) {
	for i := max(0, len(text)-window); i < len(text); i++ {
		mark = mark<<1 + gear[text[i]]
	}
	return mark
}

const window = 64 // bytes that a mark is of

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

// A matcher finds where a text goes on as another one, of which it has the parts. It
// looks for their ends: at each byte it compares the mark of the bytes before with
// those of the parts, and where two agree the bytes.
type matcher struct {
	old    []*Part // nil where one was found
	first  map[uint64]int
	after  []int // the next one with the same mark, 0 if there is none
	filter [1 << 10]uint64
	budget int // bytes that may still be compared
}

func newMatcher(old []*Part, budget int) *matcher {
	m := &matcher{old: old, first: make(map[uint64]int, len(old)), after: make([]int, len(old)), budget: budget}
	for i, p := range slices.Backward(old) {
		if p != nil {
			m.after[i] = m.first[p.mark]
			m.first[p.mark] = i
			m.filter[p.mark>>54] |= 1 << (p.mark >> 48 & 63)
		}
	}
	return m
}

// find returns the first place from at on at which a part stands, and which that is.
// If there is none, that is the end of the text.
func (m *matcher) find(text string, at int) (place, part int) {
	const most = 16 // parts that end alike
	mark := markOf(text[:at])
	for i := at; i < len(text) && m.budget > 0; i++ {
		mark = mark<<1 + gear[text[i]]
		if m.filter[mark>>54]>>(mark>>48&63)&1 == 0 {
			continue
		}
		k, ok := m.first[mark]
		for range most {
			if !ok {
				break
			}
			if p := m.old[k]; p != nil && i+1-p.len >= at && m.stands(text[i+1-p.len:], k) {
				return i + 1 - p.len, k
			}
			if k+1 < len(m.old) && m.stands(text[i+1:], k+1) {
				return i + 1, k + 1
			}
			k = m.after[k]
			ok = k > 0
		}
	}
	return len(text), len(m.old)
}

// stands reports whether a text begins with a part that may be shared there: the last
// one only at the end.
func (m *matcher) stands(text string, part int) bool {
	p := m.old[part]
	if p == nil || part == len(m.old)-1 && len(text) != p.len {
		return false
	}
	for known := 0; ; known += 512 {
		to := min(known+512, p.len)
		m.budget -= to - known
		if len(text) < to || text[known:to] != p.bytes[known:to] {
			return false
		}
		if to == p.len {
			return true
		}
	}
}

// cut returns how long the first part of a text is. It ends where the mark is the
// lowest, among the last places that it may, so that ends can be told apart. A
// character of UTF-8 stays whole.
func cut(text string) int {
	if len(text) <= MaxBytes {
		return len(text)
	}
	at, lowest := 0, ^uint64(0)
	mark := markOf(text[:minBytes])
	for i := minBytes; i < MaxBytes; i++ {
		if mark = mark<<1 + gear[text[i]]; mark < lowest {
			at, lowest = i+1, mark
		}
	}
	for range 3 {
		if text[at]&0xc0 == 0x80 {
			at--
		}
	}
	return at
}

// edited returns how long the beginning of a text is that is a part with an edit of a
// few bytes at one place, 0 if there is none. What follows moved by as much: that is
// seen here even if it repeats, and would stand anywhere.
func (p *Part) edited(text string) int {
	const most, alike = 16, window // of the edit, and after it
	same := 0
	for same < min(p.len, len(text)) && p.bytes[same] == text[same] {
		same++
	}
	for gone := 0; gone <= most && p.len-same-gone >= alike; gone++ {
		for more := range most + 1 {
			if n := p.len - gone + more; n <= len(text) && p.bytes[same+gone:] == text[same+more:n] {
				return n
			}
		}
	}
	return 0
}

// Replace returns a text with these bytes. It shares the parts that t has too, wherever
// they stand now, and copies the others.
func (t Text) Replace(text string) Text { return t.replace(text, 0, 0) }

// replace is Replace for a text that is known to have the same bytes from one place to
// another.
func (t Text) replace(text string, from, to int) Text {
	var old []*Part // nil where one is shared, so that none is there twice
	if t.root != nil {
		old = slices.AppendSeq(make([]*Part, 0, t.root.count), t.leaves())
	}
	b := builder{standing: t.lists()}
	var m *matcher
	shared, edits := 0, 16 // so many are looked for
	for at, next := 0, 0; at < len(text); {
		if next < len(old) && old[next] != nil {
			p := old[next]
			known := m == nil && from <= at && at+p.len <= to
			if (known || strings.HasPrefix(text[at:], p.bytes)) && (next < len(old)-1 || len(text)-at == p.len) {
				b.add(0, p)
				old[next] = nil
				at, next, shared = at+p.len, next+1, shared+1
				continue
			}
		}
		place, edited := len(text), 0
		if edits--; edits >= 0 && next < len(old)-1 && old[next] != nil {
			edited = old[next].edited(text[at:])
		}
		if edited > 0 {
			place, next = at+edited, next+1
		} else if shared < len(old)-1 { // another than the last one may be in text too
			if m == nil {
				m = newMatcher(old, 4*len(text))
			}
			place, next = m.find(text, at)
			if place-at < minNew && next < len(old) { // too little for a part of its own
				place, next = place+old[next].len, next+1
			}
		}
		for at < place {
			n := cut(text[at:place])
			b.add(0, LeafOf(strings.Clone(text[at:at+n])))
			at += n
		}
	}
	return b.text()
}
