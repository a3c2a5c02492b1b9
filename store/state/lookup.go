package state

import (
	"math"

	"github.com/loopstore/loopstore/store"
)

// The lookups. None of them leaves a trace of what it did not find.

// NextSequence returns the sequence of the next receipt that is minted for the run: one
// more than the highest, or 0. The runs of a runtime that was brought back come after the
// highest of any run before, whatever receipts the caller has stored since. The error is a
// *SequenceError.
func (s *State) NextSequence(id store.RuntimeID, runID store.RunID) (uint64, error) {
	rt := s.runtimes[id]
	if rt == nil {
		return 0, nil
	}
	highest, ok := rt.highestOf(runID)
	if floor := rt.few().floor; floor.there {
		highest, ok = max(highest, floor.number), true
	}
	switch {
	case !ok:
		return 0, nil
	case highest == math.MaxUint64:
		return 0, &store.SequenceError{RunID: runID}
	}
	return highest + 1, nil
}

// HasRun reports whether a run of a runtime has had receipts.
func (s *State) HasRun(id store.RuntimeID, run store.RunID) bool {
	rt := s.runtimes[id]
	if rt == nil {
		return false
	}
	_, ok := rt.highestOf(run)
	return ok
}

// CheckReceipt says, if receipts are strict, whether the same receipt stands in
// the place of this one, so that what comes with it was done before. If another
// one does the error is a *ReceiptError.
func (s *State) CheckReceipt(id store.RuntimeID, receipt *Receipt) (done bool, err error) {
	if !s.StrictReceipts {
		return false, nil
	}
	standing := s.Receipt(id, receipt.RunID, receipt.Sequence)
	switch {
	case standing == nil:
		return false, nil
	case standing.equal(receipt):
		return true, nil
	}
	return false, &store.ReceiptError{RunID: receipt.RunID, Sequence: receipt.Sequence}
}

// Version returns the revision of the last change of a runtime that is settled, 0 if there
// is no such runtime then.
func (s *State) Version(id store.RuntimeID) uint64 {
	for _, t := range s.changed {
		if t.rt.id == id { // it may be deleted
			return t.rt.version
		}
	}
	if rt := s.runtimes[id]; rt != nil {
		return rt.version
	}
	return 0
}

// PendingVersion returns the version that a runtime has with the next Settle.
func (s *State) PendingVersion(id store.RuntimeID) uint64 {
	switch rt := s.runtimes[id]; {
	case rt == nil:
		return 0
	case rt.changed:
		return s.Pending()
	default:
		return rt.version
	}
}

// InputStates returns all input states in order, as they are now.
func (s *State) InputStates(id store.RuntimeID) InputStates {
	rt := s.runtimes[id]
	switch {
	case rt == nil:
		return InputStates{}
	case rt.view != nil && !rt.changed:
		return rt.view.inputs
	}
	return InputStates{s.own(rt).inputs.values.copy()}
}

// Input returns the state of one input, nil if there is none, and its version: the
// revision of its last change, or 0.
func (s *State) Input(id store.RuntimeID, inputID store.InputID) (*store.InputState, uint64) {
	rt := s.runtimes[id]
	if rt == nil {
		return nil, 0
	}
	in, _, _ := rt.inputs.find(inputID)
	return in.InputState, in.version
}

// InputState returns the state of one input, nil if there is none.
func (s *State) InputState(id store.RuntimeID, inputID store.InputID) *store.InputState {
	state, _ := s.Input(id, inputID)
	return state
}

// InputVersion returns the version of one input, 0 if there is none.
func (s *State) InputVersion(id store.RuntimeID, inputID store.InputID) uint64 {
	_, version := s.Input(id, inputID)
	return version
}

// Receipt returns the receipt of one boundary, nil if there is none.
func (s *State) Receipt(id store.RuntimeID, runID store.RunID, sequence uint64) *Receipt {
	if rt := s.runtimes[id]; rt != nil {
		if r, _, ok := rt.runs.find(runID); ok {
			return r.get(sequence)
		}
	}
	return nil
}

// Snapshot returns the session snapshot, nil if there is none.
func (s *State) Snapshot(id store.RuntimeID) *store.Snapshot {
	if rt := s.runtimes[id]; rt != nil {
		return rt.session.shown()
	}
	return nil
}

// Session returns the latest snapshot that is filed under a session's id, nil
// if there is none.
func (s *State) Session(session store.SessionID) *store.Snapshot {
	if found, _, ok := s.sessions.find(session); ok {
		return found.snapshot
	}
	return nil
}

// RuntimeState returns the runtime's state, empty if there is none.
func (s *State) RuntimeState(id store.RuntimeID) store.RuntimeState {
	if rt := s.runtimes[id]; rt != nil {
		return rt.state
	}
	return ""
}
