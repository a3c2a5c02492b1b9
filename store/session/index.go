package session

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An index holds where the members of all objects in one JSON value are, in the
// order of the text: a member's own value has its members next. It takes 8 bytes
// for a member, which takes 5 bytes of text at least.
type index struct {
	in     []byte
	base   int // where the value begins
	chunks []*[chunkLength]entry
	free   uint32 // the first entry that is not in use; entry 0 is none
	next   uint32 // the first member of the object that is written next
}

const chunkLength = 512

// An entry is one member.
type entry struct {
	at   uint32 // where its name is, from the base
	next uint32 // the object's next member, 0 if there is none
}

func (x *index) reset(in []byte, base int) { x.in, x.base, x.free, x.next = in, base, 1, 1 }

func (x *index) entry(i uint32) *entry { return &x.chunks[i/chunkLength][i%chunkLength] }

// add adds a member after the last one of its object, which is 0 for the first.
// It reports whether the member is near enough to the base.
func (x *index) add(last uint32, at int) (added uint32, ok bool) {
	if uint64(at-x.base) > math.MaxUint32 {
		return 0, false
	}
	added = x.free
	x.free++
	if int(added/chunkLength) == len(x.chunks) {
		x.chunks = append(x.chunks, new([chunkLength]entry))
	}
	*x.entry(added) = entry{at: uint32(at - x.base)}
	if last > 0 {
		x.entry(last).next = added
	}
	return added, true
}

// sort puts the members of the object that is written next in ascending order of
// their names; of those with the same name the last in the text comes last. It
// returns the first member in that order, and the last one in the text.
func (x *index) sort() (first, last uint32) {
	n := 0
	for i := x.next; i > 0; i = x.entry(i).next {
		last = i
		n++
	}
	first, _ = x.sortRun(x.next, n)
	return first, last
}

// sortRun sorts n members, at least one, and returns the first of them and the
// one that came after them.
func (x *index) sortRun(i uint32, n int) (first, after uint32) {
	if n == 1 {
		e := x.entry(i)
		after, e.next = e.next, 0
		return i, after
	}
	a, b := x.sortRun(i, n/2)
	b, after = x.sortRun(b, n-n/2)
	last := &first
	for a > 0 && b > 0 {
		least := &a
		if x.compare(a, b) > 0 {
			least = &b
		}
		*last = *least
		last = &x.entry(*least).next
		*least = *last
	}
	*last = max(a, b) // one of them is 0
	return first, after
}

// compare compares the names of two members, no further than where they differ.
func (x *index) compare(i, j uint32) int {
	a, b := x.name(i), x.name(j)
	for {
		var c, d rune
		c, a = nextRune(a)
		d, b = nextRune(b)
		if c != d || c == endOfName {
			return cmp.Compare(c, d)
		}
	}
}

// name returns the text that begins with a member's name.
func (x *index) name(i uint32) []byte { return x.in[x.position(i)+len(`"`):] }

func (x *index) position(i uint32) int { return x.base + int(x.entry(i).at) }

const endOfName = -1

// nextRune returns the rune that a valid string goes on with, and what comes
// after it. Runes are in the order of their UTF-8.
func nextRune(text []byte) (rune, []byte) {
	switch c := text[0]; {
	case c == '"':
		return endOfName, text
	case c == '\\' && text[1] == 'u':
		r := hexRune(text)
		if utf16.IsSurrogate(r) {
			return utf16.DecodeRune(r, hexRune(text[6:])), text[12:]
		}
		return r, text[6:]
	case c == '\\':
		return rune("\"\\/\b\f\n\r\t"[strings.IndexByte(`"\/bfnrt`, text[1])]), text[2:]
	case c < utf8.RuneSelf:
		return rune(c), text[1:]
	}
	r, n := utf8.DecodeRune(text)
	return r, text[n:]
}

func hexRune(escape []byte) rune {
	n, _ := strconv.ParseUint(string(escape[2:6]), 16, 32) // it was read as valid
	return rune(n)
}
