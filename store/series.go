package store

import (
	"iter"

	"github.com/tidwall/btree"
)

// A series holds values in the order in which their keys came. Its copy shares
// what has not changed since, so that a view of it costs next to nothing.
type series[K comparable, V any] struct {
	values btree.Map[uint64, V] // by place
	places map[K]uint64
	next   uint64
}

// find returns the value of a key, and the place that it has or would get.
func (s *series[K, V]) find(key K) (value V, at uint64, ok bool) {
	at, ok = s.places[key]
	if !ok {
		return value, s.next, false
	}
	value, _ = s.values.Get(at)
	return value, at, true
}

func (s *series[K, V]) put(key K, at uint64, value V) {
	if at >= s.next {
		s.next = at + 1
	}
	if s.places == nil {
		s.places = make(map[K]uint64)
	}
	s.places[key] = at
	s.values.Set(at, value)
}

func (s *series[K, V]) remove(key K, at uint64) {
	delete(s.places, key)
	s.values.Delete(at)
}

// InputStates are the input states of a runtime at one moment, in order. The
// zero value has none.
type InputStates struct {
	values *btree.Map[uint64, *InputState]
}

// Len returns how many there are.
func (s InputStates) Len() int {
	if s.values == nil {
		return 0
	}
	return s.values.Len()
}

// All returns the states. They must not be changed.
func (s InputStates) All() iter.Seq[*InputState] {
	return func(yield func(*InputState) bool) {
		if s.values != nil {
			s.values.Scan(func(_ uint64, state *InputState) bool { return yield(state) })
		}
	}
}
