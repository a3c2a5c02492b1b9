package state

import (
	"math"

	"github.com/loopstore/loopstore/store"
)

// The lookups. None of them leaves a trace of what it did not find.

// NextSequence returns the sequence of the next receipt that is minted for
// the run: one more than the highest, or 0. The error is a *SequenceError.
func (s *State) NextSequence(id store.RuntimeID, runID store.RunID) (uint64, error) {
	rt := s.runtimes[id]
	if rt == nil {
		return 0, nil
	}
	highest, ok := rt.highest(runID)
	switch {
	case !ok:
		return 0, nil
	case highest == math.MaxUint64:
		return 0, &store.SequenceError{RunID: runID}
	}
	return highest + 1, nil
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

// Version returns the revision of the last change of a runtime, 0 if there is
// no such runtime.
func (s *State) Version(id store.RuntimeID) uint64 {
	if rt := s.runtimes[id]; rt != nil {
		return rt.version
	}
	return 0
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

// InputState returns the state of one input, nil if there is none.
func (s *State) InputState(id store.RuntimeID, input store.InputID) *store.InputState {
	if rt := s.runtimes[id]; rt != nil {
		state, _, _ := rt.inputs.find(input)
		return state
	}
	return nil
}

// HasKey reports whether an input of the runtime has the idempotency key.
func (s *State) HasKey(id store.RuntimeID, key string) bool {
	rt := s.runtimes[id]
	return rt != nil && rt.keys[key] > 0
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
