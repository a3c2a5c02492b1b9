package round

import (
	"bytes"
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

// Canonical renames callers, and their requests with them, so that states which differ by
// names only are equal. It returns how many such states there are.
func (m *machine) Canonical(s state) (state, int) {
	if m.AllNames {
		return s, 1
	}
	var keys [maxCallers]key
	for i := range m.Callers {
		keys[i] = m.key(&s, i)
	}
	named := keys[:m.Callers]
	slices.SortFunc(named, func(a, b key) int { return bytes.Compare(a.of[:], b.of[:]) })

	n := s
	var names [256]uint8
	names[stop] = stop
	n.batch = 0
	for i, k := range named {
		n.callers[i] = s.callers[k.caller]
		for call := range uint8(m.Calls) {
			from, to := m.request(k.caller, call), m.request(i, call)
			names[from] = to
			n.requests[to] = s.requests[from]
			n.batch |= s.batch >> from & 1 << to
		}
	}
	for _, q := range n.queues() {
		for i, at := range q.all() {
			q.of[i] = names[at]
		}
	}
	n.owner.current = names[n.owner.current]
	return n, model.Ways(named, func(a, b key) bool { return a.of == b.of })
}

func (s *state) queues() [5]*queue {
	return [...]*queue{&s.inbox, &s.owner.round, &s.owner.loads, &s.owner.writes, &s.owner.again}
}

// A key is all of a caller but its name. Two callers of one key are alike in everything.
type key struct {
	of     [2 + 11*maxRequests]byte
	caller int
}

func (m *machine) key(s *state, caller int) key {
	k := key{caller: caller}
	c := s.callers[caller]
	of := append(k.of[:0], c.at, c.calls)
	for call := range uint8(m.Calls) {
		at := m.request(caller, call)
		r, flags := &s.requests[at], uint8(0)
		for _, set := range []bool{r.changed, r.stored, r.retried, s.owner.current == at, s.batch>>at&1 == 1} {
			if flags <<= 1; set {
				flags++
			}
		}
		place := 0
		for i, q := range s.queues() {
			if in := slices.Index(q.all(), at); in >= 0 {
				place = 16*(i+1) + in
			}
		}
		of = append(of, r.kind, r.runtime, r.claim, r.answer, r.floor, r.version, r.steps, flags, uint8(place))
	}
	return k
}
