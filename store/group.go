package store

// A group is any number of operations whose changes are kept or taken back
// together: a journal learns of them, from Changes, before anybody else does.
type group struct {
	held    Totals // before it
	noted   []noted
	changes map[RuntimeID]int // how often a runtime that it changes is noted
	adopted bool              // all that is held came in it
	ending  ending
}

// A part is what is one record in a journal, but for a snapshot, which is
// several.
type part struct {
	rt   *runtime // nil if it is none's
	kind partKind
	at   uint64 // the place of an input, a run, or a filed snapshot
	nth  uint64 // the sequence of a receipt of that run
}

type partKind uint8

const (
	partAll     partKind = iota // of a runtime that was deleted
	partRuntime                 // what there is once
	partRun
	partDropped
	partReceipt
	partInput
	partSnapshot
	partFiled
)

// What is noted has changed.
type noted struct {
	part
	old *Snapshot // that stood there, if it is one
}

// Begin begins a group, which Commit or Rollback ends. Between its operations
// each is settled, and of the runtimes that it changes nothing may be asked.
// There must be no Image while it lasts.
func (s *State) Begin() {
	s.group = &group{held: s.held, changes: make(map[RuntimeID]int)}
}

// Grouping reports whether there is a group, so that what is held may be taken
// back.
func (s *State) Grouping() bool { return s.group != nil }

// Changing reports whether the group changes a runtime. There may be none.
func (s *State) Changing(id RuntimeID) bool {
	return s.group != nil && (s.group.adopted || s.group.changes[id] > 0)
}

// Commit keeps what the group has changed, and ends the Views of that.
func (s *State) Commit() Waiters {
	ended := s.leaveGroup()
	s.undo = nil
	return s.end(ended.ending)
}

// Rollback takes back what the group has changed. Views of it stay what they
// are; those of what is not there may end.
func (s *State) Rollback() Waiters {
	s.takeBack(mark{})
	ended := s.leaveGroup()
	s.held = ended.held
	return finish(ended.ending.absent)
}

// forget forgets what was noted after the first n.
func (g *group) forget(n int) {
	for _, gone := range g.noted[n:] {
		if gone.rt != nil {
			g.changes[gone.rt.id]--
		}
	}
	g.noted = g.noted[:n]
}

func (s *State) leaveGroup() *group {
	g := s.group
	s.group = nil
	return g
}

// note notes, in a group, that a part changes.
func (s *State) note(p part) { s.noteSnapshot(p, nil) }

func (s *State) noteSnapshot(p part, old *Snapshot) {
	if s.group == nil {
		return
	}
	s.group.noted = append(s.group.noted, noted{p, old})
	if p.rt != nil {
		s.group.changes[p.rt.id]++
	}
}

func (s *State) noteRun(rt *runtime, r *run, kind partKind, sequence uint64) {
	if s.group != nil {
		_, at, _ := rt.runs.find(r.id)
		s.note(part{rt, kind, at, sequence})
	}
}

func (s *State) noteReceipts(rt *runtime, r *run) {
	if s.group != nil {
		for receipt := range r.receipts.all() {
			s.noteRun(rt, r, partReceipt, receipt.Sequence)
		}
	}
}

// noteRevision notes what Settle is about to change.
func (s *State) noteRevision() {
	if s.group == nil {
		return
	}
	s.undo = append(s.undo, func() { s.revision-- })
	for _, rt := range s.changed {
		version, view := rt.version, rt.view
		s.undo = append(s.undo, func() { rt.version, rt.view = version, view })
	}
}

// noteAdopted notes that all of another State is about to be taken over.
func (s *State) noteAdopted(other *State) {
	if s.group != nil {
		s.group.adopted = true
		s.undo = append(s.undo, func() { other.takeFrom(s) })
	}
}
