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

// share makes rt clone what it goes on to change, since others see it.
func (rt *runtime) share() {
	rt.clones++
	rt.inputs.values.share()
	rt.runs.values.share()
	rt.dropped.values.share()
	rt.past.share()
}

// swapInput puts a state in a place, nil to remove the one that stands, and
// returns that.
func (rt *runtime) swapInput(at uint64, state *store.InputState) *store.InputState {
	var old *store.InputState
	if state != nil {
		old = rt.inputs.put(state.InputID, at, state)
	} else if old = rt.inputs.values.remove(at); old != nil {
		delete(rt.inputs.places, old.InputID)
	}
	rt.countKey(old, -1)
	rt.countKey(state, 1)
	rt.ended.count(old, -1)
	rt.ended.count(state, 1)
	rt.swept.note(at, state)
	return old
}

func (rt *runtime) countKey(state *store.InputState, n int) {
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
