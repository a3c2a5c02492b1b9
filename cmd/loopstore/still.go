package main

import (
	"context"
	"iter"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A still is a store that was read, and does not change.
type still struct {
	image *state.Image
	views map[store.RuntimeID]*state.View
}

func stillOf(held *state.State) still {
	s := still{held.Image(), make(map[store.RuntimeID]*state.View)}
	for view := range s.image.Views() {
		s.views[view.RuntimeID()] = view
	}
	return s
}

// View implements [state.Viewer].
func (s still) View(_ context.Context, id store.RuntimeID) (*state.View, error) {
	if view, ok := s.views[id]; ok {
		return view, nil
	}
	return new(state.State).View(id), nil
}

// Runtimes lists the runtimes, as a loop does.
func (s still) Runtimes(_ context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	return func(yield func(state.RuntimeSummary, error) bool) {
		for summary := range s.image.Runtimes(listing) {
			if !yield(summary, nil) {
				return
			}
		}
	}
}
