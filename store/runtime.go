package store

import "strings"

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
	if s.undoing() {
		s.undo = append(s.undo, func() { s.setRuntime(rt); rt.deleted = false })
	}
	s.note(part{rt: rt, kind: partAll})
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
	if s.undoing() {
		s.undo = append(s.undo, func() { s.removeRuntime(rt); s.next = rt.place })
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
	s.note(part{rt: rt, kind: partRuntime})
	if s.undoing() {
		held := rt.held
		s.before = append(s.before, held)
		s.undo = append(s.undo, func() {
			if rt.held = held; rt.due != nil {
				rt.due.forget()
			}
		})
		if rt.due == nil && s.Retention != (Retention{}) {
			rt.due = newDue(rt)
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
