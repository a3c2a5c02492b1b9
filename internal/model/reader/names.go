package reader

import (
	"hash/maphash"
	"math"
)

var seed = maphash.MakeSeed()

// Canonical renames moments and channels, and then runtimes and those who read or watch,
// so that states that differ by names only are equal. Of the latter it tries all names,
// and takes those with the least hash.
func (m *machine) Canonical(s state) (state, int) {
	if m.AllNames {
		return m.renamed(&s, first, false), 1
	}
	var least state
	lowest, tried, same := uint64(math.MaxUint64), 0, 0
	for _, names := range m.orders {
		for _, swapped := range []bool{false, true} {
			n := m.renamed(&s, names, swapped)
			hash := maphash.Comparable(seed, n)
			if hash < lowest {
				least, lowest, same = n, hash, 0
			}
			if hash == lowest {
				same++
			}
			tried++
		}
	}
	return least, tried / same
}

// An order has those who look, in another order.
type order [maxReaders + maxWatchers]uint8

var first = order{0, 1, 2, 3, 4}

// permuted returns all orders in which those from one place to another may stand.
func permuted(o order, from, to int) (all []order) {
	if from >= to {
		return []order{o}
	}
	for i := from; i < to; i++ {
		n := o
		n[from], n[i] = o[i], o[from]
		all = append(all, permuted(n, from+1, to)...)
	}
	return all
}

// A naming gives names in the order in which it is asked.
type naming struct {
	names [256]uint8
	count uint8
}

func (n *naming) of(old uint8) uint8 {
	if old == 0 || old == closed {
		return old
	}
	if n.names[old] == 0 {
		n.count++
		n.names[old] = n.count
	}
	return n.names[old]
}

func (n *naming) set(old set) (renamed set) {
	for at := range old.all() {
		renamed.add(n.of(at))
	}
	return renamed
}

// renamed gives those who look another order, and the runtimes too if they are swapped.
// Moments and channels are renamed in the order in which they stand there.
func (m *machine) renamed(s *state, names order, swapped bool) state {
	n := *s
	m.forget(&n)
	old := n
	if swapped {
		swap(&n.runtimes)
		swap(&n.last)
		swap(&n.round.old)
		if !m.Shared {
			swap(&n.absences)
		}
	}
	var moments, channels naming
	moments.names[gone] = gone
	for x := range n.last {
		for _, at := range append(n.kept(x), &n.last[x].moment) {
			*at = moments.of(*at)
		}
	}
	for i, at := range names {
		n.looks[i] = old.looks[at]
		l := &n.looks[i]
		if swapped && l.at != idle && l.at != refused {
			l.of = 1 - l.of
		}
		l.view.moment = moments.of(l.view.moment)
		l.channel = channels.of(l.channel)
	}
	for _, all := range []*set{&n.round.absent, &n.owner.flags, &n.owner.ends} {
		*all = moments.set(*all)
	}
	n.moments = [maxMoments + 1]moment{}
	for at, to := range moments.names[:maxMoments+1] {
		if to != 0 {
			n.moments[to] = old.moments[at]
		}
	}
	for at := range n.moments {
		n.moments[at].end = channels.of(n.moments[at].end)
	}
	n.owner.found, n.wakes = channels.set(n.owner.found), channels.set(n.wakes)
	return n
}

func swap[T any](of *[2]T) { of[0], of[1] = of[1], of[0] }

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
func (s *state) kept(x int) []*uint8 {
	return []*uint8{&s.runtimes[x].view, &s.absences[x], &s.round.old[x].view}
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
	used := s.held() | s.owner.flags | s.owner.ends | s.round.absent
	for x := range s.last {
		for _, at := range s.kept(x) {
			used.add(*at)
		}
	}
	at := (used | 1).free()
	s.moments[at] = moment{}
	return at
}

// channel returns a channel that nobody has.
func (s *state) channel() uint8 {
	used := s.owner.found | s.wakes
	for i := range s.looks {
		used.add(s.looks[i].channel)
	}
	for i := range s.moments {
		used.add(s.moments[i].end)
	}
	return (used | 1).free()
}
