package store

import (
	"math"
	"slices"
	"strings"
)

// A State holds the data of all runtimes. It is for one goroutine. The zero
// value is empty and ready to use.
//
// It takes and gives pointers, not copies: what is put in must not be changed
// afterwards, nor what comes out. A replacement replaces the pointer, so what
// came out before stays as it was.
type State struct {
	runtimes map[RuntimeID]*runtime
}

// runtime is what is kept of one runtime.
type runtime struct {
	state    RuntimeState // empty if there is none
	snapshot *Snapshot    // nil if there is none
	inputs   []*InputState
	places   map[InputID]int // where each input stands in inputs
	runs     map[RunID]*run
}

// run holds the receipts of one run.
type run struct {
	receipts map[uint64]*RunBoundaryReceipt
	highest  uint64
}

// The primitives: every change is made of these.

// PutInputState adds an input's state at the end, or replaces it in place.
func (s *State) PutInputState(id RuntimeID, state *InputState) {
	rt := s.open(id)
	if at, ok := rt.places[state.InputID]; ok {
		rt.inputs[at] = state
		return
	}
	if rt.places == nil {
		rt.places = make(map[InputID]int)
	}
	rt.places[state.InputID] = len(rt.inputs)
	rt.inputs = append(rt.inputs, state)
}

// PutReceipt adds a receipt, or replaces the one at its run and sequence.
func (s *State) PutReceipt(id RuntimeID, receipt *RunBoundaryReceipt) {
	rt := s.open(id)
	r := rt.runs[receipt.RunID]
	if r == nil {
		if rt.runs == nil {
			rt.runs = make(map[RunID]*run)
		}
		r = &run{receipts: make(map[uint64]*RunBoundaryReceipt)}
		rt.runs[receipt.RunID] = r
	}
	r.receipts[receipt.Sequence] = receipt
	r.highest = max(r.highest, receipt.Sequence)
}

// PutSnapshot replaces the session snapshot.
func (s *State) PutSnapshot(id RuntimeID, snapshot *Snapshot) { s.open(id).snapshot = snapshot }

// PutRuntimeState replaces the runtime's state.
func (s *State) PutRuntimeState(id RuntimeID, state RuntimeState) { s.open(id).state = state }

// open returns the runtime, a new one if it is unknown. Only writers call it.
func (s *State) open(id RuntimeID) *runtime {
	rt := s.runtimes[id]
	if rt == nil {
		if s.runtimes == nil {
			s.runtimes = make(map[RuntimeID]*runtime)
		}
		rt = new(runtime)
		s.runtimes[RuntimeID(strings.Clone(string(id)))] = rt // the id may be part of a large text
	}
	return rt
}

// The readers. None of them leaves a trace of what it did not find.

// NextSequence returns the sequence of the next receipt that is minted for
// the run: one more than the highest, or 0. The error is a *SequenceError.
func (s *State) NextSequence(id RuntimeID, runID RunID) (uint64, error) {
	r := s.run(id, runID)
	switch {
	case r == nil:
		return 0, nil
	case r.highest == math.MaxUint64:
		return 0, &SequenceError{runID}
	}
	return r.highest + 1, nil
}

// InputStates returns all input states in order, in a slice of the caller's.
func (s *State) InputStates(id RuntimeID) []*InputState {
	if rt := s.runtimes[id]; rt != nil {
		return slices.Clone(rt.inputs)
	}
	return nil
}

// InputState returns the state of one input, nil if there is none.
func (s *State) InputState(id RuntimeID, input InputID) *InputState {
	if rt := s.runtimes[id]; rt != nil {
		if at, ok := rt.places[input]; ok {
			return rt.inputs[at]
		}
	}
	return nil
}

// Receipt returns the receipt of one boundary, nil if there is none.
func (s *State) Receipt(id RuntimeID, runID RunID, sequence uint64) *RunBoundaryReceipt {
	if r := s.run(id, runID); r != nil {
		return r.receipts[sequence]
	}
	return nil
}

// Snapshot returns the session snapshot, nil if there is none.
func (s *State) Snapshot(id RuntimeID) *Snapshot {
	if rt := s.runtimes[id]; rt != nil {
		return rt.snapshot
	}
	return nil
}

// RuntimeState returns the runtime's state, empty if there is none.
func (s *State) RuntimeState(id RuntimeID) RuntimeState {
	if rt := s.runtimes[id]; rt != nil {
		return rt.state
	}
	return ""
}

// run returns the receipts of one run, nil if there are none.
func (s *State) run(id RuntimeID, runID RunID) *run {
	if rt := s.runtimes[id]; rt != nil {
		return rt.runs[runID]
	}
	return nil
}
