package store

// What no operation does, but whoever builds up a State that was held before.

// PutRuntime makes a runtime with nothing in it, if there is none.
func (s *State) PutRuntime(id RuntimeID) { s.open(id) }

// PutLatest makes a receipt the one that was stored last, and reports whether
// there is such a receipt.
func (s *State) PutLatest(id RuntimeID, run RunID, sequence uint64) bool {
	receipt := s.Receipt(id, run, sequence)
	if receipt != nil {
		s.setLatest(s.open(id), receipt)
	}
	return receipt != nil
}

// SetRevision makes the next changes have the revision after this one. Nothing
// may be unsettled.
func (s *State) SetRevision(revision uint64) { s.revision = revision }

// Adopt takes over all that another State holds, which must not be used any
// more. s must never have held anything: the error is ErrNotEmpty, or a
// *LimitError, and nothing has changed then.
func (s *State) Adopt(other *State) error {
	if s.revision > 0 || len(s.changed) > 0 {
		return ErrNotEmpty
	}
	if err := s.Limits.check(other); err != nil {
		return err
	}
	s.noteAdopted(other)
	s.takeFrom(other)
	s.images += other.images + 1 // of none of what is adopted
	for at := range s.absences {
		s.over = s.endAbsence(at, s.over)
	}
	return nil
}

// takeFrom moves all that another State holds to this one.
func (s *State) takeFrom(other *State) {
	s.runtimes, s.order, s.next = other.runtimes, other.order, other.next
	s.sessions, s.held, s.revision = other.sessions, other.held, other.revision
	other.runtimes, other.order, other.next = nil, list[*runtime]{}, 0
	other.sessions, other.held, other.revision = series[SessionID, filed]{}, Totals{}, 0
}

// check returns a *LimitError if a State holds more than it may.
func (l Limits) check(s *State) error {
	if l.InputsPerRuntime > 0 || l.SnapshotBytes > 0 { // so long may it take
		for rt := range s.order.all() {
			if err := l.checkInputs(rt.held.InputStates, 0); err != nil {
				return err
			}
			if err := l.checkSnapshot(rt.snapshot); err != nil {
				return err
			}
		}
		for f := range s.sessions.values.all() {
			if err := l.checkSnapshot(f.snapshot); err != nil {
				return err
			}
		}
	}
	return l.checkTotal(s.held, Totals{})
}

func (l Limits) checkSnapshot(s *Snapshot) error {
	if s == nil {
		return nil
	}
	return l.CheckCall(s.Len(), 0)
}
