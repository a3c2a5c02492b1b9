package reader

// Canonical forgets what makes no difference any more, and renames moments and channels
// in the order in which they stand there, so that states that differ by names only are
// equal.
func (m *machine) Canonical(s state) (state, int) {
	if !m.AllViews {
		m.forget(&s)
	}
	n := s
	var moments, channels naming
	moments[gone] = gone
	for x := range n.last {
		for _, at := range n.kept(x) {
			*at = moments.of(*at)
		}
		n.last[x].moment = moments.of(n.last[x].moment)
	}
	for i := range n.looks {
		l := &n.looks[i]
		l.view.moment, l.channel = moments.of(l.view.moment), channels.of(l.channel)
	}
	for _, all := range []*set{&n.round.absent, &n.owner.flags, &n.owner.ends} {
		*all = moments.set(*all)
	}
	n.moments = [maxMoments + 1]moment{}
	for at, to := range moments {
		if to != 0 {
			n.moments[to] = s.moments[at]
		}
	}
	for at := range n.moments {
		n.moments[at].end = channels.of(n.moments[at].end)
	}
	n.owner.found, n.wakes = channels.set(n.owner.found), channels.set(n.wakes)
	return n, 1
}

// A naming gives names from 1, in the order in which it is asked.
type naming [maxMoments + 1]uint8

func (n *naming) of(old uint8) uint8 {
	if old == 0 || old == closed {
		return old
	}
	if n[old] == 0 {
		n[old] = n[0] + 1
		n[0]++
	}
	return n[old]
}

func (n *naming) set(old set) (renamed set) {
	for at := range old.all() {
		renamed.add(n.of(at))
	}
	return renamed
}

// forget drops what makes no difference any more: what a view shows that only a Reader
// has, once it is over; which moment the owner keeps, if nobody has a view of it and it
// is current, since it is as good as a new one; and a channel that nobody waits for.
func (m *machine) forget(n *state) {
	if !m.Without.AsksCurrent && !m.Without.OwnersView {
		for x := range n.last {
			if n.moments[n.last[x].moment].over != 0 {
				n.last[x] = view{moment: gone}
			}
		}
	}
	held := n.held()
	for x := range n.last {
		for _, at := range n.kept(x) {
			if n.moments[*at].over == 0 && !held.has(*at) {
				*at = 0
			}
		}
	}
	var awaited set
	for i := range n.looks {
		awaited.add(n.looks[i].channel)
		awaited.add(n.moments[n.looks[i].view.moment].end)
	}
	n.wakes &= awaited
}

// kept returns the moments that the owner keeps.
func (s *state) kept(x int) [3]*uint8 {
	return [...]*uint8{&s.runtimes[x].view, &s.absences[x], &s.round.old[x].view}
}

// held returns the moments of which somebody has a view.
func (s *state) held() (held set) {
	for x := range s.last {
		held.add(s.last[x].moment)
	}
	for i := range s.looks {
		held.add(s.looks[i].view.moment)
	}
	return held
}

// fresh returns a moment that nobody has.
func (s *state) fresh() uint8 {
	used := s.held() | s.owner.flags | s.owner.ends | s.round.absent | 1
	for x := range s.last {
		for _, at := range s.kept(x) {
			used.add(*at)
		}
	}
	at := used.free()
	s.moments[at] = moment{}
	return at
}

// channel returns a channel that nobody has.
func (s *state) channel() uint8 {
	used := s.owner.found | s.wakes | 1
	for i := range s.looks {
		used.add(s.looks[i].channel)
	}
	for i := range s.moments {
		used.add(s.moments[i].end)
	}
	return used.free()
}
