package state

import (
	"iter"
	"math"
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// MaxRevision is the highest revision that a State comes to, and that a file or a
// journal may have. Only a forged one comes near it.
const MaxRevision = math.MaxInt64

// Do makes the changes of an operation, with what the Retention lets go because
// of them. If they fail, go beyond the Limits or come after MaxRevision, nothing has
// changed. They are not settled yet, and nothing else may be unsettled.
//
// Without limits, a retention or a group nothing is kept to take back: an operation
// checks before it changes, or uses Try itself.
func (s *State) Do(changes func() error) error {
	last := max(s.revision, s.leap) == MaxRevision
	if s.plain() && s.group == nil && !last {
		return changes()
	}
	before, n := s.Totals(), len(s.log)
	return s.Try(func() error {
		if err := changes(); err != nil {
			return err
		}
		if last && len(s.changed) > 0 {
			return store.ErrRevisionExhausted
		}
		if err := s.checkKeys(s.log[n:]); err != nil {
			return err
		}
		s.retain(s.log[n:])
		return s.checkLimits(before)
	})
}

// NeedsTime reports whether what is kept depends on when operations are: who applies them
// sets Now for each that changes something.
func (s *State) NeedsTime() bool {
	k := s.Retention
	return s.Activity || k.Inputs.For > 0 || k.Payloads.For > 0 || !k.Sessions.IsZero() || !k.Keys.IsZero() || !s.Tombstones.IsZero() || !s.Queue.IsZero()
}

// plain reports whether there is nothing that Do looks at.
func (s *State) plain() bool {
	return s.Limits == (store.Limits{}) && s.Retention == (store.Retention{}) && !s.UniqueKeys && s.Tombstones.IsZero()
}

// Try makes changes of which a later one may fail. If it does, nothing has
// changed. They are not settled yet, and nothing else may be unsettled. Within another
// Try it leaves that to it.
func (s *State) Try(changes func() error) error {
	if s.trying {
		return changes()
	}
	n := len(s.log)
	s.trying = true
	err := changes()
	s.trying = false
	if err != nil {
		s.takeBack(n)
		s.forgetTouched()
	}
	if s.group == nil {
		s.forgetLog(0)
	}
	return err
}

func (s *State) forgetLog(n int) {
	clear(s.log[n:])
	s.log = s.log[:n]
}

func (s *State) forgetTouched() {
	for i, t := range s.changed {
		t.rt.changed, t.rt.written, t.rt.what = false, false, 0
		s.changed[i] = touched{}
	}
	s.changed = s.changed[:0]
}

// touch marks a runtime as changed, and returns the one to change.
func (s *State) touch(rt *runtime) *runtime {
	rt = s.own(rt)
	if !rt.changed {
		rt.changed = true
		s.changed = append(s.changed, touched{rt, rt.held.InputStates, rt.openInputs()})
	}
	return rt
}

// A touched runtime has changed since the last Settle.
type touched struct {
	rt           *runtime
	inputs, open int // that it had before, and those of them that had not ended
}

// Settle makes all changes since the last Settle one revision, and ends the
// Views of what they changed. It returns those who wait for that; waking them
// may be left to another goroutine.
//
// No View of what was changed is made before all Views of what stood are over.
// So whoever was given one part of the changes finds no View that is current and
// lacks another.
//
// In a group all of that but the revision waits for its Commit.
func (s *State) Settle() Waiters {
	if len(s.changed) > 0 {
		s.revise()
	}
	ended := s.over
	if s.group != nil {
		s.group.absent = append(s.group.absent, ended...)
		s.over = nil
		return nil
	}
	s.texts.settle()
	waiters := finish(ended)
	s.over = nil
	return waiters
}

// revise makes the changes a revision, and notes the moments that end with it.
func (s *State) revise() {
	s.revision = s.Pending()
	s.noteChanges()
	now := nanoseconds(s.Now)
	for _, t := range s.changed {
		rt, version, active := t.rt, t.rt.version, t.rt.active
		if rt.written && now > 0 {
			active = max(active, now)
		}
		if rt.view != nil && s.group == nil {
			s.over = append(s.over, rt.view.moment)
		}
		if !rt.deleted {
			if version == 0 {
				s.over = s.endAbsence(absence(rt.id), s.over)
			}
			version = s.revision
		}
		s.set(rt, part{kind: theVersion}, value{number: version, active: active})
		s.queue(rt)
		if s.group != nil {
			s.group.changed[rt.id] = true
		}
	}
	s.forgetTouched()
}

// A group is any number of operations whose changes are kept or taken back
// together: a journal learns of them, from Changes, before anybody else does.
type group struct {
	revision uint64 // before it, or of what was adopted
	names    uint64 // of parts, before it
	changed  map[store.RuntimeID]bool
	adopted  *State    // whose place s has taken, nil if none
	absent   []*moment // ended in it; the Views that it ends are in the log

	left   uint64             // left-overs, as the pieces leave them
	clears bool               // a piece removes some
	pieces []journal.Change   // of left-overs
	fresh  []iter.Seq[[]byte] // see leftOvers
	kept   uint64             // parts that nothing has, but perhaps what was set aside
	leave  leftOvers          // that Changes has left besides
}

// Begin begins a group, which Commit or Rollback ends. Its operations are
// settled one by one, and nothing may be asked of the runtimes that it changes.
// There must be no Image while it lasts.
func (s *State) Begin() {
	s.group = &group{revision: s.revision, names: s.texts.names, changed: make(map[store.RuntimeID]bool), left: s.left.records}
}

// Grouping reports whether there is a group, so that what is held may be taken
// back.
func (s *State) Grouping() bool { return s.group != nil }

// Changing reports whether the group changes a runtime. There may be none.
func (s *State) Changing(id store.RuntimeID) bool {
	return s.group != nil && (s.group.adopted != nil || s.group.changed[id])
}

// Commit keeps what the group has changed, and ends the Views of that.
func (s *State) Commit() Waiters {
	ended := s.groupEnds()
	s.texts.store(s.group.adopted != nil)
	s.texts.settle()
	if len(s.log)+len(s.group.pieces) == 0 && s.group.adopted == nil { // the journal has not been told
		s.texts.names = s.group.names
	}
	s.aside.counts.kept += s.group.kept
	s.left.records = s.group.left + s.group.leave.records
	s.left.fresh = slices.Concat(s.left.fresh, s.group.fresh, s.group.leave.fresh)
	s.group = nil
	s.forgetLog(0)
	return finish(ended)
}

// groupEnds returns what the group ends.
func (s *State) groupEnds() []*moment {
	ended := s.group.absent
	for _, c := range s.log {
		if v := c.old.view; v != nil {
			ended = append(ended, v.moment)
		}
	}
	return ended
}

// Rollback takes back what the group has changed. Views of it stay what they
// are; those of what is not there may end.
func (s *State) Rollback() Waiters {
	g := s.group
	var changed []change
	if !s.Queue.IsZero() {
		changed = slices.Clone(s.log)
	}
	s.takeBack(0)
	for _, c := range changed {
		if c.rt != nil {
			s.queue(c.rt)
		}
	}
	s.revision = g.revision
	if g.adopted != nil {
		g.adopted.takeFrom(s)
		for id, rt := range g.adopted.runtimes {
			s.Snapshots.replace(id, rt.session.shown(), nil)
		}
	}
	s.feed.forget(s.revision)
	s.texts.settle()
	s.texts.names = g.names
	s.group = nil
	return finish(g.absent)
}

// Revision returns the version of the runtimes that the last operation changed which has
// changed something. The next one is one more, but after an import: see Pieces.
func (s *State) Revision() uint64 { return s.revision }

// Totals returns how much is held.
func (s *State) Totals() store.Totals { return withTexts(s.held, s.texts.bytes) }

// Pending returns the revision that the next Settle will come to.
func (s *State) Pending() uint64 {
	if len(s.changed) > 0 {
		return max(s.revision, s.leap) + 1
	}
	return s.revision
}
