package store

import (
	"math"
	"strings"
)

// A State holds the data of all runtimes. It is for one goroutine. The zero
// value is empty and ready to use.
//
// It takes and gives pointers, not copies: what is put in must not be changed
// afterwards, nor what comes out. A replacement replaces the pointer, so what
// came out before stays as it was.
//
// An operation is any number of changes, and then Settle, which makes them one
// revision.
type State struct {
	// StrictReceipts makes CheckReceipt refuse what would replace a receipt.
	StrictReceipts bool

	runtimes map[RuntimeID]*runtime
	sessions map[SessionID]filed
	revision uint64
	changed  []*runtime  // since the last Settle
	absences [64]*moment // of views of what is not there, by a hash of the id
	undo     []func()    // takes back what Try has changed so far
	trying   bool
}

// runtime is what is kept of one runtime.
type runtime struct {
	id       RuntimeID
	version  uint64       // 0 until the operation that made it is settled
	state    RuntimeState // empty if there is none
	snapshot *Snapshot    // nil if there is none
	inputs   series[InputID, *InputState]
	keys     map[string]int // how many inputs have an idempotency key
	runs     series[RunID, *run]
	latest   *RunBoundaryReceipt // stored last
	sessions map[SessionID]bool  // whose latest snapshot is one of this runtime's
	view     *View               // nil if there is none of this version
	copies   int                 // how often a copy was made that shares its runs
	changed  bool                // it is in State.changed
	deleted  bool
}

// A filed snapshot is the latest of a session.
type filed struct {
	snapshot *Snapshot
	by       *runtime
}

// Revision returns how many operations have changed something. It is the
// version of the runtimes that the last of them changed.
func (s *State) Revision() uint64 { return s.revision }

// The primitives: every change is made of these.

// PutInputState adds an input's state at the end, or replaces it in place.
func (s *State) PutInputState(id RuntimeID, state *InputState) {
	rt := s.open(id)
	old, at, _ := rt.inputs.find(state.InputID)
	s.setInput(rt, state.InputID, at, old, state)
}

// DeleteInputState removes an input's state, and reports whether there was
// one.
func (s *State) DeleteInputState(id RuntimeID, input InputID) bool {
	rt := s.runtimes[id]
	if rt == nil {
		return false
	}
	old, at, ok := rt.inputs.find(input)
	if ok {
		s.change(rt)
		s.setInput(rt, input, at, old, nil)
	}
	return ok
}

// setInput puts a state in the place of another. Either may be nil.
func (s *State) setInput(rt *runtime, id InputID, at uint64, old, state *InputState) {
	if s.trying {
		s.undo = append(s.undo, func() { rt.setInput(id, at, state, old) })
	}
	rt.setInput(id, at, old, state)
}

func (rt *runtime) setInput(id InputID, at uint64, old, state *InputState) {
	rt.countKey(old, -1)
	rt.countKey(state, 1)
	if state == nil {
		rt.inputs.remove(id, at)
	} else {
		rt.inputs.put(id, at, state)
	}
}

func (rt *runtime) countKey(state *InputState, n int) {
	if state == nil || state.IdempotencyKey == nil {
		return
	}
	if rt.keys == nil {
		rt.keys = make(map[string]int)
	}
	key := *state.IdempotencyKey
	if n += rt.keys[key]; n > 0 {
		rt.keys[key] = n
	} else {
		delete(rt.keys, key)
	}
}

// PutReceipt adds a receipt, or replaces the one at its run and sequence.
func (s *State) PutReceipt(id RuntimeID, receipt *RunBoundaryReceipt) {
	rt := s.open(id)
	old, at, ok := rt.runs.find(receipt.RunID)
	if s.trying {
		latest := rt.latest
		s.undo = append(s.undo, func() {
			if rt.latest = latest; ok {
				rt.runs.put(receipt.RunID, at, old)
			} else {
				rt.runs.remove(receipt.RunID, at)
			}
		})
	}
	r := old
	if !ok || old.copies != rt.copies {
		r = old.copy(receipt.RunID, rt.copies)
		rt.runs.put(receipt.RunID, at, r)
	}
	r.put(receipt)
	rt.latest = receipt
}

// PutSnapshot replaces the session snapshot.
func (s *State) PutSnapshot(id RuntimeID, snapshot *Snapshot) {
	rt := s.open(id)
	if s.trying {
		old := rt.snapshot
		s.undo = append(s.undo, func() { rt.snapshot = old })
	}
	rt.snapshot = snapshot
}

// PutSession files a snapshot under a session's id. It is the runtime's, and
// goes with it.
func (s *State) PutSession(id RuntimeID, session SessionID, snapshot *Snapshot) {
	s.file(session, filed{snapshot, s.open(id)})
}

