package state

import (
	"slices"

	"github.com/loopstore/loopstore/store"
)

// OpenInputs are the inputs of a runtime in a state that does not end them.
type OpenInputs struct {
	State store.InputLifecycleState `json:"state"`
	Count int                       `json:"count"`
	// Longest is the input that was changed the longest time ago, at Since, its UpdatedAt.
	Longest store.InputID `json:"longest"`
	Since   store.Time    `json:"since"`
}

// OpenInputs returns those of each state that some are in, in the order of the states. It
// looks for them from the last input back to the first of them, whenever it is called.
func (v *View) OpenInputs() []OpenInputs { return openInputs(&v.inputs.values, &v.counts) }

// OpenInputs is that of a View, and asks nothing of the owner either. Only a summary that
// loopstore.Loop.Runtimes yields by activity has it, and keeps the inputs in memory for it;
// for any other ok is false.
func (s *RuntimeSummary) OpenInputs() (all []OpenInputs, ok bool) {
	if s.inputs == nil {
		return nil, false
	}
	return openInputs(s.inputs, &s.counts), true
}

func openInputs(inputs *list[input], counts *counts) (all []OpenInputs) {
	missing := inputs.len - counts.ended()
	var longest [waiting]*store.InputState
	for chunk := len(inputs.chunks) - 1; chunk >= 0 && missing > 0; chunk-- {
		for _, item := range slices.Backward(inputs.chunks[chunk].items) {
			in := item.value.InputState
			if in.CurrentState.IsTerminal() {
				continue
			}
			missing--
			l := &longest[slices.Index(lifecycleCodes, in.CurrentState)]
			if *l == nil || in.UpdatedAt.Time().Compare((*l).UpdatedAt.Time()) <= 0 { // the first of those that are alike
				*l = in
			}
		}
	}
	for code, in := range longest {
		if in != nil {
			all = append(all, OpenInputs{in.CurrentState, int(counts.states[code]), in.InputID, in.UpdatedAt})
		}
	}
	return all
}
