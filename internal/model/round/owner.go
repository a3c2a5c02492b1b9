package round

import "slices"

// ownerSteps adds the steps that the owner can do. See durable.go.
func (m *machine) ownerSteps(s *state) {
	n := *s
	o := &n.owner
	switch o.at {
	case receiving:
		m.accept(s)
		m.end(s)
		if n.noticed && (n.append == off || m.Without.FenceWaits) {
			m.stop(n, isFenced, "notices the other holder")
		}
	case gathering:
		switch {
		case n.append != off && !m.Without.OneRound:
			o.at = receiving
			m.Step(n, "goes back to wait, since a round is with the journal")
		case o.closing && m.Without.CloseServes:
			m.leave(&n)
			m.Step(n, "leaves")
		default:
			m.accept(s)
			o.at = servingLoads
			m.Step(n, "has gathered enough")
		}
	case servingLoads:
		if o.loads.len > 0 {
			o.at, o.current = serving, o.loads.next()
			n.requests[o.current].steps++
			m.Step(n, "comes to a load that has waited")
			return
		}
		o.at = choosing
		m.Step(n, "chooses a round")
	case serving:
		m.takeLoad(n)
	case loading:
		r := n.requests[o.current]
		m.fails(n)
		n.requests[o.current].version = o.held[r.runtime]
		at := o.current
		o.at, o.current = gathering, 0
		m.answer(n, at, ok, "answers a load")
	case choosing:
		m.choose(n)
	case applying:
		m.apply(n)
	case answering, denying:
		m.answerRound(n)
	case settling:
		m.end(s)
	case leaving:
		m.left(n)
	case draining:
		n.closed = true
		switch {
		case n.inbox.len == 0:
			o.at = ending
			m.Step(n, "finds the inbox empty")
		case n.inbox.next() == stop:
			o.closing = true
			m.Step(n, "drops Close's request")
		default:
			m.refuse(n, s.inbox.of[0], "in the inbox")
		}
	case ending:
		o.at, n.done = gone, true
		m.Step(n, "closes done")
	}
}

// accept takes a message out of the inbox. A load that no round is in the way of is
// served, everything else waits.
func (m *machine) accept(s *state) {
	n := *s
	o := &n.owner
	if o.closing || n.inbox.len == 0 {
		return
	}
	at := n.inbox.next()
	o.at = gathering
	if at == stop {
		o.closing = true
		m.Step(n, "receives Close's request")
		return
	}
	r := &n.requests[at]
	r.steps++
	switch {
	case r.kind != load:
		o.writes.put(at)
		m.Step(n, "receives a write")
	case n.append != off && o.changing(&n, r.runtime) && !m.Without.LoadsWait:
		o.loads.put(at)
		m.Step(n, "receives a load of what the round changes")
	default:
		o.at, o.current = serving, at
		m.Step(n, "receives a load")
	}
}

// changing reports whether the round changes a runtime.
func (o *owner) changing(s *state, runtime uint8) bool {
	return slices.ContainsFunc(o.round.all(), func(at uint8) bool {
		return s.requests[at].changed && s.requests[at].runtime == runtime
	})
}

// takeLoad is the owner's half of the claim of a load.
func (m *machine) takeLoad(n state) {
	o := &n.owner
	r := &n.requests[o.current]
	r.steps++
	if r.claim == abandoned {
		o.at, o.current = gathering, 0
		m.Step(n, "drops what was given up")
		return
	}
	r.claim = claimed
	o.at = loading
	m.Step(n, "takes a request")
}

// takeWrite is that of a write, which it puts into the round.
func (m *machine) takeWrite(n state) {
	o := &n.owner
	at := o.writes.next()
	r := &n.requests[at]
	r.steps++
	if r.claim == abandoned && !m.Without.TakeCAS {
		m.Step(n, "drops what was given up")
		return
	}
	m.Check(r.claim != abandoned, "the owner applies what was given up")
	r.claim = claimed
	o.round.put(at)
	m.Step(n, "takes a request")
}

// choose takes the requests of the next round.
func (m *machine) choose(n state) {
	o := &n.owner
	if o.round.len > 0 && (o.writes.len == 0 || o.again.len > 0 || n.requests[o.round.of[0]].retried) {
		o.begin()
		m.Step(n, "begins a round")
		return
	}
	if o.round.len > 0 { // there may be too much for one
		one := n
		one.owner.begin()
		m.Step(one, "begins a round")
	}
	switch {
	case o.again.len > 0 && (!m.Without.AgainFirst || o.writes.len == 0):
		at := o.again.next()
		n.requests[at].steps++
		o.round.put(at)
		o.begin()
		m.Step(n, "begins a round of one that was rejected with others")
	case o.writes.len > 0:
		m.takeWrite(n)
	default:
		if o.at = receiving; o.closing {
			m.leave(&n)
		}
		m.Step(n, "finds nothing to do")
	}
}

// begin begins a round.
func (o *owner) begin() {
	o.at, o.next, o.before = applying, 0, o.held
}

