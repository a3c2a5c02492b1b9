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
	undo     []func()    // takes back what Try has changed so far
	trying   bool
}

// runtime is what is kept of one runtime. It does not change any more once
// there is an Image that shows it: own makes another of it.
type runtime struct {
	id       RuntimeID
	place    uint64
	version  uint64       // 0 until the operation that made it is settled
	state    RuntimeState // empty if there is none
	snapshot *Snapshot    // nil if there is none
	inputs   series[InputID, *InputState]
	ended    counts         // of the inputs
	keys     map[string]int // how many inputs have an idempotency key
	runs     series[RunID, *run]
	dropped  series[RunID, dropped]
	latest   *Receipt           // stored last
	sessions map[SessionID]bool // whose latest snapshot is one of this runtime's
	held     Totals
	due      *due  // when the State's Retention may have something to do
	view     *View // nil if there is none of this version
	copies   int   // how often a copy was made that shares its runs
	images   int   // the State's, when this was made
	changed  bool  // it is in State.changed
	deleted  bool
}

// A filed snapshot is the latest of a session.
type filed struct {
	session  SessionID
	snapshot *Snapshot
	by       RuntimeID
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
	if s.trying {
		s.undo = append(s.undo, func() { rt.setInput(id, at, state, old) })
	}
	rt.setInput(id, at, old, state)
	var change Totals
	change.addInput(old, -1)
	change.addInput(state, 1)
	for _, held := range s.holders(rt) {
		held.InputStates += change.InputStates
		held.InputBytes += change.InputBytes
	}
	if rt.due != nil {
		rt.due.note(s.Retention, at, state)
	}
}

