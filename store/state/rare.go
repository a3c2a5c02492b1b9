package state

import "github.com/loopstore/loopstore/store"

// A rare is what few runtimes have.
type rare struct {
	origin  *Origin                    // nil if it is no fork
	labels  map[string]string          // never changed in place
	floor   sequence                   // that new runs come after
	used    series[string, *usedKey]   // keys that are kept, in the order in which they lost their inputs
	several map[string]*list[struct{}] // the places of the inputs that have a key, of one that several have
}

var none rare

// few returns the rare things of a runtime, to be read.
func (rt *runtime) few() *rare {
	if rt.rare == nil {
		return &none
	}
	return rt.rare
}

// more returns the rare things of a runtime, to be changed.
func (rt *runtime) more() *rare {
	if rt.rare == nil {
		rt.rare = new(rare)
	}
	return rt.rare
}

// PutLabels replaces all labels of a runtime. They must not be changed any more.
func (s *State) PutLabels(id store.RuntimeID, labels map[string]string) {
	if len(labels) == 0 {
		labels = nil // as a journal has it
	}
	s.set(s.open(id), part{kind: theLabels}, value{labels: labels})
}
