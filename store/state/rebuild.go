package state

import "github.com/loopstore/loopstore/store"

// Rebuilding a State from what a file or a journal holds. No operation does
// this, but for Adopt.

// PutRuntime makes a runtime with nothing in it, if there is none.
func (s *State) PutRuntime(id store.RuntimeID) { s.open(id) }

// PutTimes says when a runtime was made, and when it was written to last.
func (s *State) PutTimes(id store.RuntimeID, made, active store.Time) {
	rt := s.open(id)
	rt.made, rt.active = nanoseconds(made), nanoseconds(active)
}

// PutFloor makes new runs of a runtime come after a sequence.
func (s *State) PutFloor(id store.RuntimeID, highest uint64) {
	rt := s.open(id)
	s.set(rt, part{kind: theFloor}, value{there: true, number: highest})
	s.raiseAll(rt, highest)
}

// KeepsTime reports whether a State keeps a time exactly: the Unix nanoseconds of all but
// that of an input, from 0 up. There is no leap second among them.
func KeepsTime(t store.Time) bool { return timeOf(nanoseconds(t)) == t }

// PutKey keeps a key of a runtime, all inputs of which are there, and reports whether it
// was not kept yet, and no input has it.
func (s *State) PutKey(id store.RuntimeID, k Key) bool {
	rt := s.open(id)
	if rt.knows(k.Key) {
		return false
	}
	s.putKey(rt, k.used())
	return true
}

// PutTombstone makes a runtime one that was deleted, and reports whether it is not there,
// nor was deleted before, and has no key twice.
func (s *State) PutTombstone(t Tombstone) bool {
	if s.runtimes[t.RuntimeID] != nil || s.CheckDeleted(t.RuntimeID) != nil {
		return false
	}
	stone := &tombstone{id: t.RuntimeID, revision: t.Revision, at: nanoseconds(t.Deleted)}
	if t.HighestSequence != nil {
		stone.highest = sequence{*t.HighestSequence, true}
	}
	for _, k := range t.Keys {
		stone.keys = append(stone.keys, k.used())
	}
	if !stone.distinct() {
		return false
	}
	s.putStone(stone)
	return true
}

// PutLatest makes a receipt the one that was stored last, and reports whether
// there is such a receipt.
func (s *State) PutLatest(id store.RuntimeID, run store.RunID, sequence uint64) bool {
	receipt := s.Receipt(id, run, sequence)
	if receipt != nil {
		s.set(s.open(id), part{kind: theLatest}, value{receipt: receipt})
	}
	return receipt != nil
}

// SetRevision makes the next changes have the revision after this one. Nothing
// may be unsettled.
func (s *State) SetRevision(revision uint64) { s.revision = revision }

// Adopt takes over all that another State holds, which must not be used any
// more. s must never have held anything: the error is store.ErrNotEmpty, or a
// *store.LimitError, and nothing has changed then.
func (s *State) Adopt(other *State) error {
	if err := s.mayAdopt(other, true); err != nil {
		return err
	}
	if s.group != nil {
		s.group.adopted, s.group.revision = other, other.revision
		s.group.left -= other.staged
	}
	s.takeFrom(other)
	s.images += other.images + 1 // no Image shows any of it
	s.feed.startOver(s.revision)
	s.over = s.feed.end(s.over)
	for at := range s.absences {
		s.over = s.endAbsence(at, s.over)
	}
	return nil
}

// mayAdopt returns why s may not adopt another State, if so.
func (s *State) mayAdopt(other *State, first bool) error {
	switch {
	case s.revision > 0 || len(s.changed) > 0:
		return store.ErrNotEmpty
	case first:
		return s.checkAdopted(other)
	}
	return nil
}

// takeFrom moves all that another State holds to this one.
func (s *State) takeFrom(other *State) {
	s.runtimes, s.order, s.next = other.runtimes, other.order, other.next
	s.sessions, s.texts, s.held, s.revision = other.sessions, other.texts, other.held, other.revision
	s.stones, s.leap, s.lines = other.stones, other.leap, other.lines
	other.stones, other.leap, other.lines = series[store.RuntimeID, *tombstone]{}, 0, allLines{}
	other.runtimes, other.order, other.next = nil, list[*runtime]{}, 0
	other.sessions, other.texts, other.held, other.revision = series[store.SessionID, *filed]{}, texts{}, store.Totals{}, 0
}
