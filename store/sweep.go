package store

import (
	"iter"
	"time"
)

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

// only yields the inputs of a list that match.
func only(inputs list[*InputState], match func(*InputState) bool) iter.Seq[*InputState] {
	return func(yield func(*InputState) bool) {
		for state := range inputs.all() {
			if match(state) && !yield(state) {
				return
			}
		}
	}
}

// sweep returns those of n inputs that are not kept, and when the next one will
// be too old.
func (k Keep) sweep(inputs iter.Seq[*InputState], n int, now Time) (gone []*InputState, next time.Time) {
	next = distantFuture
	over := 0
	if k.Last > 0 {
		over = n - k.Last
	}
	for state := range inputs {
		switch {
		case over <= 0 && k.For <= 0:
			return gone, next
		case over > 0 || k.expired(state, now):
			gone = append(gone, state)
		default:
			if at := k.expiry(state); at.Before(next) {
				next = at
			}
		}
		over--
	}
	return gone, next
}

func (k Keep) expired(state *InputState, now Time) bool {
	return k.For > 0 && !now.Time().Before(k.expiry(state))
}

func (k Keep) expiry(state *InputState) time.Time { return state.UpdatedAt.Time().Add(k.For) }

var distantFuture = time.Unix(1<<40, 0)

// due is what a State's Retention has to look at in a runtime, so that it need
// not look at all of it.
type due struct {
	runs             []RunID // that may have a receipt too many
	looked           bool    // else any run may
	inputs, payloads sweep   // of those that have ended, and those of them with a payload
}

// A sweep knows the inputs that a Keep is about.
type sweep struct {
	inputs list[*InputState] // by place
	late   []*InputState     // that were too old when they came
	due    time.Time         // when another one is too old
	floor  time.Time         // before this it is not looked, or each change might go through all
}

// newDue returns what there is to look at in a runtime that was not looked at
// before: all of it.
func newDue(rt *runtime) *due {
	d := new(due)
	for at, state := range rt.inputs.values.from(0) {
		d.set(at, state)
	}
	return d
}

// set puts an input, nil if there is none, in its place.
func (d *due) set(at uint64, state *InputState) {
	d.inputs.set(at, state, hasEnded(state))
	d.payloads.set(at, state, hasPayload(state))
}

func (w *sweep) set(at uint64, state *InputState, matches bool) {
	if matches {
		w.inputs.set(at, state)
	} else {
		w.inputs.remove(at)
	}
}

// note takes notice of when a new input will be too old, nil if there is none.
func (d *due) note(k Retention, now Time, state *InputState) {
	if hasEnded(state) {
		d.inputs.note(k.Inputs, now, state)
	}
	if hasPayload(state) {
		d.payloads.note(k.Payloads, now, state)
	}
}

func (w *sweep) note(k Keep, now Time, state *InputState) {
	switch at := k.expiry(state); {
	case k.For <= 0:
	case k.expired(state, now):
		w.late = append(w.late, state)
	case at.Before(w.due):
		w.due = at
	}
}

// touch takes notice of a new receipt. The one that was the latest until then
// may go now.
func (d *due) touch(rt *runtime, receipt *Receipt) {
	d.runs = append(d.runs, receipt.RunID)
	if rt.latest != nil {
		d.runs = append(d.runs, rt.latest.RunID)
	}
}

// retain removes what the State's Retention lets go of a runtime that has
// changed.
func (s *State) retain(rt *runtime) {
	if rt.deleted || rt.due == nil {
		return
	}
	k, d := s.Retention, rt.due
	if !d.looked {
		d.runs, d.looked = nil, true
		for r := range rt.runs.values.all() {
			d.runs = append(d.runs, r.id)
		}
	}
	for _, id := range d.runs {
		if r, _, ok := rt.runs.find(id); ok {
			s.remove(rt, gone{receipts: k.pruneRun(r, rt.latest)})
		}
	}
	d.runs = d.runs[:0]
	s.remove(rt, gone{runs: k.pruneRuns(rt.runs.values, rt.latest)})
	s.remove(rt, gone{inputs: d.inputs.gone(k.Inputs, s.Now)})
	s.remove(rt, gone{payloads: d.payloads.gone(k.Payloads, s.Now)})
}

// gone returns the inputs that are not kept, and some that are not there any
// more.
func (w *sweep) gone(k Keep, now Time) []*InputState {
	gone := w.late
	w.late = nil
	var more []*InputState
	if at := now.Time(); k.For > 0 && !at.Before(w.due) && !at.Before(w.floor) {
		more, w.due = k.sweep(w.inputs.all(), w.inputs.len, now)
		w.floor = at.Add(k.For / 64)
	} else if k.Last > 0 {
		more, _ = Keep{Last: k.Last}.sweep(w.inputs.all(), w.inputs.len, now)
	}
	return append(gone, more...)
}

// forget makes the next look one at everything, since what was let go is there
// again.
func (d *due) forget() {
	d.looked = false
	for _, w := range []*sweep{&d.inputs, &d.payloads} {
		w.late, w.due, w.floor = nil, time.Time{}, time.Time{}
	}
}
