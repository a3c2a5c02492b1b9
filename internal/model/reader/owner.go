package reader

// owner adds the steps that the owner can do. See own and ownDurable.
func (m *machine) owner(s *state) {
	n := *s
	o := &n.owner
	switch s.owner.at {
	case receiving:
		m.load(s)
		m.panics(s)
		switch {
		case s.round.at > appended:
			m.end(s)
		case s.round.at == noRound:
			m.take(s)
			if s.closer == closing {
				o.at = leaving
				if !m.Without.EndBeforeDone {
					m.endAll(&n, leaving)
				}
				m.Step(n, "receives the request to stop")
			}
		}
	case gathering:
		m.panics(s)
		if int(s.writes-s.round.before) < m.Group {
			m.take(s)
		}
		o.at, n.round.at = receiving, appended
		if m.Without.AppendAside {
			o.at = appending
		}
		m.Step(n, "hands the round to the journal")
	case appending:
		if s.round.at > appended {
			m.end(s)
		}
	case settling:
		m.finish(s)
		if m.Without.ViewsAfterSettle {
			m.load(s)
		}
	case waking:
		m.wake(s)
	case early, replying:
		n.learn(n.writes)
		o.at = receiving
		if s.owner.at == early {
			m.finishing(&n, o.flags, receiving)
		}
		m.Step(n, "answers")
	case denying:
		if s.round.at == appended { // see leaveLastRound
			return
		}
		n.learn(shut)
		o.at = leaving
		if s.round.at == unknown || m.Without.EndBeforeFailure {
			m.endAll(&n, leaving) // once more, if it has stopped
		}
		m.Step(n, "answers that it has failed")
	case leaving:
		n.done = true
		o.at = left
		if m.Without.EndBeforeDone {
			m.endAll(&n, left)
		}
		m.Step(n, "refuses the rest, and closes done")
	}
}

// load answers those who ask for a view, unless a round is in the way. See
// durable.accept, and State.View.
func (m *machine) load(s *state) {
	for i, l := range s.looks {
		if l.at != asking || s.round.at != noRound && !m.answers(s, l.of) {
			continue
		}
		n := *s
		m.Check(!n.broken, "a view shows what no batch has left")
		m.Check(!n.round.old[l.of].changed, "a view shows what may be taken back")
		v := m.view(&n, l.of)
		m.Check(n.moments[v.moment].over == 0, "the owner gives a view that is over")
		m.give(&n, i, v)
	}
}

// answers reports whether loads of a runtime are answered beside the round.
func (m *machine) answers(s *state, x uint8) bool {
	if s.round.old[x].changed {
		return m.Without.LoadsWait
	}
	return !m.Without.OthersMeanwhile
}

func (m *machine) view(n *state, x uint8) view {
	rt := &n.runtimes[x]
	at, kept := &rt.view, !m.Without.ViewKept
	if !rt.there {
		at, kept = &n.absences[m.absence(x)], !m.Without.AbsenceKept
	}
	v := view{*at, rt.upTo(n.writes)}
	if v.moment == 0 {
		v.moment = n.fresh()
		if kept {
			*at = v.moment
		}
	}
	return v
}

func (m *machine) absence(x uint8) uint8 {
	if m.Shared {
		return 0
	}
	return x
}

// take takes a write, and makes its changes: any that changes something.
func (m *machine) take(s *state) {
	if int(s.writes) == m.Writes {
		return
	}
	for does := range [9][2]uint8{} {
		a, b := uint8(does/3), uint8(does%3)
		if a+b == none || a == deletes && !s.runtimes[0].there || b == deletes && !s.runtimes[1].there {
			continue
		}
		n := *s
		m.apply(&n, a, b)
		m.Choice(n, "takes a write: "+words(a, b))
	}
}

func (m *machine) apply(n *state, a, b uint8) {
	n.writes++
	for x, does := range [2]uint8{a, b} {
		if does != none {
			n.runtimes[x].changes |= 1 << n.writes
		}
	}
	if m.Without.OneSettle && a != none {
		n.runtimes[1].rest, b = b, none
	}
	ended := m.change(n, 0, a) | m.change(n, 1, b)
	if m.Group > 0 {
		m.finishing(n, ended, gathering)
		return
	}
	m.stands(n, ended)
}

// stands ends the views of what a write or a round has changed, which stands now, and
// then it is answered.
func (m *machine) stands(n *state, ended set) {
	if m.Without.OverBeforeAnswer {
		n.owner.at, n.owner.flags = early, ended
		return
	}
	m.finishing(n, ended, replying)
}

// change changes a runtime, and returns the moments that are ended now. See revise.
func (m *machine) change(n *state, x, does uint8) (ended set) {
	if does == none {
		return 0
	}
	rt, old, at := &n.runtimes[x], &n.round.old[x], &n.absences[m.absence(x)]
	if m.Group > 0 {
		if n.round.at == noRound {
			n.round.at, n.round.before = applied, n.writes-1
		}
		if !old.changed {
			*old = past{true, rt.there, rt.view}
		}
	}
	leftOut := m.Without.ChangeEnds || m.Without.DeletionEnds && does == deletes
	if !leftOut && (m.Group == 0 || m.Without.EndsAtCommit) {
		ended.add(rt.view)
	}
	if !rt.there && !m.Without.AbsenceEnds {
		if m.Group > 0 {
			n.round.absent.add(*at)
		} else {
			ended.add(*at)
		}
		if !m.Without.AbsenceDropped {
			*at = 0
		}
	}
	if !m.Without.ViewDropped {
		rt.view = 0
	}
	rt.there = does == puts
	return ended
}

