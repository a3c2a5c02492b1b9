package store

// run holds the receipts of one run, by sequence. It does not change any more
// once a copy of it was made.
type run struct {
	id       RunID
	receipts list[*Receipt]
	highest  uint64
	copies   int // the runtime's, when this was made
}

// A dropped run has no receipts any more. What is left of it keeps its
// sequences from being minted again.
type dropped struct {
	id      RunID
	highest uint64
}

// copy returns a run with the same receipts.
func (r *run) copy(copies int) *run {
	receipts := r.receipts // to copy a list is to write to it, and a view may be reading r's
	return &run{id: r.id, receipts: receipts.copy(), highest: r.highest, copies: copies}
}

func (r *run) set(sequence uint64, receipt *Receipt) {
	if receipt == nil {
		r.receipts.remove(sequence)
	} else {
		r.receipts.set(sequence, receipt)
	}
}

func (r *run) get(sequence uint64) *Receipt {
	receipt, _ := r.receipts.get(sequence)
	return receipt
}

// PutReceipt adds a receipt, or replaces the one at its run and sequence.
func (s *State) PutReceipt(id RuntimeID, receipt *Receipt) {
	rt := s.open(id)
	r := s.openRun(rt, receipt.RunID)
	s.setReceipt(rt, r, receipt.Sequence, r.get(receipt.Sequence), receipt)
	s.raise(rt, r, receipt.Sequence)
	if rt.due != nil {
		rt.due.touch(rt, receipt)
	}
	s.setLatest(rt, receipt)
}

func (s *State) setLatest(rt *runtime, receipt *Receipt) {
	if s.undoing() {
		old := rt.latest
		s.undo = append(s.undo, func() { rt.latest = old })
	}
	rt.latest = receipt
}

// deleteReceipt removes a receipt of a runtime that may be changed. It must not
// be the latest, nor the last of its run.
func (s *State) deleteReceipt(rt *runtime, receipt *Receipt) {
	s.setReceipt(rt, s.openRun(rt, receipt.RunID), receipt.Sequence, receipt, nil)
}

// setReceipt puts a receipt in the place of another. Either may be nil.
func (s *State) setReceipt(rt *runtime, r *run, sequence uint64, old, receipt *Receipt) {
	if s.undoing() {
		s.undo = append(s.undo, func() { r.set(sequence, old) })
	}
	s.noteRun(rt, r, partReceipt, sequence)
	r.set(sequence, receipt)
	for _, held := range s.holders(rt) {
		held.addReceipt(old, -1)
		held.addReceipt(receipt, 1)
	}
}

// raise makes a run's highest sequence no less than this.
func (s *State) raise(rt *runtime, r *run, sequence uint64) {
	old := r.highest
	if s.undoing() {
		s.undo = append(s.undo, func() { r.highest = old })
	}
	s.noteRun(rt, r, partRun, 0)
	r.highest = max(old, sequence)
}

// UseSequences makes the next receipt that is minted for a run come after a
// sequence.
func (s *State) UseSequences(id RuntimeID, run RunID, highest uint64) {
	rt := s.open(id)
	if _, _, ok := rt.runs.find(run); ok {
		s.raise(rt, s.openRun(rt, run), highest)
		return
	}
	old, at, _ := rt.dropped.find(run)
	s.setDropped(rt, at, dropped{run, max(old.highest, highest)}, true)
}

// openRun returns a run that may be changed, a new one if it is unknown.
func (s *State) openRun(rt *runtime, id RunID) *run {
	old, at, ok := rt.runs.find(id)
	if ok && old.copies == rt.copies {
		return old
	}
	r := &run{id: id, copies: rt.copies}
	if ok {
		r = old.copy(rt.copies)
	} else {
		for _, held := range s.holders(rt) {
			held.addRun(r, 1)
		}
		if left, at, ok := rt.dropped.find(id); ok {
			r.highest = left.highest
			s.setDropped(rt, at, left, false)
		}
	}
	s.setRun(rt, id, at, old, r)
	return r
}

// setRun puts a run in the place of another. Either may be nil.
func (s *State) setRun(rt *runtime, id RunID, at uint64, old, r *run) {
	if s.undoing() {
		s.undo = append(s.undo, func() { rt.setRun(id, at, old) })
	}
	s.note(part{rt: rt, kind: partRun, at: at})
	rt.setRun(id, at, r)
}

func (rt *runtime) setRun(id RunID, at uint64, r *run) {
	if r == nil {
		rt.runs.remove(id, at)
	} else {
		rt.runs.put(id, at, r)
	}
}

// dropRun removes a run, but for its highest sequence.
func (s *State) dropRun(rt *runtime, r *run) {
	_, at, _ := rt.runs.find(r.id)
	s.noteReceipts(rt, r)
	for _, held := range s.holders(rt) {
		held.addRun(r, -1)
	}
	s.setRun(rt, r.id, at, r, nil)
	_, at, _ = rt.dropped.find(r.id)
	s.setDropped(rt, at, dropped{r.id, r.highest}, true)
}

// setDropped puts what is left of a run, or takes it away.
func (s *State) setDropped(rt *runtime, at uint64, left dropped, there bool) {
	if s.undoing() {
		old, _, ok := rt.dropped.find(left.id)
		old.id = left.id
		s.undo = append(s.undo, func() { rt.setDropped(at, old, ok) })
	}
	s.note(part{rt: rt, kind: partDropped, at: at})
	if _, _, was := rt.dropped.find(left.id); was != there {
		n := 1
		if was {
			n = -1
		}
		for _, held := range s.holders(rt) {
			held.addDropped(n)
		}
	}
	rt.setDropped(at, left, there)
}

func (rt *runtime) setDropped(at uint64, left dropped, there bool) {
	if there {
		rt.dropped.put(left.id, at, left)
	} else {
		rt.dropped.remove(left.id, at)
	}
}
