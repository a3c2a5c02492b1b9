package store

import "math"

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
	// Limits bound what is held. Do looks after them.
	Limits Limits
	// Retention is what Do keeps of the runtimes that an operation changes.
	Retention Retention
	// Now is the time of the operation, for a Retention by age.
	Now Time

	runtimes map[RuntimeID]*runtime
	order    list[*runtime] // by place
	next     uint64         // place of a new one
	sessions series[SessionID, filed]
	held     Totals
	revision uint64
	images   int         // how often an Image was made
	changed  []*runtime  // since the last Settle
	before   []Totals    // what they held then, while trying
	absences [64]*moment // of views of what is not there, by a hash of the id
	over     []*moment   // that ended with what was adopted
	undo     []func()    // takes back what Try, or the group, has changed so far
	trying   bool
	group    *group // nil if there is none
}

// Revision returns how many operations have changed something. It is the
// version of the runtimes that the last of them changed.
func (s *State) Revision() uint64 { return s.revision }

// Totals returns how much is held.
func (s *State) Totals() Totals { return s.held }

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
		s.setInput(s.change(rt), input, at, old, nil)
	}
	return ok
}

// setInput puts a state in the place of another. Either may be nil.
func (s *State) setInput(rt *runtime, id InputID, at uint64, old, state *InputState) {
	if s.undoing() {
		s.undo = append(s.undo, func() { rt.setInput(id, at, state, old) })
	}
	s.note(part{rt: rt, kind: partInput, at: at})
	rt.setInput(id, at, old, state)
	var change Totals
	change.addInput(old, -1)
	change.addInput(state, 1)
	for _, held := range s.holders(rt) {
		held.InputStates += change.InputStates
		held.InputBytes += change.InputBytes
	}
	if rt.due != nil {
		rt.due.note(s.Retention, s.Now, state)
	}
}

func (rt *runtime) setInput(id InputID, at uint64, old, state *InputState) {
	rt.countKey(old, -1)
	rt.countKey(state, 1)
	rt.ended.count(old, -1)
	rt.ended.count(state, 1)
	if rt.due != nil {
		rt.due.set(at, state)
	}
	switch {
	case state == nil:
		rt.inputs.remove(id, at)
	case old == nil:
		rt.inputs.put(id, at, state)
	default:
		rt.inputs.values.set(at, state)
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

// PutSnapshot replaces the session snapshot.
func (s *State) PutSnapshot(id RuntimeID, snapshot *Snapshot) {
	rt := s.open(id)
	old := rt.snapshot
	if s.undoing() {
		s.undo = append(s.undo, func() { rt.snapshot = old })
	}
	s.noteSnapshot(part{rt: rt, kind: partSnapshot}, old)
	rt.snapshot = snapshot
	for _, held := range s.holders(rt) {
		held.addSnapshot(old, -1)
		held.addSnapshot(snapshot, 1)
	}
}

// PutRuntimeState replaces the runtime's state.
func (s *State) PutRuntimeState(id RuntimeID, state RuntimeState) {
	rt := s.open(id)
	if s.undoing() {
		old := rt.state
		s.undo = append(s.undo, func() { rt.state = old })
	}
	rt.state = state
}

// The readers. None of them leaves a trace of what it did not find.

// NextSequence returns the sequence of the next receipt that is minted for
// the run: one more than the highest, or 0. The error is a *SequenceError.
func (s *State) NextSequence(id RuntimeID, runID RunID) (uint64, error) {
	rt := s.runtimes[id]
	if rt == nil {
		return 0, nil
	}
	highest, ok := rt.highest(runID)
	switch {
	case !ok:
		return 0, nil
	case highest == math.MaxUint64:
		return 0, &SequenceError{runID}
	}
	return highest + 1, nil
}

// highest returns the highest sequence that a run has had, if it had one.
func (rt *runtime) highest(id RunID) (highest uint64, ok bool) {
	if r, _, ok := rt.runs.find(id); ok {
		return r.highest, true
	}
	left, _, ok := rt.dropped.find(id)
	return left.highest, ok
}

// CheckReceipt says, if receipts are strict, whether the same receipt stands in
// the place of this one, so that what comes with it was done before. If another
// one does the error is a *ReceiptError.
func (s *State) CheckReceipt(id RuntimeID, receipt *Receipt) (done bool, err error) {
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
	return InputStates{s.own(rt).inputs.values.copy()}
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
func (s *State) Receipt(id RuntimeID, runID RunID, sequence uint64) *Receipt {
	if rt := s.runtimes[id]; rt != nil {
		if r, _, ok := rt.runs.find(runID); ok {
			return r.get(sequence)
		}
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
func (s *State) Session(session SessionID) *Snapshot {
	found, _, _ := s.sessions.find(session)
	return found.snapshot
}

// RuntimeState returns the runtime's state, empty if there is none.
func (s *State) RuntimeState(id RuntimeID) RuntimeState {
	if rt := s.runtimes[id]; rt != nil {
		return rt.state
	}
	return ""
}