// apply applies the next request of the round. After the last one it hands what has
// changed to the journal.
func (m *machine) apply(n state) {
	o := &n.owner
	if o.next == o.round.len {
		o.next, o.at = 0, answering
		n.batch = 0
		for _, at := range o.round.all() {
			if n.requests[at].changed {
				n.batch |= 1 << at
			}
		}
		if n.batch != 0 {
			n.append = appending
			if !m.Without.AppendFirst {
				o.at = receiving
			}
		}
		m.Step(n, "has applied the round")
		return
	}
	o.current = o.round.of[o.next]
	m.fails(n)
	r := &n.requests[o.current]
	m.Check(r.version == 0, "the owner applies a write twice")
	r.steps++
	if r.changed = r.kind == put || o.held[r.runtime] == 0; r.changed {
		o.held[r.runtime]++
	}
	r.version = o.held[r.runtime]
	o.next++
	o.current = 0
	m.Step(n, "applies a write")
}

// fails adds a panic, of the current operation or of what comes of a round that stands.
func (m *machine) fails(n state) {
	if !m.Panics || n.owner.failed {
		return
	}
	o := &n.owner
	o.failed = true
	if !m.Without.CurrentOnce {
		o.round.drop(o.current)
	}
	if o.at != answering || m.Without.LeaveStands {
		m.leave(&n)
	}
	m.Choice(n, "panics")
}

// end ends a round with what the journal says.
func (m *machine) end(s *state) {
	n := *s
	o := &n.owner
	if n.append != told {
		return
	}
	n.append = off
	for _, at := range o.round.all() {
		n.requests[at].steps++
	}
	leaving, stands := o.at == settling, n.outcome == isStored
	if leaving && (stands && m.Without.LeaveStored || !stands && m.Without.LeaveDenies) {
		stands = !stands
	}
	o.at, o.next = gathering, 0
	switch {
	case stands:
		o.at = answering
		m.Step(n, "ends a round that stands")
	case n.outcome != isRejected || leaving:
		m.stop(n, n.outcome, "ends the service with the round")
	default:
		if !m.Without.Rollback {
			o.held = o.before
		}
		if o.round.len == 1 || m.Without.Alone {
			o.at = denying
			m.Step(n, "takes back a round that was rejected")
			return
		}
		for o.round.len > 0 {
			at := o.round.next()
			r := &n.requests[at]
			r.changed, r.retried, r.version = false, true, 0
			o.again.put(at)
		}
		m.Step(n, "takes back a round, to try each alone")
	}
}

// stop ends the service, because the journal takes nothing more.
func (m *machine) stop(n state, outcome uint8, what string) {
	o := &n.owner
	o.at, o.next, n.outcome = denying, 0, outcome
	o.failed = o.failed || !m.Without.StopServing
	if o.round.len == 0 {
		m.leave(&n)
	}
	m.Step(n, what)
}

// answerRound answers the next request of a round that stands, or of one that does not.
func (m *machine) answerRound(n state) {
	o := &n.owner
	if o.at == answering {
		m.fails(n)
	}
	stands, at := o.at == answering, o.round.next()
	if o.round.len == 0 {
		o.at = gathering
		if o.failed {
			m.leave(&n)
		}
	}
	r := &n.requests[at]
	unsure := n.outcome == isAmbiguous || n.outcome == isFenced && m.Without.KnownFenced
	switch {
	case (stands || n.outcome == isRejected && !o.failed) && !r.changed:
		m.answer(n, at, conflict, "answers a write that changed nothing")
	case stands:
		m.answer(n, at, ok, "answers a write")
	case unsure && (r.changed || m.Without.KnownUnchanged) && !m.Without.Unknown:
		m.answer(n, at, unknown, "does not know what became of a write")
	default:
		m.answer(n, at, refused, "refuses a write of the round")
	}
}

// leave has the owner leave its loop.
func (m *machine) leave(n *state) {
	n.owner.at = leaving
	if n.append != off && !m.Without.LeaveWaits {
		n.owner.at = settling
	}
}

// left refuses what is not answered yet.
func (m *machine) left(n state) {
	o := &n.owner
	for _, q := range []struct {
		of    *queue
		drops bool
	}{
		{&o.round, m.Without.LeaveRound},
		{&o.again, m.Without.LeaveAgain},
		{&o.loads, m.Without.LeaveQueues},
		{&o.writes, m.Without.LeaveQueues},
	} {
		if q.of.len > 0 && !q.drops {
			m.Check(o.failed, "a call is refused that stood before Close's request")
			m.refuse(n, q.of.next(), "refuses what has waited")
			return
		}
	}
	if at := o.current; at != 0 && !m.Without.AnswerPanicked {
		o.current = 0
		m.answer(n, at, refused, "tells the caller whose call panicked")
		return
	}
	*o = owner{at: draining, failed: o.failed, closing: o.closing}
	m.Step(n, "gives up the journal")
}

// refuse answers a request that is not applied, unless it was given up.
func (m *machine) refuse(n state, at uint8, what string) {
	r := &n.requests[at]
	if r.claim == abandoned {
		r.steps++
		m.Step(n, "drops what was given up")
		return
	}
	m.answer(n, at, refused, what)
}
