package reader

import "github.com/loopstore/loopstore/internal/model"

// reader adds the steps that a goroutine can do which calls Reader.View.
func (m *machine) reader(s *state, i int) {
	n := *s
	l := &n.looks[i]
	switch l.at {
	case idle:
		if int(l.reads) == m.Reads {
			return
		}
		for x := range s.last {
			n := *s
			l := &n.looks[i]
			n.begin(l, uint8(x))
			if l.floor != shut { // what it must show says as much
				l.floor = n.runtimes[x].upTo(l.floor)
			}
			if l.view = s.last[x]; l.view.moment != 0 {
				l.at = looking
			}
			m.Choice(n, "begins to read "+names[x]+": loads the last view")
		}
	case looking:
		if s.moments[l.view.moment].over == 0 || m.Without.AsksCurrent {
			m.returns(&n, i)
			m.Step(n, "finds that it is current, and returns it")
			return
		}
		l.at, l.view = asking, view{}
		m.Step(n, "finds that it is over, and asks the owner")
	case asking:
		if s.done {
			if m.Without.KeepsLast {
				n.last[l.of] = view{}
			}
			n.rest(i)
			m.Step(n, "is refused")
		}
	case storing:
		n.last[l.of] = l.view
		if m.Without.OwnersView {
			l.at = reading
			m.Step(n, "stores the owner's view")
			return
		}
		m.returns(&n, i)
		m.Step(n, "stores the owner's view, and returns it")
	case reading:
		l.view = s.last[l.of]
		m.returns(&n, i)
		m.Step(n, "loads the last view, and returns it")
	}
}

// begin begins a look. It is to show all that is known now.
func (n *state) begin(l *look, x uint8) {
	*l = look{at: asking, of: x, reads: l.reads, floor: max(n.known, n.woken), told: n.woken > n.known}
}

// give answers who has asked the owner.
func (m *machine) give(n *state, i int, v view) {
	l := &n.looks[i]
	l.view = v
	what := "answers " + m.Who(lookOf+model.Process(i)) + " with a view of " + names[l.of]
	if i < maxReaders {
		l.at = storing
		m.Step(*n, what)
		return
	}
	m.shows(n, l)
	l.at = loading
	if m.Without.EndLoadedFirst {
		l.at = making
	}
	m.Step(*n, what)
}

// returns ends a read.
func (m *machine) returns(n *state, i int) {
	m.shows(n, &n.looks[i])
	n.rest(i)
}

func (n *state) rest(i int) { n.looks[i] = look{reads: n.looks[i].reads + 1} }

// shows checks what a look returns.
func (m *machine) shows(n *state, l *look) {
	m.Check(l.floor != shut, "a read is served after the end of the service")
	all := l.view.shows >= n.runtimes[l.of].upTo(l.floor)
	m.Check(all || l.told, "a read shows less than was known before it began")
	m.Check(all, "who is woken by the end of a view does not see the write that ended it")
	n.learn(l.view.shows)
}

// watcher adds the steps that a goroutine can do which watches. See Loop.Watch, and
// moment.ended.
func (m *machine) watcher(s *state, i int) {
	n := *s
	l := &n.looks[i]
	end := &n.moments[l.view.moment].end
	switch l.at {
	case idle:
		for x := range uint8(2) {
			n := *s
			n.begin(&n.looks[i], x)
			m.Choice(n, "begins to watch "+names[x])
		}
	case asking:
		if s.done {
			*l = look{at: refused}
			m.Step(n, "is refused")
		}
	case loading, again:
		l.at, l.channel = waiting, *end
		if *end == 0 {
			l.at = making
		}
		m.Step(n, "loads the end of its view")
	case making:
		l.at = again
		made := n.channel()
		if m.Without.EndReadAgain {
			l.at, l.channel = waiting, made
		}
		if *end == 0 || m.Without.EndCAS {
			*end = made
		}
		m.Step(n, "makes a channel, if there is none")
	case waiting:
		if l.channel == closed {
			over := n.moments[l.view.moment].over
			m.Check(over != 0, "the channel of a view is closed while that is current")
			n.woken = over
			n.learn(0)
			n.begin(l, l.of)
			m.Step(n, "is woken, and looks again")
		} else if s.done && !m.Without.DoneWhileWatching {
			n.learn(shut)
			n.begin(l, l.of)
			m.Step(n, "sees done, and looks again")
		}
	}
}

// waker adds the steps of the goroutines that wake. See Waiters.Wake.
func (m *machine) waker(s *state) {
	for c := range s.wakes.all() {
		n := *s
		n.wakes.remove(c)
		n.close(c)
		m.Step(n, "wakes")
	}
}

// journal adds what the journal can say of a round.
func (m *machine) journal(s *state) {
	if s.round.at != appended {
		return
	}
	n := *s
	n.round.at = stored
	m.Step(n, "stores the round")
	n.round.at = rejected
	m.Step(n, "rejects it")
	if !m.Calm {
		n.round.at = unknown
		m.Step(n, "cannot say")
	}
}

// closes adds the steps of a caller of Close.
func (m *machine) closes(s *state) {
	n := *s
	switch {
	case s.closer == open:
		n.closer = closing
		m.Choice(n, "calls Close")
	case s.closer == closing && s.done && (s.wakes == 0 || m.Without.CloseWaitsForWakes):
		m.Check(s.wakes == 0, "Close returns before all goroutines have ended")
		n.closer = returned
		n.learn(shut)
		m.Step(n, "returns")
	}
}
