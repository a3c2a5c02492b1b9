package session

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An index says where the members of all objects in one JSON value are. It lists
// them in the order of the text, so that the members inside a member's value come
// right after it. A member takes 8 bytes here, and at least 5 in the text.
type index struct {
	in     []byte
	base   int // where the value begins
	chunks []*[chunkLength]entry
	free   uint32 // the first entry that is not in use; entry 0 never is
	next   uint32 // the first member of the object that comes next
}

const chunkLength = 512

// An entry is one member.
type entry struct {
	at   uint32 // where its name is, from the base
	next uint32 // the object's next member, 0 if there is none
}

func (x *index) reset(in []byte, base int) { x.in, x.base, x.free, x.next = in, base, 1, 1 }

func (x *index) entry(i uint32) *entry { return &x.chunks[i/chunkLength][i%chunkLength] }

// add adds a member after the last one of its object, 0 if it is the first. It
// reports false if the member is too far from the base.
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

// sort links the members of the object that comes next in ascending order of
// their names. Members with the same name stay in the order of the text. It
// returns the first in the new order, and the last in the text.
func (x *index) sort() (first, last uint32) {
	n := 0
	for i := x.next; i > 0; i = x.entry(i).next {
		last = i
		n++
	}
	first, _ = x.sortRun(x.next, n)
	return first, last
}

// sortRun sorts the n members from i on, n at least 1. It returns the first of
// them and the member that comes after the run.
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

// compare compares the names of two members. It reads no further than to where
// they differ.
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

// name returns the text from the first byte of a member's name on.
func (x *index) name(i uint32) []byte { return x.in[x.position(i)+len(`"`):] }

func (x *index) position(i uint32) int { return x.base + int(x.entry(i).at) }

const endOfName = -1

// nextRune returns the next rune of a valid string, and the text after it. Runes
// have the same order as their UTF-8.
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
