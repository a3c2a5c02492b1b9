package model

import "slices"

// A process is one of a model's.
type process uint8

const (
	theOwner process = iota
	callerOf
	closerOf = callerOf + maxCallers
)

// Moves are the steps that can be done in a state.
type moves struct {
	Protocol
	all    []move
	who    process
	broken string // what the step that comes next breaks
	going  uint   // the processes that have a step to do, whatever the world does
}

type move struct {
	next   state
	who    process
	what   string
	broken string
}

// list lists the steps of all processes, or only those of one that is private.
func (m *moves) list(s *state) {
	m.all, m.going = m.all[:0], 0
	for p := theOwner; p < closerOf+process(m.Closers); p++ {
		if !m.AllOrders && m.private(s, p) {
			m.of(s, p)
			m.going |= 1<<p | 1<<theOwner // which was not asked
			return
		}
	}
	m.of(s, theOwner)
	for i := range m.Callers {
		m.of(s, callerOf+process(i))
	}
	for i := range m.Closers {
		m.of(s, closerOf+process(i))
	}
}

// of lists the steps of a process.
func (m *moves) of(s *state, p process) {
	m.who, m.broken = p, ""
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
func (m *moves) private(s *state, p process) bool {
	switch {
	case p == theOwner:
		return s.owner.at == applying
	case p < closerOf:
		at := s.callers[p-callerOf].at
		return at == checking || at == refusing || at == abandoning || at == returning
	}
	return s.closers[p-closerOf] == awaiting && (s.done || m.Without.CloseWaits)
}

// check notes that the next step breaks a promise, if one does not hold.
func (m *moves) check(holds bool, promise string) {
	if !holds && m.broken == "" {
		m.broken = promise
	}
}

// step adds a step that its process does sooner or later.
func (m *moves) step(next state, what string) {
	m.going |= 1 << m.who
	m.choice(next, what)
}

// choice adds one that nobody may count on: a ctx ends, somebody calls.
func (m *moves) choice(next state, what string) {
	m.all = append(m.all, move{next, m.who, what, m.broken})
	m.broken = ""
}

// standing returns the promise that a state breaks, whose steps are listed.
func (m *moves) standing(s *state) string {
	if at := s.owner.at; at != receiving && at != gone && m.going&(1<<theOwner) == 0 {
		return "a caller holds up the owner"
	}
	closed := slices.Contains(s.closers[:m.Closers], returned)
	for i := range s.callers[:m.Callers] {
		c := &s.callers[i]
		accepted := c.at == waiting || c.at == abandoning || c.at == owed
		if closed && accepted && s.requests[c.request].answer == none {
			return "Close has returned before a call was answered that was accepted"
		}
		if c.at != idle && m.going&(1<<theOwner|1<<(callerOf+process(i))) == 0 {
			return "a caller waits for ever"
		}
	}
	const callers = (1<<maxCallers - 1) << callerOf
	if m.going&^callers != 0 {
		return ""
	}
	for _, at := range s.closers[:m.Closers] {
		if at == stopping || at == awaiting {
			return "Close waits for ever"
		}
	}
	return ""
}
