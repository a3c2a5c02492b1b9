package store

import "time"

// A Retention says what is kept of a runtime. The zero value keeps everything.
//
// Whatever it says, these stay: inputs that are in no terminal state, the
// receipt that was stored last, and the run that this is of. A run whose
// receipts have all gone leaves about 100 bytes behind, so that none of its
// sequences is ever minted again.
type Retention struct {
	ReceiptsPerRun int  // with the highest sequences of each run; 0 means all
	Runs           int  // whose first receipts were stored last; 0 means all
	Inputs         Keep // of the inputs in a terminal state
	Payloads       Keep // of those that stay and have a PersistedInput: it alone goes
}

// A Keep says which inputs are kept: those that are both among the last and
// young enough.
type Keep struct {
	Last int           // in the order of the inputs; 0 means all
	For  time.Duration // after UpdatedAt; 0 means for ever
}

// Removed says how much has gone.
type Removed struct {
	Totals
	Payloads int `json:"payloads"` // of inputs that are still there
}

// Validate returns a *ValueError if a part of k is negative.
func (k Retention) Validate() error {
	for _, part := range []struct {
		field string
		value int64
	}{
		{"receipts_per_run", int64(k.ReceiptsPerRun)},
		{"runs", int64(k.Runs)},
		{"inputs.last", int64(k.Inputs.Last)},
		{"inputs.for", int64(k.Inputs.For)},
		{"payloads.last", int64(k.Payloads.Last)},
		{"payloads.for", int64(k.Payloads.For)},
	} {
		if part.value < 0 {
			return &ValueError{Field: part.field, Reason: "negative"}
		}
	}
	return nil
}

// Prune removes what a Retention lets go of a runtime at a time.
func (s *State) Prune(id RuntimeID, keep Retention, now Time) Removed {
	rt := s.runtimes[id]
	if rt == nil {
		return Removed{}
	}
	gone := keep.prune(rt.runs.values, rt.latest, rt.inputs.values, rt.ended, now)
	s.remove(rt, gone)
	return gone.removed()
}

// WouldPrune returns what State.Prune would remove of the runtime if it were as
// it is here.
func (v *View) WouldPrune(keep Retention, now Time) Removed {
	gone := keep.prune(v.runs, v.latest, v.inputs.values, v.ended, now)
	return gone.removed()
}

// gone is what a Retention lets go.
type gone struct {
	runs     []*run
	receipts []*Receipt // of other runs
	inputs   []*InputState
	payloads []*InputState // other inputs
}

func (k Retention) prune(runs list[*run], latest *Receipt, inputs list[*InputState], ended counts, now Time) (g gone) {
	g.runs = k.pruneRuns(runs, latest)
	drop := make(map[*run]bool, len(g.runs))
	for _, r := range g.runs {
		drop[r] = true
	}
	for r := range runs.all() {
		if !drop[r] {
			g.receipts = append(g.receipts, k.pruneRun(r, latest)...)
		}
	}
	g.inputs, _ = k.Inputs.sweep(only(inputs, hasEnded), ended.inputs, now)
	going := make(map[*InputState]bool, len(g.inputs))
	for _, state := range g.inputs {
		going[state] = true
		ended.count(state, -1)
	}
	stays := func(state *InputState) bool { return hasPayload(state) && !going[state] }
	g.payloads, _ = k.Payloads.sweep(only(inputs, stays), ended.payloads, now)
	return g
}

// pruneRuns returns the first runs that are more than are kept.
func (k Retention) pruneRuns(runs list[*run], latest *Receipt) (gone []*run) {
	over := runs.len - k.Runs
	if k.Runs <= 0 || over <= 0 {
		return nil
	}
	for r := range runs.all() {
		if r.id != latest.RunID {
			gone = append(gone, r)
		}
		if over--; over == 0 {
			break
		}
	}
	return gone
}

// pruneRun returns the first receipts of a run that are more than are kept.
func (k Retention) pruneRun(r *run, latest *Receipt) (gone []*Receipt) {
	over := r.receipts.len - k.ReceiptsPerRun
	if k.ReceiptsPerRun <= 0 || over <= 0 {
		return nil
	}
	for receipt := range r.receipts.all() {
		if receipt != latest {
			gone = append(gone, receipt)
		}
		if over--; over == 0 {
			break
		}
	}
	return gone
}

// removed counts it.
func (g *gone) removed() (n Removed) {
	for _, r := range g.runs {
		n.addRun(r, 1)
		n.addDropped(-1) // it stays
	}
	for _, receipt := range g.receipts {
		n.addReceipt(receipt, 1)
	}
	for _, state := range g.inputs {
		n.addInput(state, 1)
	}
	for _, state := range g.payloads {
		n.Payloads++
		n.InputBytes += int64(len(state.PersistedInput))
	}
	return n
}

// remove does it.
func (s *State) remove(rt *runtime, g gone) {
	if len(g.runs)+len(g.receipts)+len(g.inputs)+len(g.payloads) == 0 {
		return
	}
	rt = s.change(rt)
	for _, r := range g.runs {
		s.dropRun(rt, r)
	}
	for _, receipt := range g.receipts {
		s.deleteReceipt(rt, receipt)
	}
	for _, state := range g.inputs {
		if s.InputState(rt.id, state.InputID) == state {
			s.DeleteInputState(rt.id, state.InputID)
		}
	}
	for _, state := range g.payloads {
		if s.InputState(rt.id, state.InputID) == state {
			bare := *state
			bare.PersistedInput = nil
			s.PutInputState(rt.id, &bare)
		}
	}
}
