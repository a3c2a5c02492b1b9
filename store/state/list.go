package state

import (
	"cmp"
	"iter"
	"slices"
)

// A list holds values by number, in ascending order. A copy of it costs next to
// nothing: it shares the chunks, and the one that goes on to change copies
// those that it changes. A tree would share more of a huge list, and be more
// than this needs.
type list[V any] struct {
	chunks []*chunk[V] // none is empty
	len    int
	copies int   // how often it was copied: a chunk that was made before is shared
	shared bool  // chunks itself is
	room   uint8 // what a new chunk at the end has room for from the start
}

type chunk[V any] struct {
	items  []item[V]
	copies int
}

type item[V any] struct {
	number uint64
	value  V
}

const chunkSize = 64

// expect makes room for so many values, as they come.
func (l *list[V]) expect(n int) { l.room = uint8(min(n, chunkSize)) }

// copy returns a copy that is only read, while l goes on to change.
func (l *list[V]) copy() list[V] {
	l.share()
	return *l
}

// share makes l copy what it goes on to change.
func (l *list[V]) share() {
	l.copies++
	l.shared = true
}

// search returns in which chunk a number is or would be, and where in it.
func (l *list[V]) search(number uint64) (at, in int, ok bool) {
	at = len(l.chunks) - 1
	if at < 0 {
		return 0, 0, false
	}
	if number < l.chunks[at].items[0].number { // seldom: most things happen at the end
		at, ok = slices.BinarySearchFunc(l.chunks, number, func(c *chunk[V], number uint64) int {
			return cmp.Compare(c.items[0].number, number)
		})
		if !ok {
			at = max(at-1, 0)
		}
	}
	in, ok = slices.BinarySearchFunc(l.chunks[at].items, number, func(i item[V], number uint64) int {
		return cmp.Compare(i.number, number)
	})
	return at, in, ok
}

func (l *list[V]) get(number uint64) (value V, ok bool) {
	at, in, ok := l.search(number)
	if !ok {
		return value, false
	}
	return l.chunks[at].items[in].value, true
}

// set puts a value at a number, and returns the one that stood there, if any.
func (l *list[V]) set(number uint64, value V) (old V) {
	at, in, ok := l.search(number)
	if ok {
		at := &l.own(at).items[in]
		old, at.value = at.value, value
		return old
	}
	l.len++
	added := item[V]{number, value}
	switch {
	case len(l.chunks) == 0:
		l.insert(0, make([]item[V], 0, l.room))
	case len(l.chunks[at].items) < chunkSize:
	case in == chunkSize: // at the end of a full one
		at, in = at+1, 0
		l.insert(at, make([]item[V], 0, l.room))
	default:
		c := l.own(at)
		l.insert(at+1, slices.Clone(c.items[chunkSize/2:]))
		clear(c.items[chunkSize/2:])
		c.items = c.items[:chunkSize/2]
		if in > chunkSize/2 {
			at, in = at+1, in-chunkSize/2
		}
	}
	c := l.own(at)
	c.items = slices.Insert(c.items, in, added)
	return old
}

// remove removes the value at a number, and returns it, if there is one.
func (l *list[V]) remove(number uint64) (old V) {
	at, in, ok := l.search(number)
	if !ok {
		return old
	}
	old = l.chunks[at].items[in].value
	l.len--
	if len(l.chunks[at].items) == 1 {
		l.ownChunks()
		l.chunks = slices.Delete(l.chunks, at, at+1)
		return old
	}
	c := l.own(at)
	c.items = slices.Delete(c.items, in, in+1)
	l.merge(at)
	l.merge(at - 1)
	return old
}

// merge puts a chunk and the next one together, if both are nearly empty. One
// of them was changed before.
func (l *list[V]) merge(at int) {
	if at < 0 || at+1 == len(l.chunks) {
		return
	}
	a, b := l.chunks[at].items, l.chunks[at+1].items
	if len(a)+len(b) > chunkSize/4 {
		return
	}
	l.chunks[at] = &chunk[V]{slices.Concat(a, b), l.copies}
	l.chunks = slices.Delete(l.chunks, at+1, at+2)
}

// insert puts a new chunk in.
func (l *list[V]) insert(at int, items []item[V]) {
	l.ownChunks()
	l.chunks = slices.Insert(l.chunks, at, &chunk[V]{items, l.copies})
}

// own returns a chunk that may be changed.
func (l *list[V]) own(at int) *chunk[V] {
	c := l.chunks[at]
	if c.copies != l.copies {
		l.ownChunks()
		c = &chunk[V]{slices.Clone(c.items), l.copies}
		l.chunks[at] = c
	}
	return c
}

func (l *list[V]) ownChunks() {
	if l.shared {
		l.chunks, l.shared = slices.Clone(l.chunks), false
	}
}

func (l *list[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range l.from(0) {
			if !yield(v) {
				return
			}
		}
	}
}

// first returns the first n values.
func (l *list[V]) first(n int) iter.Seq[V] {
	return func(yield func(V) bool) {
		for v := range l.all() {
			if n--; n < 0 || !yield(v) {
				return
			}
		}
	}
}

// from returns the values at a number and after, with their numbers.
func (l *list[V]) from(number uint64) iter.Seq2[uint64, V] {
	return func(yield func(uint64, V) bool) {
		at, in, _ := l.search(number)
		for ; at < len(l.chunks); at, in = at+1, 0 {
			for _, i := range l.chunks[at].items[in:] {
				if !yield(i.number, i.value) {
					return
				}
			}
		}
	}
}
