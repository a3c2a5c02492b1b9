package state

import "github.com/loopstore/loopstore/store"

// A run holds the receipts of one run, by sequence. It does not change any more
// once a View shows it: openRun puts a clone in its place.
type run struct {
	id       store.RunID
	receipts list[*Receipt]
	highest  uint64
	clones   int // the runtime's, when this was made
}

// A dropped run has no receipts any more. What is left of it keeps its
// sequences from being minted again.
type dropped struct {
	id      store.RunID
	highest uint64
}

// swap puts a receipt at a sequence, nil to remove the one that stands, and
// returns that.
func (r *run) swap(sequence uint64, receipt *Receipt) *Receipt {
	if receipt == nil {
		return r.receipts.remove(sequence)
	}
	return r.receipts.set(sequence, receipt)
}

func (r *run) get(sequence uint64) *Receipt {
	receipt, _ := r.receipts.get(sequence)
	return receipt
}

// openRun returns the place of a run to change, a new one if it is unknown.
func (s *State) openRun(rt *runtime, id store.RunID) (at uint64) {
	r, at, ok := rt.runs.find(id)
	switch {
	case !ok:
		r = &run{id: id, clones: rt.clones}
		if left, place, ok := rt.dropped.find(id); ok {
			r.highest = left.highest
			s.set(rt, part{kind: aDropped, at: place}, value{})
		}
		s.set(rt, part{kind: aRun, at: at}, value{run: r})
	case r.clones != rt.clones:
		receipts := r.receipts // to copy a list is to write to it, and a View may be reading r's
		rt.runs.put(id, at, &run{id, receipts.copy(), r.highest, rt.clones})
	}
	return at
}

// raise makes a run's highest sequence no less than this.
func (s *State) raise(rt *runtime, at, sequence uint64) {
	if r, _ := rt.runs.values.get(at); sequence > r.highest {
		s.set(rt, part{kind: theHighest, at: at}, value{number: sequence})
	}
	s.raiseAll(rt, sequence)
}

// raiseAll makes the highest sequence of all runs no less than this.
func (s *State) raiseAll(rt *runtime, sequence uint64) {
	if sequence > rt.highest {
		s.set(rt, part{kind: theHighestOfAll}, value{number: sequence})
	}
}

// highestOfAll returns the highest sequence of any run, if there was one.
func (rt *runtime) highestOfAll() sequence {
	return sequence{rt.highest, rt.few().floor.there || rt.runs.next+rt.dropped.next > 0}
}

// A sequence is that of a receipt, if there is one.
type sequence struct {
	number uint64
	there  bool
}

func (q *sequence) swap(v *value) {
	q.number, v.number = v.number, q.number
	q.there, v.there = v.there, q.there
}

// dropRun removes a run, but for its highest sequence.
func (s *State) dropRun(rt *runtime, r *run) {
	_, at, _ := rt.runs.find(r.id)
	s.set(rt, part{kind: aRun, at: at}, value{})
	_, at, _ = rt.dropped.find(r.id)
	s.set(rt, part{kind: aDropped, at: at}, value{dropped: &dropped{r.id, r.highest}})
}

// UseSequences makes the next receipt that is minted for a run come after a
// sequence.
func (s *State) UseSequences(id store.RuntimeID, run store.RunID, highest uint64) {
	rt := s.open(id)
	if _, _, ok := rt.runs.find(run); ok {
		s.raise(rt, s.openRun(rt, run), highest)
		return
	}
	left, at, _ := rt.dropped.find(run)
	s.set(rt, part{kind: aDropped, at: at}, value{dropped: &dropped{run, max(left.highest, highest)}})
	s.raiseAll(rt, highest)
}

func (r *run) runID() store.RunID { return r.id }

func (rt *runtime) swapDropped(at uint64, left *dropped) *dropped {
	old, ok := rt.dropped.values.get(at)
	if left != nil {
		rt.dropped.put(left.id, at, *left)
	} else if ok {
		rt.dropped.values.remove(at)
		delete(rt.dropped.places, old.id)
	}
	if !ok {
		return nil
	}
	return &old
}

// highestOf returns the highest sequence that a run has had, if it had one.
func (rt *runtime) highestOf(id store.RunID) (highest uint64, ok bool) {
	if r, _, ok := rt.runs.find(id); ok {
		return r.highest, true
	}
	left, _, ok := rt.dropped.find(id)
	return left.highest, ok
}
