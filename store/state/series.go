package state

import (
	"iter"

	"github.com/loopstore/loopstore/store"
)

// A series holds values in the order in which their keys came.
type series[K comparable, V any] struct {
	values list[V] // by place
	places map[K]uint64
	next   uint64
}

// expect makes room for so many values. There must be none yet.
func (s *series[K, V]) expect(n int) {
	if n > 0 {
		s.values.expect(n)
		s.places = make(map[K]uint64, n)
	}
}

// place returns the place that a key has or would get.
func (s *series[K, V]) place(key K) (at uint64, ok bool) {
	if at, ok = s.places[key]; !ok {
		at = s.next
	}
	return at, ok
}

// find returns the value of a key, and the place that it has or would get.
func (s *series[K, V]) find(key K) (value V, at uint64, ok bool) {
	if at, ok = s.place(key); ok {
		value, _ = s.values.get(at)
	}
	return value, at, ok
}

// put puts a value in a place, and returns the one that stood there, if any.
func (s *series[K, V]) put(key K, at uint64, value V) (old V) {
	if at >= s.next {
		s.next = at + 1
	}
	if s.places == nil {
		s.places = make(map[K]uint64)
	}
	s.places[key] = at
	return s.values.set(at, value)
}

// swap puts a value in a place, nil to remove the one that stands, and returns that.
func swap[K comparable, V any](s *series[K, *V], at uint64, value *V, key func(*V) K) (old *V) {
	if value != nil {
		return s.put(key(value), at, value)
	}
	if old = s.values.remove(at); old != nil {
		delete(s.places, key(old))
	}
	return old
}

// giveBack makes a place the next one again, if it was the last and nothing is there.
func (s *series[K, V]) giveBack(at uint64) {
	if _, ok := s.values.get(at); !ok && at+1 == s.next {
		s.next = at
	}
}

// giveBack gives a part's place back, if nothing is there.
func (s *State) giveBack(rt *runtime, p part) {
	switch p.kind {
	case anInput:
		rt.inputs.giveBack(p.at)
	case aRun:
		rt.runs.giveBack(p.at)
	case aDropped:
		rt.dropped.giveBack(p.at)
	case aKey:
		rt.more().used.giveBack(p.at)
	case aFiled:
		s.sessions.giveBack(p.at)
	case aTombstone:
		s.stones.giveBack(p.at)
	case aDeletion:
		s.feed.deleted.giveBack(p.at)
	}
}

// InputStates are the input states of a runtime at one moment, in order. The
// zero value has none.
type InputStates struct{ values list[input] }

// Len returns how many there are.
func (s InputStates) Len() int { return s.values.len }

// All returns the states. They must not be changed.
func (s InputStates) All() iter.Seq[*store.InputState] {
	return func(yield func(*store.InputState) bool) {
		for in := range s.values.all() {
			if !yield(in.InputState) {
				return
			}
		}
	}
}
