package store

// A filed snapshot is the latest of a session.
type filed struct {
	session  SessionID
	snapshot *Snapshot
	by       RuntimeID
}

// PutSession files a snapshot under a session's id. It is the runtime's, and
// goes with it.
func (s *State) PutSession(id RuntimeID, session SessionID, snapshot *Snapshot) {
	s.file(filed{session, snapshot, s.open(id).id})
}

// file files a snapshot, or removes the one that is filed if there is no other.
// It counts as the State's alone: the runtime that loses one has not changed.
func (s *State) file(f filed) {
	old, at, _ := s.sessions.find(f.session)
	if s.undoing() {
		old := filed{f.session, old.snapshot, old.by}
		s.undo = append(s.undo, func() { s.fileAt(at, old) })
	}
	s.noteSnapshot(part{kind: partFiled, at: at}, old.snapshot)
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
