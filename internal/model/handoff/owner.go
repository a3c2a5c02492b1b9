package handoff

// owner adds the steps that the owner can do. See own, serve and refuseRest.
func (m *machine) owner(s *state) {
	o := s.owner
	to := func(at uint8) state {
		n := *s
		n.owner.at = at
		return n
	}
	result := func(answer uint8) state {
		n := to(replying)
		n.owner.result = answer
		return n
	}
	switch o.at {
	case receiving:
		n := to(taking)
		switch {
		case n.length == 0:
		case n.inbox[0] == stop:
			n.next()
			n.owner.at = m.last()
			m.Step(n, "receives the request to stop")
		default:
			n.owner.request = n.next()
			n.requests[n.owner.request].inTime = false
			m.Step(n, "receives a request")
		}
	case taking:
		m.take(to(applying), to(receiving), !m.Without.OwnerCAS)
	case applying:
		fate := s.requests[o.request].fate
		m.Check(fate == held || fate == vanished, "the owner applies what was given up")
		m.Check(!s.requests[o.request].applied, "the owner applies a call twice")
		n := result(ok)
		n.requests[o.request].applied = true
		m.Step(n, "applies a request")
		m.Step(result(again), "finds that it must be prepared again")
		n = result(failed)
		n.failed = true
		if m.Without.AnswerPanicked {
			n.owner = owner{at: m.last()}
		}
		m.Choice(n, "panics")
	case replying:
		n := to(receiving)
		if n.failed {
			n.owner.at = m.last()
		}
		m.reply(n, o.result)
	case ending:
		n := to(draining)
		n.phase = ended
		n.done = m.Without.DoneAfterDrain
		if m.Without.Drain {
			n.owner.at = leaving
		}
		m.Step(n, "stores ended")
	case draining:
		n := to(refuseTaking)
		switch {
		case n.length == 0:
			n.owner.at = leaving
			m.Step(n, "finds the inbox empty")
		case n.inbox[0] == stop:
			n.next()
			n.owner.at = draining
			m.Step(n, "drops a request to stop")
		default:
			n.owner.request = n.next()
			m.Step(n, "receives a request, to refuse it")
		}
	case refuseTaking:
		m.take(to(refuseReplying), to(draining), !m.Without.RefuseCAS)
	case refuseReplying:
		m.Check(s.failed || !s.requests[o.request].inTime, "a call is refused that stood before Close's request")
		m.reply(to(draining), refused)
	case leaving:
		n := to(gone)
		n.phase, n.done = ended, true
		m.Step(n, "closes done")
	}
}

// last is the owner's first step after it has served.
func (m *machine) last() uint8 {
	if m.Without.EndedBeforeDrain {
		return draining
	}
	return ending
}

// take is the owner's half of the claim.
func (m *machine) take(won, lost state, swaps bool) {
	r := &won.requests[won.owner.request]
	if r.claim != queued && swaps {
		lost.owner.request = 0
		m.Step(lost, "cannot take the request, and drops it")
		return
	}
	r.claim = claimed
	m.Step(won, "takes the request")
}

// reply sends an answer. From then on the request is its caller's.
func (m *machine) reply(n state, answer uint8) {
	at := n.owner.request
	r := &n.requests[at]
	n.owner.request, n.owner.result = 0, none
	m.Check(r.fate == held || r.fate == vanished, "the owner answers what was given up")
	m.Check(r.answer == none, "the owner answers twice")
	if !m.Without.AnswerRoom {
		r.answer = answer
		m.Step(n, "answers")
		return
	}
	for i := range n.callers[:m.Callers] { // it sends when the caller receives
		c := &n.callers[i]
		if c.request == at && (c.at == waiting || c.at == owed) {
			c.at, c.got = returning, answer
			m.Step(n, "answers")
			return
		}
	}
}
