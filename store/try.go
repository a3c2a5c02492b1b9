package store

// Do does the changes of an operation, with what the Retention lets go because
// of them. If they fail, or go beyond the Limits, nothing has changed. They are
// not settled yet, and nothing else may be.
func (s *State) Do(changes func() error) error {
	if s.Limits == (Limits{}) && s.Retention == (Retention{}) && s.group == nil {
		return changes()
	}
	held := s.held
	return s.Try(func() error {
		if err := changes(); err != nil {
			return err
		}
		for _, rt := range s.changed {
			s.retain(rt)
		}
		return s.checkLimits(held)
	})
}

// Try does changes of which a later one may fail. If it does, nothing has
// changed. They are not settled yet, and nothing else may be. Within another
// Try it leaves that to it.
func (s *State) Try(changes func() error) error {
	if s.trying {
		return changes()
	}
	held, mark := s.held, s.mark()
	s.trying = true
	err := changes()
	s.trying = false
	if err != nil {
		s.takeBack(mark)
		s.held = held
		s.forgetChanges()
	}
	s.before = nil
	if s.group == nil {
		s.undo = nil
	}
	return err
}

// undoing reports whether it is noted how to take changes back.
func (s *State) undoing() bool { return s.trying || s.group != nil }

// takeBack takes back what was changed since a mark.
func (s *State) takeBack(to mark) {
	for i := len(s.undo) - 1; i >= to.undo; i-- {
		s.undo[i]()
		s.undo[i] = nil
	}
	s.undo = s.undo[:to.undo]
	if s.group != nil {
		s.group.forget(to.noted)
	}
}

// A mark is a moment to which takeBack goes.
type mark struct{ undo, noted int }

func (s *State) mark() mark {
	m := mark{undo: len(s.undo)}
	if s.group != nil {
		m.noted = len(s.group.noted)
	}
	return m
}

func (s *State) forgetChanges() {
	for i, rt := range s.changed {
		rt.changed = false
		s.changed[i] = nil
	}
	s.changed = s.changed[:0]
}

// checkLimits returns a *LimitError if the changes are beyond a limit.
func (s *State) checkLimits(before Totals) error {
	for i, rt := range s.changed {
		if !rt.deleted {
			if err := s.Limits.checkInputs(rt.held.InputStates, s.before[i].InputStates); err != nil {
				return err
			}
		}
	}
	return s.Limits.checkTotal(s.held, before)
}
