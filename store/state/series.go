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

// find returns the value of a key, and the place that it has or would get.
func (s *series[K, V]) find(key K) (value V, at uint64, ok bool) {
	at, ok = s.places[key]
	if !ok {
		return value, s.next, false
	}
	value, _ = s.values.get(at)
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
	s.values.set(at, value)
}

func (s *series[K, V]) remove(key K, at uint64) {
	delete(s.places, key)
	s.values.remove(at)
}

// InputStates are the input states of a runtime at one moment, in order. The
// zero value has none.
type InputStates struct{ values list[*store.InputState] }

// Len returns how many there are.
func (s InputStates) Len() int { return s.values.len }

// All returns the states. They must not be changed.
func (s InputStates) All() iter.Seq[*store.InputState] { return s.values.all() }
