package state

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// swapRuntime adds a runtime with all that it holds, or removes it, and reports
// whether it was there.
func (s *State) swapRuntime(rt *runtime, there bool) bool {
	was := s.runtimes[rt.id] == rt
	switch {
	case there:
		s.setRuntime(rt)
		s.held = s.held.Plus(rt.held)
		for v := range rt.past.all() {
			s.texts.add(v.root(), true)
		}
		s.texts.add(rt.session.root(), rt.session.inParts())
	default:
		delete(s.runtimes, rt.id)
		s.order.remove(rt.place)
		s.held = minus(s.held, rt.held)
		for v := range rt.past.all() {
			s.texts.drop(v.root(), true)
		}
		s.texts.drop(rt.session.root(), rt.session.inParts())
		s.Snapshots.replace(rt.id, rt.session.shown(), nil)
	}
	rt.deleted = !there
	return was
}

func (s *State) setRuntime(rt *runtime) {
	if s.runtimes == nil {
		s.runtimes = make(map[store.RuntimeID]*runtime)
	}
	s.runtimes[rt.id] = rt
	s.order.set(rt.place, rt)
}

// total returns how much there is, with the texts.
func (rt *runtime) total() store.Totals { return withTexts(rt.held, rt.tally.bytes) }

// own returns a runtime that no Image shows: this one, or a clone that takes
// its place.
func (s *State) own(rt *runtime) *runtime {
	if rt.images == s.images {
		return rt
	}
	clone := *rt
	clone.images = s.images
	if rt.rare != nil {
		clone.rare = new(*rt.rare)
	}
	clone.share()
	s.setRuntime(&clone)
	return &clone
}

// share makes rt clone what it goes on to change, since others see it.
func (rt *runtime) share() {
	rt.clones++
	rt.inputs.values.share()
	rt.runs.values.share()
	rt.dropped.values.share()
	rt.past.share()
	if rt.rare != nil {
		rt.rare.used.values.share()
	}
}

// An input is the state of one, which may be nil, and the revision of its last change.
type input struct {
	*store.InputState
	version uint64
}

func (in input) there() bool { return in.InputState != nil }

// swapInput puts an input in a place, a zero one to remove the one that stands, and
// returns that.
func (s *State) swapInput(rt *runtime, at uint64, in input) (old input) {
	if in.there() {
		old = rt.inputs.put(in.InputID, at, in)
	} else if old = rt.inputs.values.remove(at); old.there() {
		delete(rt.inputs.places, old.InputID)
	}
	rt.keyLeaves(old, at)
	rt.keyComes(in, at)
	s.noteTurn(rt, at, old, in)
	if !old.there() || !in.there() || old.CurrentState != in.CurrentState || (old.PersistedInput == nil) != (in.PersistedInput == nil) {
		rt.counts.count(old.InputState, -1)
		rt.counts.count(in.InputState, 1)
	}
	rt.swept.note(at, in.InputState)
	return old
}

// putInput puts an input in its place, or with a zero one removes it. A key that no input
// has any more may be kept, and one that was kept is an input's again.
func (s *State) putInput(rt *runtime, at uint64, in input) {
	if s.Retention.Keys.IsZero() {
		s.set(rt, part{kind: anInput, at: at}, value{input: in})
		s.takeKey(rt, in)
		return
	}
	before, _ := rt.inputs.values.get(at)
	s.set(rt, part{kind: anInput, at: at}, value{input: in})
	s.takeKey(rt, in)
	s.keepKey(rt, before)
}

// DeleteInputState removes an input's state, and reports whether there was
// one.
func (s *State) DeleteInputState(id store.RuntimeID, inputID store.InputID) bool {
	rt := s.runtimes[id]
	if rt == nil {
		return false
	}
	at, ok := rt.inputs.place(inputID)
	if ok {
		s.putInput(s.open(id), at, input{})
	}
	return ok
}

// A filed snapshot is the latest of a session.
type filed struct {
	session  store.SessionID
	snapshot *store.Snapshot
	by       store.RuntimeID
	chunks   uint64 // see version.chunks
}

// PutSession files a snapshot under a session's id. It is the runtime's, and
// goes with it.
func (s *State) PutSession(id store.RuntimeID, key store.SessionID, snapshot *store.Snapshot) {
	rt := s.open(id)
	at, _ := s.sessions.place(key)
	s.set(nil, part{kind: aFiled, at: at}, value{filed: &filed{session: key, snapshot: snapshot, by: rt.id}})
}

// swapFiled files a snapshot in a place, nil to remove the one that stands, and
// returns that. It counts as the State's alone: the runtime that loses one has
// not changed.
func (s *State) swapFiled(at uint64, f *filed) *filed {
	old, _ := s.sessions.values.get(at)
	s.texts.add(f.root(), f.inParts())
	s.texts.drop(old.root(), old.inParts())
	if old != nil {
		delete(s.runtimes[old.by].sessions, old.session)
	}
	if f == nil {
		if old != nil {
			s.sessions.values.remove(at)
			delete(s.sessions.places, old.session)
		}
		return old
	}
	s.sessions.put(f.session, at, f)
	by := s.runtimes[f.by]
	if by.sessions == nil {
		by.sessions = make(map[store.SessionID]bool)
	}
	by.sessions[f.session] = true
	return old
}

// root returns the root of the text, nil if there is none.
func (f *filed) root() *session.Part {
	if f == nil {
		return nil
	}
	return f.snapshot.Text().Root()
}

// inParts reports whether the journal has the text in parts.
func (f *filed) inParts() bool { return f != nil && f.chunks == 0 }
