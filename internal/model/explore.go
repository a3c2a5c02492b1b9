package model

import (
	"hash/maphash"
	"slices"
)

// A Report is what an exploration has found.
type Report struct {
	States    int    // with those that differ by a renaming of callers and closers
	Visited   int    // without
	Steps     int    // between those visited
	Violation string // the first promise that does not hold; "" if all do
	Trace     []string
}

// Explore visits the states of a protocol, the nearest first, until one breaks a
// promise, all are visited, or the number of them is most. No trace is shorter than
// the one it finds.
func Explore(p Protocol, most int) Report {
	x := explorer{moves: moves{Protocol: p}, seed: maphash.MakeSeed(), table: make([]uint32, 1<<10)}
	x.visit(start(), 0)
	for at := 0; at < x.Visited && x.Violation == "" && x.Visited < most; at++ {
		x.expand(uint32(at))
	}
	return x.Report
}

type explorer struct {
	moves
	Report
	found [][]node // in the order in which they were found, in chunks that are never copied
	table []uint32 // their places, from 1, by hash; a power of two, and never full
	seed  maphash.Seed
}

type node struct {
	state
	from uint32
}

const chunk = 1 << 12

// visit adds a state, unless it was found before.
func (x *explorer) visit(s state, from uint32) {
	s, orbit := x.canonical(s)
	at := x.place(&s)
	if x.table[at] != 0 {
		return
	}
	if x.Visited%chunk == 0 {
		x.found = append(x.found, make([]node, chunk))
	}
	*x.node(uint32(x.Visited)) = node{s, from}
	x.Visited++
	x.States += orbit
	x.table[at] = uint32(x.Visited)
	if 2*x.Visited > len(x.table) {
		x.table = make([]uint32, 2*len(x.table))
		for i := range uint32(x.Visited) {
			x.table[x.place(&x.node(i).state)] = i + 1
		}
	}
}

func (x *explorer) node(at uint32) *node { return &x.found[at/chunk][at%chunk] }

// place is where a state stands in the table, or would.
func (x *explorer) place(s *state) int {
	last := len(x.table) - 1
	at := int(maphash.Comparable(x.seed, *s)) & last
	for x.table[at] != 0 && x.node(x.table[at]-1).state != *s {
		at = (at + 1) & last
	}
	return at
}

// expand takes each step that can be done in a state.
func (x *explorer) expand(at uint32) {
	s := x.node(at).state
	x.list(&s)
	if broken := x.standing(&s); broken != "" {
		x.refute(at, broken)
		return
	}
	rank := x.rank(&s)
	for i := range x.all {
		step := &x.all[i]
		if step.broken == "" && x.rank(&step.next) <= rank {
			step.broken = "a step leads back: a run may have no end"
		}
		if step.broken != "" {
			x.refute(at, step.broken)
			return
		}
		x.Steps++
		x.visit(step.next, at)
	}
}

// canonical renames callers, closers and requests, so that states that differ by
// names only are equal. It returns how many such states with other names of callers
// and closers there are, this one among them. Two callers of one key are alike in
// everything, since others reach them by their requests only.
func (x *explorer) canonical(s state) (state, int) {
	var keys [maxCallers]uint64
	for i := range x.Callers {
		keys[i] = s.key(&s.callers[i])<<8 | uint64(i)
	}
	named, orbit := keys[:x.Callers], 1
	if !x.AllNames {
		closers := s.closers[:x.Closers]
		slices.Sort(named)
		slices.Sort(closers)
		orbit = ways(named, func(a, b uint64) bool { return a>>8 == b>>8 }) *
			ways(closers, func(a, b uint8) bool { return a == b })
	}

	n := s
	n.requests = [maxRequests + 1]request{}
	var names [256]uint8
	names[stop] = stop
	count := uint8(0)
	name := func(r uint8) uint8 {
		if r != 0 && names[r] == 0 {
			count++
			names[r] = count
			n.requests[count] = s.requests[r]
		}
		return names[r]
	}
	for i, key := range named {
		n.callers[i] = s.callers[key&255]
		n.callers[i].request = name(n.callers[i].request)
	}
	for i, r := range s.inbox[:s.length] {
		n.inbox[i] = name(r)
	}
	n.owner.request = name(s.owner.request)
	for r := range s.requests {
		if s.requests[r].fate == pooled {
			name(uint8(r))
		}
	}
	return n, orbit
}

// key is all of a caller but names.
func (s *state) key(c *caller) uint64 {
	r := &s.requests[c.request]
	key := uint64(c.at)<<12 | uint64(c.calls)<<8 | uint64(c.left)<<4 | uint64(c.got)
	key = key<<16 | uint64(r.claim)<<12 | uint64(r.answer)<<8 | uint64(r.fate)<<4
	if r.applied {
		key |= 1
	}
	if r.inTime {
		key |= 2
	}
	where := uint64(0) // of its request: a bit for each place of the inbox, one for the owner
	if c.request != 0 {
		for i, in := range s.inbox[:s.length] {
			if in == c.request {
				where |= 1 << i
			}
		}
		if s.owner.request == c.request {
			where |= 1 << maxInbox
		}
	}
	return key<<8 | where
}

// ways is the number of orders of things, of which some are alike and side by side.
func ways[T any](things []T, alike func(a, b T) bool) int {
	n, same := 1, 1
	for i := 1; i < len(things); i++ {
		same++
		if !alike(things[i-1], things[i]) {
			same = 1
		}
		n = n * (i + 1) / same
	}
	return n
}
