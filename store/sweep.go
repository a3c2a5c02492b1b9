package store

import "time"

// counts are those of the inputs in a terminal state.
type counts struct{ inputs, payloads int }

func (c *counts) count(state *InputState, n int) {
	if hasEnded(state) {
		c.inputs += n
		if state.PersistedInput != nil {
			c.payloads += n
		}
	}
}

func hasEnded(s *InputState) bool { return s != nil && s.CurrentState.IsTerminal() }

func hasPayload(s *InputState) bool { return hasEnded(s) && s.PersistedInput != nil }

// sweep returns those of n inputs that match, at a place or after, which are
// not kept, and when to look for more.
func (k Keep) sweep(inputs list[*InputState], from uint64, n int, match func(*InputState) bool, now Time) (gone []*InputState, next sweep) {
	over := 0
	if k.Last > 0 {
		over = n - k.Last
	}
	if over <= 0 && k.For <= 0 {
		return nil, sweep{from: from}
	}
	next = sweep{from: inputsEnd, due: distantFuture}
	for at, state := range inputs.from(from) {
		if over <= 0 && k.For <= 0 {
			next.from = min(next.from, at)
			break
		}
		if !match(state) {
			continue
		}
		if over > 0 || k.expired(state, now) {
			gone = append(gone, state)
		} else {
			next.note(k, at, state)
		}
		over--
	}
	if soonest := now.Time().Add(k.For / 64); next.due.Before(soonest) {
		next.due = soonest // or each change might go through all inputs
	}
	return gone, next
}

func (k Keep) expired(state *InputState, now Time) bool {
	return k.For > 0 && !now.Time().Before(k.expiry(state))
}

func (k Keep) expiry(state *InputState) time.Time { return state.UpdatedAt.Time().Add(k.For) }

// A sweep says when a Keep may let another input go: when one at this place or
// after is one too many, or when this time has come.
type sweep struct {
	from uint64
	due  time.Time
}

const inputsEnd = 1<<64 - 1

var distantFuture = time.Unix(1<<40, 0)

// note takes notice of an input that matches.
func (w *sweep) note(k Keep, at uint64, state *InputState) {
	w.from = min(w.from, at)
	if k.For > 0 {
		if expiry := k.expiry(state); expiry.Before(w.due) {
			w.due = expiry
		}
	}
}

// due is when a State's Retention may have something to do with a runtime. The
// zero value says now.
type due struct {
	runs             []RunID // that may have one receipt too many
	inputs, payloads sweep
}

// touch takes notice of a new receipt. The one that was the latest until then
// may go now.
func (d *due) touch(rt *runtime, receipt *Receipt) {
	d.runs = append(d.runs, receipt.RunID)
	if rt.latest != nil {
		d.runs = append(d.runs, rt.latest.RunID)
	}
}

func (d *due) note(k Retention, at uint64, state *InputState) {
	if !hasEnded(state) {
		return
	}
	d.inputs.note(k.Inputs, at, state)
	if hasPayload(state) {
		d.payloads.note(k.Payloads, at, state)
	}
}

// retain removes what the State's Retention lets go of a runtime that has
// changed, without a look at all of it.
func (s *State) retain(rt *runtime) {
	if rt.deleted || rt.due == nil {
		return
	}
	k, d := s.Retention, rt.due
	for _, id := range d.runs {
		if r, _, ok := rt.runs.find(id); ok {
			s.remove(rt, gone{receipts: k.pruneRun(r, rt.latest)})
		}
	}
	d.runs = d.runs[:0]
	s.remove(rt, gone{runs: k.pruneRuns(rt.runs.values, rt.latest)})
	s.remove(rt, gone{inputs: d.inputs.again(k.Inputs, rt.inputs.values, rt.ended.inputs, hasEnded, s.Now)})
	s.remove(rt, gone{payloads: d.payloads.again(k.Payloads, rt.inputs.values, rt.ended.payloads, hasPayload, s.Now)})
}

// again looks for more if there may be some: at all inputs if one may be too old,
// else at the first ones.
func (w *sweep) again(k Keep, inputs list[*InputState], n int, match func(*InputState) bool, now Time) (gone []*InputState) {
	switch {
	case k.For > 0 && !now.Time().Before(w.due):
		gone, *w = k.sweep(inputs, w.from, n, match, now)
	case k.Last > 0 && n > k.Last:
		first, next := Keep{Last: k.Last}.sweep(inputs, w.from, n, match, now)
		gone, w.from = first, next.from
	}
	return gone
}