// file files a snapshot, or removes the one that is filed if there is no other.
func (s *State) file(session SessionID, f filed) {
	old := s.sessions[session]
	if s.trying {
		s.undo = append(s.undo, func() { s.file(session, old) })
	}
	if old.by != nil {
		delete(old.by.sessions, session)
	}
	if f.by == nil {
		delete(s.sessions, session)
		return
	}
	if s.sessions == nil {
		s.sessions = make(map[SessionID]filed)
	}
	if f.by.sessions == nil {
		f.by.sessions = make(map[SessionID]bool)
	}
	s.sessions[session], f.by.sessions[session] = f, true
}

// PutRuntimeState replaces the runtime's state.
func (s *State) PutRuntimeState(id RuntimeID, state RuntimeState) {
	rt := s.open(id)
	if s.trying {
		old := rt.state
		s.undo = append(s.undo, func() { rt.state = old })
	}
	rt.state = state
}

// DeleteRuntime removes all of a runtime, and reports whether there was one.
func (s *State) DeleteRuntime(id RuntimeID) bool {
	rt := s.runtimes[id]
	if rt == nil {
		return false
	}
	s.change(rt)
	for session := range rt.sessions {
		s.file(session, filed{})
	}
	if s.trying {
		s.undo = append(s.undo, func() { s.runtimes[rt.id], rt.deleted = rt, false })
	}
	delete(s.runtimes, id)
	rt.deleted = true
	return true
}

// open returns the runtime, a new one if it is unknown, and marks it as
// changed. Only writers call it.
func (s *State) open(id RuntimeID) *runtime {
	rt := s.runtimes[id]
	if rt == nil {
		if s.runtimes == nil {
			s.runtimes = make(map[RuntimeID]*runtime)
		}
		rt = &runtime{id: RuntimeID(strings.Clone(string(id)))} // the id may be part of a large text
		if s.trying {
			s.undo = append(s.undo, func() { delete(s.runtimes, rt.id) })
		}
		s.runtimes[rt.id] = rt
	}
	s.change(rt)
	return rt
}

func (s *State) change(rt *runtime) {
	if rt.changed {
		return
	}
	rt.changed = true
	s.changed = append(s.changed, rt)
	if s.trying {
		rt.copies++ // what is there now must stay as it is
	}
}

// Try does changes of which a later one may fail. If it does, nothing has
// changed. They are not settled yet, and nothing else may be.
func (s *State) Try(changes func() error) error {
	s.trying = true
	err := changes()
	s.trying = false
	if err != nil {
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.undo[i]()
		}
		s.forgetChanges()
	}
	s.undo = nil
	return err
}

func (s *State) forgetChanges() {
	for i, rt := range s.changed {
		rt.changed = false
		s.changed[i] = nil
	}
	s.changed = s.changed[:0]
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

// CheckReceipt says, if receipts are strict, whether the same receipt stands in
// the place of this one, so that what comes with it was done before. If another
// one does the error is a *ReceiptError.
func (s *State) CheckReceipt(id RuntimeID, receipt *RunBoundaryReceipt) (done bool, err error) {
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
	return false, &ReceiptError{receipt.RunID, receipt.Sequence}
}

// Pending returns the revision that the next Settle will come to.
func (s *State) Pending() uint64 {
	if len(s.changed) > 0 {
		return s.revision + 1
	}
	return s.revision
}

// Version returns the revision of the last change of a runtime, 0 if there is
// no such runtime.
func (s *State) Version(id RuntimeID) uint64 {
	if rt := s.runtimes[id]; rt != nil {
		return rt.version
	}
	return 0
}

// InputStates returns all input states in order, as they are now.
func (s *State) InputStates(id RuntimeID) InputStates {
	rt := s.runtimes[id]
	switch {
	case rt == nil:
		return InputStates{}
	case rt.view != nil && !rt.changed:
		return rt.view.inputs
	}
	return InputStates{rt.inputs.values.copy()}
}

// InputState returns the state of one input, nil if there is none.
func (s *State) InputState(id RuntimeID, input InputID) *InputState {
	if rt := s.runtimes[id]; rt != nil {
		state, _, _ := rt.inputs.find(input)
		return state
	}
	return nil
}

// HasKey reports whether an input of the runtime has the idempotency key.
func (s *State) HasKey(id RuntimeID, key string) bool {
	rt := s.runtimes[id]
	return rt != nil && rt.keys[key] > 0
}

// Receipt returns the receipt of one boundary, nil if there is none.
func (s *State) Receipt(id RuntimeID, runID RunID, sequence uint64) *RunBoundaryReceipt {
	if r := s.run(id, runID); r != nil {
		return r.get(sequence)
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

// Session returns the latest snapshot that is filed under a session's id, nil
// if there is none.
func (s *State) Session(session SessionID) *Snapshot { return s.sessions[session].snapshot }

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
		r, _, _ := rt.runs.find(runID)
		return r
	}
	return nil
}
