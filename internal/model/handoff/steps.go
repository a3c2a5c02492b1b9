package handoff

import (
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

const (
	theOwner model.Process = iota
	callerOf
	closerOf = callerOf + maxCallers
)

// A machine is a Protocol, with the steps of the state that is explored.
type machine struct {
	Protocol
	*model.Moves[state]
}

// List lists the steps of all processes, or only those of one that is private.
func (m *machine) List(s *state, moves *model.Moves[state]) {
	m.Moves = moves
	for p := theOwner; p < closerOf+model.Process(m.Closers); p++ {
		if !m.AllOrders && m.private(s, p) {
			m.of(s, p)
			m.Go(p, theOwner) // which was not asked
			return
		}
	}
	m.of(s, theOwner)
	for i := range m.Callers {
		m.of(s, callerOf+model.Process(i))
	}
	for i := range m.Closers {
		m.of(s, closerOf+model.Process(i))
	}
}

// of lists the steps of a process.
func (m *machine) of(s *state, p model.Process) {
	m.Of(p)
	switch {
	case p == theOwner:
		m.owner(s)
	case p < closerOf:
		m.caller(s, int(p-callerOf))
	default:
		m.closer(s, int(p-closerOf))
	}
}

// private reports whether a process can do its next step at once, before any of
// another. The orders that this leaves out lead nowhere else:
//
//   - checking, abandoning: the step before touched nothing that others see, but
//     for the pool, whose requests are all alike.
//   - refusing: that only saw that the phase is ended, and so it stays.
//   - returning: only this caller can reach its request.
//   - applying: so with the owner, since it took the request.
//   - awaiting, once done is closed: it stays closed.
func (m *machine) private(s *state, p model.Process) bool {
	switch {
	case p == theOwner:
		return s.owner.at == applying
	case p < closerOf:
		at := s.callers[p-callerOf].at
		return at == checking || at == refusing || at == abandoning || at == returning
	}
	return s.closers[p-closerOf] == awaiting && (s.done || m.Without.CloseWaits)
}

// Standing returns the promise that a state breaks, whose steps are listed.
func (m *machine) Standing(s *state, moves *model.Moves[state]) string {
	if at := s.owner.at; at != receiving && at != gone && !moves.Going(theOwner) {
		return "a caller holds up the owner"
	}
	closed := slices.Contains(s.closers[:m.Closers], returned)
	for i := range s.callers[:m.Callers] {
		c := &s.callers[i]
		accepted := c.at == waiting || c.at == abandoning || c.at == owed
		if closed && accepted && s.requests[c.request].answer == none {
			return "Close has returned before a call was answered that was accepted"
		}
		if c.at != idle && !moves.Going(theOwner, callerOf+model.Process(i)) {
			return "a caller waits for ever"
		}
	}
	going := moves.Going(theOwner)
	for i := range s.closers[:m.Closers] {
		going = going || moves.Going(closerOf+model.Process(i))
	}
	for _, at := range s.closers[:m.Closers] {
		if !going && (at == stopping || at == awaiting) {
			return "Close waits for ever"
		}
	}
	return ""
}
