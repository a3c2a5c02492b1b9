package state

import "github.com/loopstore/loopstore/store"

// Rebuilding a State from what a file or a journal holds. No operation does
// this, but for Adopt.

// PutRuntime makes a runtime with nothing in it, if there is none.
func (s *State) PutRuntime(id store.RuntimeID) { s.open(id) }

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
	if other.staged > 0 {
		other.texts.store(true) // in a piece
	}
	s.takeFrom(other)
	s.images += other.images + 1 // no Image shows any of it
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
	s.first = other.first
	other.runtimes, other.order, other.next, other.first = nil, list[*runtime]{}, 0, 0
	other.sessions, other.texts, other.held, other.revision = series[store.SessionID, *filed]{}, texts{}, store.Totals{}, 0
}
