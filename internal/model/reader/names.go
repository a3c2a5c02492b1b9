package reader

// Canonical renames moments and channels, and then runtimes and those who read or watch,
// so that states that differ by names only are equal. It tries all names of the latter,
// and takes those whose digest is the least.
func (m *machine) Canonical(s state) (state, int) {
	if m.AllNames {
		return m.renamed(&s, false, first), 1
	}
	var least state
	lowest, tried, same := ^uint64(0), 0, 0
	for _, names := range orders[m.Readers][m.Watchers] {
		for _, swapped := range []bool{false, true} {
			n := m.renamed(&s, swapped, names)
			d := n.digest()
			tried++
			if d == lowest {
				same++
			} else if d < lowest {
				least, lowest, same = n, d, 1
			}
		}
	}
	return least, tried / same
}

// An order has those who look, in another order.
type order [maxReaders + maxWatchers]uint8

var first = order{0, 1, 2, 3, 4}

// orders of each number of readers and watchers.
var orders = func() (all [maxReaders + 1][maxWatchers + 1][]order) {
	for readers := range all {
		for watchers := range all[readers] {
			of := &all[readers][watchers]
			permute(first, 0, readers, func(o order) {
				permute(o, maxReaders, maxReaders+watchers, func(o order) { *of = append(*of, o) })
			})
		}
	}
	return all
}()

// permute calls do with each order of what is between two places.
func permute(o order, from, to int, do func(order)) {
	if from >= to {
		do(o)
		return
	}
	for i := from; i < to; i++ {
		n := o
		n[from], n[i] = n[i], n[from]
		permute(n, from+1, to, do)
	}
}

// A naming gives names in the order in which it is asked.
type naming struct {
	names [256]uint8
	count uint8
}

func (n *naming) of(old uint8) uint8 {
	if old == 0 || old == gone {
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

// renamed gives those who look another order, and the runtimes too if they are swapped;
// moments and channels are renamed in the order in which they stand there.
func (m *machine) renamed(s *state, swapped bool, names order) state {
	n := *s
	if swapped {
		n.runtimes[0], n.runtimes[1] = s.runtimes[1], s.runtimes[0]
		n.last[0], n.last[1] = s.last[1], s.last[0]
		n.round.old[0], n.round.old[1] = s.round.old[1], s.round.old[0]
		if !m.Shared {
			n.absences[0], n.absences[1] = s.absences[1], s.absences[0]
		}
	}
	var moments, channels naming
	for x := range n.last {
		n.runtimes[x].view = moments.of(n.runtimes[x].view)
		n.absences[x] = moments.of(n.absences[x])
		n.round.old[x].view = moments.of(n.round.old[x].view)
		n.last[x].moment = moments.of(n.last[x].moment)
	}
	for i, at := range names {
		n.looks[i] = s.looks[at]
		l := &n.looks[i]
		if swapped && l.at != idle && l.at != refused {
			l.of = 1 - l.of
		}
		l.view.moment = moments.of(l.view.moment)
		l.channel = channels.of(l.channel)
	}
	n.round.absent = moments.set(s.round.absent)
	n.owner.flags, n.owner.ends = moments.set(s.owner.flags), moments.set(s.owner.ends)
	n.moments = [maxMoments + 1]moment{}
	for at := range uint8(maxMoments + 1) {
		if to := moments.names[at]; to != 0 {
			n.moments[to] = s.moments[at]
		}
	}
	for at := range n.moments {
		n.moments[at].end = channels.of(n.moments[at].end)
	}
	n.owner.found, n.wakes = channels.set(s.owner.found), channels.set(s.wakes)
	return n
}

// digest is another number for another state, most likely, and always the same.
func (s *state) digest() uint64 {
	d := uint64(14695981039346656037)
	mix := func(word uint64) {
		d = (d ^ word) * 0x9e3779b97f4a7c15
		d ^= d >> 29
	}
	for x := range s.last {
		rt, old := &s.runtimes[x], &s.round.old[x]
		mix(uint64(rt.rest)<<56 | bit(rt.there) | bit(old.changed)<<1 | bit(old.there)<<2 | uint64(rt.view)<<8 | uint64(rt.changes)<<16 |
			uint64(old.view)<<24 | uint64(s.absences[x])<<32 | uint64(s.last[x].moment)<<40 | uint64(s.last[x].shows)<<48)
	}
	for i := range s.looks {
		l := &s.looks[i]
		mix(uint64(l.at) | uint64(l.of)<<4 | bit(l.told)<<5 | uint64(l.reads)<<8 | uint64(l.floor)<<16 |
			uint64(l.view.moment)<<24 | uint64(l.view.shows)<<32 | uint64(l.channel)<<40)
	}
	for i := 1; i < len(s.moments) && s.moments[i] != (moment{}); i += 3 {
		word := uint64(0)
		for j := i; j < i+3; j++ {
			word = word<<16 | uint64(s.moments[j].over)<<8 | uint64(s.moments[j].end)
		}
		mix(word)
	}
	mix(uint64(s.owner.flags)<<32 | uint64(s.owner.ends)<<16 | uint64(s.round.absent))
	mix(uint64(s.owner.found)<<16 | uint64(s.wakes))
	return d
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// fresh returns a moment that nobody has.
func (s *state) fresh() uint8 {
	used := s.owner.flags | s.owner.ends | s.round.absent
	for x := range s.last {
		used.add(s.runtimes[x].view)
		used.add(s.absences[x])
		used.add(s.round.old[x].view)
		used.add(s.last[x].moment)
	}
	for i := range s.looks {
		used.add(s.looks[i].view.moment)
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
