package handoff

import (
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

// Canonical renames callers, closers and requests, so that states that differ by
// names only are equal. It returns how many such states with other names of callers
// and closers there are, this one among them. Two callers of one key are alike in
// everything, since others reach them by their requests only.
func (m *machine) Canonical(s state) (state, int) {
	var keys [maxCallers]uint64
	for i := range m.Callers {
		keys[i] = s.key(&s.callers[i])<<8 | uint64(i)
	}
	named, orbit := keys[:m.Callers], 1
	if !m.AllNames {
		closers := s.closers[:m.Closers]
		slices.Sort(named)
		slices.Sort(closers)
		orbit = model.Ways(named, func(a, b uint64) bool { return a>>8 == b>>8 }) *
			model.Ways(closers, func(a, b uint8) bool { return a == b })
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