func (rt *runtime) setInput(id InputID, at uint64, old, state *InputState) {
	rt.countKey(old, -1)
	rt.countKey(state, 1)
	rt.ended.count(old, -1)
	rt.ended.count(state, 1)
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

// PutReceipt adds a receipt, or replaces the one at its run and sequence.
func (s *State) PutReceipt(id RuntimeID, receipt *Receipt) {
	rt := s.open(id)
	r := s.openRun(rt, receipt.RunID)
	old := r.get(receipt.Sequence)
	for _, held := range s.holders(rt) {
		held.addReceipt(old, -1)
		held.addReceipt(receipt, 1)
	}
	r.put(receipt)
	if rt.due != nil {
		rt.due.touch(rt, receipt)
	}
	s.setLatest(rt, receipt)
}

func (s *State) setLatest(rt *runtime, receipt *Receipt) {
	if s.trying {
		old := rt.latest
		s.undo = append(s.undo, func() { rt.latest = old })
	}
	rt.latest = receipt
}

// deleteReceipt removes a receipt of a runtime that may be changed. It must not
// be the latest, nor the last of its run.
func (s *State) deleteReceipt(rt *runtime, receipt *Receipt) {
	s.openRun(rt, receipt.RunID).receipts.remove(receipt.Sequence)
	for _, held := range s.holders(rt) {
		held.addReceipt(receipt, -1)
	}
}

// UseSequences makes the next receipt that is minted for a run come after a
// sequence.
func (s *State) UseSequences(id RuntimeID, run RunID, highest uint64) {
	rt := s.open(id)
	if _, _, ok := rt.runs.find(run); ok {
		r := s.openRun(rt, run)
		r.highest = max(r.highest, highest)
		return
	}
	old, at, _ := rt.dropped.find(run)
	s.setDropped(rt, at, dropped{run, max(old.highest, highest)}, true)
}

// openRun returns a run that may be changed, a new one if it is unknown.
func (s *State) openRun(rt *runtime, id RunID) *run {
	old, at, ok := rt.runs.find(id)
	if ok && old.copies == rt.copies {
		return old
	}
	r := &run{id: id, copies: rt.copies}
	if ok {
		r = old.copy(rt.copies)
	} else {
		for _, held := range s.holders(rt) {
			held.addRun(r, 1)
		}
		if left, at, ok := rt.dropped.find(id); ok {
			r.highest = left.highest
			s.setDropped(rt, at, left, false)
		}
	}
	s.setRun(rt, id, at, old, r)
	return r
}

// setRun puts a run in the place of another. Either may be nil.
func (s *State) setRun(rt *runtime, id RunID, at uint64, old, r *run) {
	if s.trying {
		s.undo = append(s.undo, func() { rt.setRun(id, at, old) })
	}
	rt.setRun(id, at, r)
}

func (rt *runtime) setRun(id RunID, at uint64, r *run) {
	if r == nil {
		rt.runs.remove(id, at)
	} else {
		rt.runs.put(id, at, r)
	}
}

// dropRun removes a run, but for its highest sequence.
func (s *State) dropRun(rt *runtime, r *run) {
	_, at, _ := rt.runs.find(r.id)
	for _, held := range s.holders(rt) {
		held.addRun(r, -1)
	}
	s.setRun(rt, r.id, at, r, nil)
	_, at, _ = rt.dropped.find(r.id)
	s.setDropped(rt, at, dropped{r.id, r.highest}, true)
}

// setDropped puts what is left of a run, or takes it away.
func (s *State) setDropped(rt *runtime, at uint64, left dropped, there bool) {
	if s.trying {
		old, _, ok := rt.dropped.find(left.id)
		old.id = left.id
		s.undo = append(s.undo, func() { rt.setDropped(at, old, ok) })
	}
	rt.setDropped(at, left, there)
}

func (rt *runtime) setDropped(at uint64, left dropped, there bool) {
	if there {
		rt.dropped.put(left.id, at, left)
	} else {
		rt.dropped.remove(left.id, at)
	}
}

// PutSnapshot replaces the session snapshot.
func (s *State) PutSnapshot(id RuntimeID, snapshot *Snapshot) {
	rt := s.open(id)
	old := rt.snapshot
	if s.trying {
		s.undo = append(s.undo, func() { rt.snapshot = old })
	}
	rt.snapshot = snapshot
	for _, held := range s.holders(rt) {
		held.addSnapshot(old, -1)
		held.addSnapshot(snapshot, 1)
	}
}

// PutSession files a snapshot under a session's id. It is the runtime's, and
// goes with it.
func (s *State) PutSession(id RuntimeID, session SessionID, snapshot *Snapshot) {
	s.open(id)
	s.file(filed{session, snapshot, id})
}

// file files a snapshot, or removes the one that is filed if there is no other.
// It counts as the State's alone: the runtime that loses one has not changed.
func (s *State) file(f filed) {
	old, at, _ := s.sessions.find(f.session)
	if s.trying {
		old.session = f.session
		s.undo = append(s.undo, func() { s.fileAt(at, old) })
	}
	s.fileAt(at, f)
	s.held.addSession(old.snapshot, -1)
	s.held.addSession(f.snapshot, 1)
}

func (s *State) fileAt(at uint64, f filed) {
	if old, _, ok := s.sessions.find(f.session); ok {
		delete(s.runtimes[old.by].sessions, f.session)
	}
	if f.snapshot == nil {
		s.sessions.remove(f.session, at)
		return
	}
	s.sessions.put(f.session, at, f)
	by := s.runtimes[f.by]
	if by.sessions == nil {
		by.sessions = make(map[SessionID]bool)
	}
	by.sessions[f.session] = true
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

// DeleteRuntime removes all of a runtime, and returns what that was.
func (s *State) DeleteRuntime(id RuntimeID) Removed {
	rt := s.runtimes[id]
	if rt == nil {
		return Removed{}
	}
	rt = s.change(rt)
	before := s.held
	for session := range rt.sessions {
		s.file(filed{session: session})
	}
	if s.trying {
		s.undo = append(s.undo, func() { s.setRuntime(rt); rt.deleted = false })
	}
	s.removeRuntime(rt)
	rt.deleted = true
	s.held = s.held.minus(rt.held)
	return Removed{Totals: before.minus(s.held)}
}

func (s *State) setRuntime(rt *runtime) {
	if s.runtimes == nil {
		s.runtimes = make(map[RuntimeID]*runtime)
	}
	s.runtimes[rt.id] = rt
	s.order.set(rt.place, rt)
}

func (s *State) removeRuntime(rt *runtime) {
	delete(s.runtimes, rt.id)
	s.order.remove(rt.place)
}

// open returns the runtime, a new one if it is unknown, and marks it as
// changed. Only writers call it.
func (s *State) open(id RuntimeID) *runtime {
	rt := s.runtimes[id]
	if rt != nil {
		return s.change(rt)
	}
	rt = &runtime{id: RuntimeID(strings.Clone(string(id))), place: s.next, images: s.images} // the id may be part of a large text
	s.next++
	if s.trying {
		s.undo = append(s.undo, func() { s.removeRuntime(rt) })
	}
	s.setRuntime(rt)
	s.change(rt)
	for _, held := range s.holders(rt) {
		held.addRuntime(id, 1)
	}
	return rt
}

// change marks a runtime as changed, and returns the one to change.
func (s *State) change(rt *runtime) *runtime {
	rt = s.own(rt)
	if rt.changed {
		return rt
	}
	rt.changed = true
	s.changed = append(s.changed, rt)
	if s.trying {
		rt.copies++ // what is there now must stay as it is
		held := rt.held
		s.before = append(s.before, held)
		s.undo = append(s.undo, func() { rt.held, rt.due = held, nil })
		if rt.due == nil && s.Retention != (Retention{}) {
			rt.due = new(due)
		}
	}
	return rt
}

// own returns a runtime that no Image shows: this one, or another with all that
// it holds, in its place.
func (s *State) own(rt *runtime) *runtime {
	if rt.images == s.images {
		return rt
	}
	c := *rt
	c.images = s.images
	c.share()
	s.setRuntime(&c)
	return &c
}

// share makes rt copy what it goes on to change, since others see it.
func (rt *runtime) share() {
	rt.copies++
	rt.inputs.values.share()
	rt.runs.values.share()
	rt.dropped.values.share()
}

// holders are those in which what a runtime holds is counted.
func (s *State) holders(rt *runtime) [2]*Totals { return [2]*Totals{&rt.held, &s.held} }

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