// end ends a round with what the journal has said. See durable.end.
func (m *machine) end(s *state) {
	n := *s
	r := &n.round
	switch s.round.at {
	case stored:
		ended := n.roundEnds()
		n.round = round{}
		m.stands(&n, ended)
		m.Step(n, "commits the round")
	case rejected: // its calls are told that nothing was applied
		for x := range r.old {
			if rt, old := &n.runtimes[x], &r.old[x]; old.changed {
				rt.there, rt.view = old.there, old.view
				rt.changes &= 2<<r.before - 1
				if m.Without.ViewComesBack {
					rt.view = 0
				}
			}
		}
		ended := r.absent
		if m.Without.RejectedEndAbsence {
			ended = 0
		}
		n.round = round{}
		m.finishing(&n, ended, receiving)
		m.Step(n, "takes the round back")
	case unknown:
		m.endAll(&n, denying)
		m.Step(n, "stops, since the journal cannot say")
	}
}

// roundEnds returns the moments that end with the round. See groupEnds.
func (n *state) roundEnds() (ended set) {
	for x := range n.round.old {
		ended.add(n.round.old[x].view)
	}
	return ended | n.round.absent
}

// panics ends the service where a call panics. It may be a load. A write may have deleted
// all by then, or imported all, and may have been settled when nobody was woken yet.
func (m *machine) panics(s *state) {
	if m.Calm {
		return
	}
	n := *s
	n.broken = true
	n.owner.found = 0
	switch {
	case m.Without.FailsClosed:
		if s.broken {
			return
		}
		n.runtimes[0].there, n.runtimes[1].there = false, false
		n.owner.at = receiving
	case m.Without.EndBeforeFailure:
		n.owner = owner{at: denying}
	default:
		if m.Without.EndCoversUnsettled {
			n.runtimes[0].view, n.runtimes[1].view = 0, 0
		}
		if m.Without.EndCoversAdopted && n.writes == 0 {
			n.absences = [2]uint8{}
		}
		m.endAll(&n, denying)
	}
	m.Choice(n, "panics in a call")
}

// endAll ends all views. See State.End.
func (m *machine) endAll(n *state, then uint8) {
	var ended set
	for x := range n.runtimes {
		ended.add(n.runtimes[x].view)
		n.runtimes[x].view = 0
		if !m.Without.EndCoversAbsences {
			ended.add(n.absences[x])
			n.absences[x] = 0
		}
	}
	if !m.Without.EndCoversGroup {
		ended |= n.roundEnds()
	}
	if m.Without.EndAtLast {
		ended = 0
	}
	m.finishing(n, ended, then)
}

// finishing lets the owner end moments, and go on at then. What happens to one that
// nobody has a view of makes no difference.
func (m *machine) finishing(n *state, ended set, then uint8) {
	ended &= n.held()
	n.owner.at, n.owner.then = settling, then
	n.owner.flags, n.owner.ends = ended, ended
	m.goOn(n)
}

// goOn is what comes when the moments are ended, and those who wait are woken.
func (m *machine) goOn(n *state) {
	o := &n.owner
	if o.at == settling && o.flags|o.ends == 0 {
		o.at = waking
	}
	if o.at != waking || o.found != 0 {
		return
	}
	for x := range n.runtimes {
		if does := n.runtimes[x].rest; does != none {
			n.runtimes[x].rest = none
			m.finishing(n, m.change(n, uint8(x), does), o.then)
			return
		}
	}
	o.at, o.then = o.then, 0
}

// finish ends moments, in any order. See finish.
func (m *machine) finish(s *state) {
	for at := range s.owner.flags.all() {
		n := *s
		n.owner.flags.remove(at)
		if n.moments[at].over == 0 {
			n.moments[at].over = n.ending()
		}
		m.goOn(&n)
		m.Step(n, "sets a flag")
	}
	for at := range s.owner.ends.all() {
		early := m.Without.OverBeforeEnd || m.Without.AllOverFirst && !s.owner.flags.has(at)
		if s.owner.flags != 0 && !early {
			continue
		}
		n := *s
		end := &n.moments[at].end
		n.owner.ends.remove(at)
		m.Check(*end != closed || !m.Without.EndedOnce, "a channel is closed twice: that panics")
		if *end != closed {
			n.owner.found.add(*end)
		}
		if m.Without.Wakes {
			n.owner.found = 0
		}
		if !m.Without.EndSwapped {
			*end = closed
		}
		m.goOn(&n)
		m.Step(n, "swaps an end")
	}
}

// ending is the write that ends the moments.
func (n *state) ending() uint8 {
	if n.owner.then >= denying {
		return shut
	}
	return n.writes
}

// wake closes the channels that were found, or starts a goroutine that does. See
// Loop.wake and Waiters.Wake.
func (m *machine) wake(s *state) {
	if s.ending() == shut || m.Without.WakeAside {
		for c := range s.owner.found.all() {
			n := *s
			n.owner.found.remove(c)
			n.close(c)
			m.goOn(&n)
			m.Step(n, "wakes")
		}
	} else {
		n := *s
		n.wakes |= n.owner.found
		n.owner.found = 0
		m.goOn(&n)
		m.Step(n, "starts a goroutine that wakes")
	}
	if s.ending() != shut {
		m.panics(s)
	}
}

// close closes a channel, and so all who wait for it can go on.
func (n *state) close(c uint8) {
	for i := range n.looks {
		if n.looks[i].channel == c {
			n.looks[i].channel = closed
		}
	}
	for i := range n.moments {
		if n.moments[i].end == c {
			n.moments[i].end = closed
		}
	}
}
