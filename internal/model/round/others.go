package round

import (
	"github.com/loopstore/loopstore/internal/model"
)

const (
	theOwner model.Process = iota
	theAppend
	theOther
	theCloser
	callerOf
)

// A machine is a Protocol, with the steps of the state that is explored.
type machine struct {
	Protocol
	*model.Moves[state]
}

// Start returns the state in which nobody has called.
func (*machine) Start() state { return state{owner: owner{at: receiving}} }

// List lists the steps of all processes.
func (m *machine) List(s *state, moves *model.Moves[state]) {
	m.Moves = moves
	m.Of(theOwner)
	m.ownerSteps(s)
	m.Of(theAppend)
	m.appendSteps(s)
	m.Of(theOther)
	m.otherSteps(s)
	m.Of(theCloser)
	m.closerSteps(s)
	for i := range m.Callers {
		m.Of(callerOf + model.Process(i))
		m.callerSteps(s, i)
	}
}

// callerSteps adds the steps of a caller. What the owner answers is received at once.
func (m *machine) callerSteps(s *state, i int) {
	n := *s
	c := &n.callers[i]
	if c.at == waiting {
		at := m.request(i, c.calls-1)
		r := &n.requests[at]
		if r.claim == queued {
			r.claim = abandoned
			m.finish(&n, at)
			m.Choice(n, "gives up: its ctx ends")
		}
		return
	}
	if int(c.calls) == m.Calls || s.closed {
		return
	}
	at := m.request(i, c.calls)
	c.at, c.calls = waiting, c.calls+1
	n.inbox.put(at)
	for _, r := range []request{{kind: put}, {kind: put, runtime: 1}, {kind: create}, {kind: load}, {kind: load, runtime: 1}} {
		next := n
		r.floor = n.acked[r.runtime]
		next.requests[at] = r
		m.Choice(next, "sends "+calls[r.kind]+runtimeNames[r.runtime])
	}
}

// request is the number of a caller's call.
func (m *machine) request(caller int, call uint8) uint8 {
	return uint8(caller*m.Calls) + call + 1
}

// finish ends a call, of which only what others need to know is kept.
func (m *machine) finish(n *state, at uint8) {
	n.callers[int(at-1)/m.Calls].at = idle
	n.requests[at].floor, n.requests[at].version = 0, 0
}

// answer answers a call, and looks whether it may.
func (m *machine) answer(n state, at, answer uint8, what string) {
	r := &n.requests[at]
	m.Check(r.claim != abandoned, "the owner answers what was given up")
	m.Check(r.answer == none, "the owner answers twice")
	switch {
	case answer == refused:
		m.Check(!r.stored, "a write was refused and is stored")
	case answer == unknown:
		m.Check(r.changed, "it is called unknown what became of a call that changed nothing")
		m.Check(n.outcome == isAmbiguous, "the outcome of an append is called unknown that is known")
	case answer == conflict:
		m.Check(n.journal[r.runtime] > 0, "a conflict is answered that nothing stored has caused")
	case r.kind == load:
		m.Check(r.version <= n.journal[r.runtime], "a load shows what may be taken back")
		m.Check(r.version >= r.floor, "a load misses what was acknowledged before")
	default:
		m.Check(r.stored, "a write is acknowledged that is not stored")
		m.Check(!m.hasRead(&n) || r.version <= n.taken[r.runtime], "a write is acknowledged that a later holder has not found")
		n.acked[r.runtime] = max(n.acked[r.runtime], r.version)
	}
	r.claim, r.answer = claimed, answer
	r.steps++
	m.finish(&n, at)
	m.Step(n, what)
}

// appendSteps adds the steps of the goroutine that appends a round.
func (m *machine) appendSteps(s *state) {
	n := *s
	if n.append == telling {
		n.append = told
		m.Step(n, "says how the append has ended")
		return
	}
	if n.append != appending {
		return
	}
	n.append = telling
	outcome := func(o uint8) state {
		n.outcome = o
		return n
	}
	if s.fenced(m) {
		m.Step(outcome(isFenced), "finds that it is fenced")
		return
	}
	if s.outcome == isAmbiguous { // the journal is finished
		m.Step(outcome(isAmbiguous), "fails")
		return
	}
	m.Step(outcome(isRejected), "is rejected")
	m.Step(outcome(isAmbiguous), "fails, and stores nothing")
	n.journal = s.owner.held
	early := false
	for at := range n.requests {
		if r := &n.requests[at]; s.batch>>at&1 == 1 {
			early = early || r.answer == refused
			r.stored = true
		}
	}
	const promise = "a write was refused and is stored"
	m.Check(!early, promise)
	m.Step(outcome(isStored), "stores the round")
	m.Check(!early, promise)
	m.Step(outcome(isAmbiguous), "fails, and has stored the round")
}

// fenced reports whether the other holder is in the way of the next append.
func (s *state) fenced(m *machine) bool {
	return s.other == holding || s.other == between && !m.Without.FenceFirst
}

// hasRead reports whether the other holder has read what stands.
func (m *machine) hasRead(s *state) bool {
	return s.other == holding || s.other == between && m.Without.FenceFirst
}

// otherSteps adds the steps of the other holder.
func (m *machine) otherSteps(s *state) {
	n := *s
	n.other++
	switch {
	case s.other == away:
		what := "fences this holder"
		if m.Without.FenceFirst {
			what, n.taken = "reads what stands", n.journal
		}
		m.Choice(n, what)
	case s.other == between:
		what := "fences this holder"
		if !m.Without.FenceFirst {
			what, n.taken = "reads what stands", n.journal
		}
		m.Choice(n, what)
	case !s.noticed:
		n = *s
		n.noticed = true
		m.Choice(n, "is noticed by the journal")
	}
}

// closerSteps adds the steps of a caller of Close.
func (m *machine) closerSteps(s *state) {
	n := *s
	n.closer++
	switch {
	case s.closer == idle && m.Closes:
		n.closed = true
		n.inbox.put(stop)
		m.Choice(n, "calls Close")
	case s.closer == waiting && s.done:
		m.Step(n, "returns from Close")
	}
}

// Standing returns the promise that a state breaks, whose steps are listed.
func (m *machine) Standing(s *state, moves *model.Moves[state]) string {
	if moves.Going(theOwner, theAppend, theCloser) {
		return ""
	}
	for i := range s.callers[:m.Callers] {
		if s.callers[i].at == waiting {
			return "a caller waits for ever"
		}
	}
	if s.closer == waiting {
		return "Close waits for ever"
	}
	return ""
}

// Rank counts how far requests have come. The owner goes round, and gains when it takes
// one on.
func (m *machine) Rank(s *state) int {
	sum := int(s.other) + int(s.closer)
	for _, set := range []bool{s.noticed, s.owner.failed, s.owner.closing} {
		if set {
			sum++
		}
	}
	for i := range s.callers[:m.Callers] {
		sum += 2 * int(s.callers[i].calls)
		if s.callers[i].at == waiting {
			sum--
		}
	}
	for i := range s.requests {
		sum += int(s.requests[i].steps)
	}
	return 32*sum + 4*int(s.append) + int(s.owner.at)
}
