package handoff

// caller adds the steps that a caller can do. See do, run and handOff.
func (m *machine) caller(s *state, i int) {
	c, r := s.callers[i], s.requests[s.callers[i].request]
	to := func(at uint8) state {
		n := *s
		n.callers[i].at = at
		return n
	}
	result := func(got uint8) state {
		n := to(returning)
		n.callers[i].got = got
		return n
	}
	switch c.at {
	case idle:
		m.begin(s, i)
	case checking:
		m.Choice(result(cancelled), "its ctx has ended")
		if s.phase != serving && !m.Without.PhaseFirst {
			m.Step(result(refused), "finds the phase not serving")
		} else {
			m.Step(to(sending), "finds the phase serving")
		}
	case sending:
		if int(s.length) == m.Inbox {
			m.Step(to(full), "finds the inbox full")
		} else {
			m.send(to(sent), c.request)
		}
	case full: // to refuse when it is full is as if ctx ended
		if int(s.length) < m.Inbox {
			m.send(to(sent), c.request)
		}
		m.Choice(result(cancelled), "its ctx ends")
		m.vanish(s, i)
		if s.done && !m.Without.DoneWhileFull {
			m.Step(result(refused), "sees done")
		}
	case sent:
		if s.phase == ended && !m.Without.PhaseAfterSend {
			m.Step(to(refusing), "finds the phase ended after its send")
		} else {
			m.Step(to(waiting), "finds the phase not ended after its send")
		}
	case refusing:
		lost := to(waiting)
		if m.Without.RefusedWhenLeft {
			lost = result(refused)
		}
		m.abandon(result(refused), lost, i)
	case waiting:
		m.receive(s, i)
		m.Choice(to(abandoning), "its ctx ends")
		m.vanish(s, i)
	case abandoning:
		lost := to(owed)
		if m.Without.AnswerWhenClaimed {
			lost = result(cancelled)
		}
		m.abandon(result(cancelled), lost, i)
	case owed:
		m.receive(s, i)
	case returning:
		if c.got == again && c.left > 0 {
			m.again(s, i)
			return
		}
		m.Check((c.got == ok) == r.applied, "what a call returns is not what was done")
		n := to(idle)
		n.finish(i)
		if r.claim == abandoned && !m.Without.AbandonedIsDropped {
			m.Step(n, "returns")
			return
		}
		m.recycle(&n, c.request)
		m.Step(n, "returns, and recycles its request")
	}
}

func (s *state) finish(i int) {
	s.callers[i] = caller{calls: s.callers[i].calls, at: idle}
}

// begin takes a request: any of the pool, or else a new one.
func (m *machine) begin(s *state, i int) {
	if int(s.callers[i].calls) == m.Calls {
		return
	}
	take := func(r uint8) {
		n := *s
		c := &n.callers[i]
		c.at, c.request = checking, r
		c.calls, c.left = c.calls+1, uint8(m.Retries)
		n.requests[r].fate = held
		m.Choice(n, "begins a call")
	}
	var fresh uint8
	found := false
	for r := uint8(1); r <= maxRequests; r++ {
		switch {
		case s.requests[r].fate == pooled:
			take(r)
			found = true
		case fresh == 0 && !s.holds(r) && !s.reached(r):
			fresh = r
		}
	}
	if !found {
		clean := *s
		clean.requests[fresh] = request{}
		s = &clean
		take(fresh)
	}
}

func (m *machine) send(n state, r uint8) {
	m.Check(!n.done || !m.Without.InboxStaysOpen, "a send to a closed inbox panics")
	n.put(r)
	m.Step(n, "sends its request")
}

// receive takes the answer out of its channel.
func (m *machine) receive(s *state, i int) {
	n := *s
	c := &n.callers[i]
	r := &n.requests[c.request]
	if r.answer != none {
		c.at, c.got = returning, r.answer
		r.answer = none
		m.Step(n, "receives its answer")
	}
}

// abandon is the caller's half of the claim.
func (m *machine) abandon(won, lost state, i int) {
	r := &won.requests[won.callers[i].request]
	if r.claim != queued && !m.Without.CallerCAS {
		m.Step(lost, "cannot abandon its request")
		return
	}
	m.Check(!r.applied, "a call was applied and given up")
	r.claim, r.fate, r.inTime = abandoned, givenUp, false
	m.Step(won, "abandons its request")
}

// vanish ends a caller's call where its context panics.
func (m *machine) vanish(s *state, i int) {
	n := *s
	r := n.callers[i].request
	n.requests[r].fate = vanished
	n.finish(i)
	if m.Without.VanishedIsDropped {
		m.recycle(&n, r)
	}
	m.Choice(n, "vanishes: its context panics")
}

func (m *machine) again(s *state, i int) {
	n := *s
	n.callers[i].got = none
	n.callers[i].left--
	n.callers[i].at = sending
	r := &n.requests[n.callers[i].request]
	r.inTime = false
	if !m.Without.QueuedAgain {
		r.claim = queued
	}
	m.Step(n, "prepares its request again")
	n = *s
	n.callers[i].left, n.callers[i].got = 0, cancelled
	m.Choice(n, "its ctx has ended")
}

func (m *machine) recycle(n *state, r uint8) {
	m.Check(!n.reached(r), "a request is recycled while the owner may touch it")
	claim := n.requests[r].claim
	n.requests[r] = request{fate: pooled}
	if m.Without.QueuedInPool {
		n.requests[r].claim = claim
	}
}

// closer adds the steps that a caller of Close can do.
func (m *machine) closer(s *state, i int) {
	n := *s
	at := &n.closers[i]
	switch *at {
	case open:
		first, what := n.phase == serving, "calls Close, which stores nothing"
		*at = awaiting
		if first || m.Without.OneStop {
			*at = stopping
		}
		if first || m.Without.ClosingCAS {
			n.phase, what = closing, "calls Close, which stores closing"
		}
		m.Choice(n, what)
	case stopping:
		*at = awaiting
		if n.done && !m.Without.StopOrDone {
			m.Step(n, "sees done")
		}
		if int(n.length) < m.Inbox {
			for _, r := range n.inbox[:n.length] {
				if r == stop || n.owner.at >= ending {
					break // these stand behind another request to stop
				}
				n.requests[r].inTime = n.requests[r].claim == queued
			}
			n.put(stop)
			if m.Without.StopInTurn {
				copy(n.inbox[1:n.length], s.inbox[:])
				n.inbox[0] = stop
			}
			m.Step(n, "sends the request to stop")
		}
	case awaiting:
		*at = returned
		if n.done || m.Without.CloseWaits {
			m.Step(n, "returns from Close")
		}
	}
}
