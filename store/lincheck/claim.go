package lincheck

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// Of each runtime at most one input is under way. Those that have inputs which wait, and none
// under way, stand in a line, in the order in which that came to be. So a claim gets the first
// input that it asks for of the first runtime that has one. It is answered when there is one;
// before that it has no place in the order of the calls.

// wanted returns the states of which a claim wants an input.
func (as rules) wanted(c store.Claim) []store.InputLifecycleState {
	if len(c.From) == 0 {
		return as.queue.Ready
	}
	return c.From
}

// ready reports whether a runtime has an input that waits in one of some states, and none under
// way.
func (s *model) ready(of rules, from []store.InputLifecycleState) bool {
	in := func(states []store.InputLifecycleState) bool {
		return slices.ContainsFunc(s.inputs, func(in held) bool { return slices.Contains(states, in.state) })
	}
	return in(from) && !in(of.queue.Busy)
}

// lineUp has the runtimes that an operation has changed stand where they belong. Those that
// come to stand in the line go to its end, in the order in which the operation came to them.
func (w *world) lineUp() {
	for _, id := range w.touched {
		switch ready := w.at(id).ready(w.rules, w.rules.queue.Ready); {
		case !ready:
			w.leaveLine(id)
		case !slices.Contains(w.line, id):
			w.line = append(slices.Clip(w.line), id)
		}
	}
	w.touched = nil
}

func (w *world) leaveLine(id store.RuntimeID) {
	w.line = slices.DeleteFunc(slices.Clone(w.line), func(in store.RuntimeID) bool { return in == id })
}

// touch notes that an operation has changed a runtime.
func (w *world) touch(id store.RuntimeID) {
	if !w.rules.queue.IsZero() && !slices.Contains(w.touched, id) {
		w.touched = append(slices.Clip(w.touched), id)
	}
}

// untouch notes that the runtime is gone. One that is made again is another.
func (w *world) untouch(id store.RuntimeID) {
	if w.rules.queue.IsZero() {
		return
	}
	w.touched = slices.DeleteFunc(slices.Clone(w.touched), func(in store.RuntimeID) bool { return in == id })
	w.leaveLine(id)
}

// turn returns the runtime that has its turn, of those with an input in one of some states. If
// the order is open, it is the one that the store has chosen, if it can be.
func (w *world) turn(from []store.InputLifecycleState, got *answer) (id store.RuntimeID, ok bool) {
	of := func(id store.RuntimeID) bool { return w.at(id).ready(w.rules, from) }
	if w.rules.anyTurn && of(got.claimed) {
		return got.claimed, true
	}
	at := slices.IndexFunc(w.line, of)
	if at < 0 {
		return "", false
	}
	return w.line[at], true
}

// claim moves the input that a claim gets.
func (w *world) claim(c *call, got *answer) (want answer, after *world) {
	if c.flaw != nil {
		return answer{refusal: c.flaw}, w
	}
	from := w.rules.wanted(c.claim)
	id, ok := w.turn(from, got)
	if !ok {
		return answer{waits: true}, w
	}
	before, next, now := w.clone(), *w.at(id), w.next()
	at := slices.IndexFunc(next.inputs, func(in held) bool { return slices.Contains(from, in.state) })
	moved := held{next.inputs[at].moved(c.claim.To, c.claim.At), now.version, now.guessed}
	next.version, next.guessed = now.version, now.guessed
	next.inputs = slices.Clone(next.inputs)
	next.inputs[at] = moved
	w.put(id, &next)
	w.touch(id)
	w.settle(before, 0)
	return answer{found: true, claimed: id, inputs: []input{moved.input}, fence: moved.version}, w
}

// moved returns an input in another state that does not end it, with an entry in its history.
func (in input) moved(to store.InputLifecycleState, at store.Time) input {
	var s store.InputState
	if err := s.UnmarshalJSON([]byte(in.body)); err != nil {
		panic(err) // it was made of a valid one
	}
	s.History = append(s.History, store.HistoryEntry{Timestamp: at, From: in.state, To: to})
	s.CurrentState, s.UpdatedAt = to, at
	next := inputOf(s)
	next.run, next.sequence = in.run, in.sequence
	return next
}

// claim asks for an input, mostly one of any state that waits.
func (g *generator) claim(c *call) {
	c.claim = store.Claim{To: g.queue.Busy[g.pick("to", len(g.queue.Busy))], At: store.TimeOf(time.Unix(int64(g.mark), 0))}
	if g.pick("from some", 3) == 2 {
		c.claim.From = some(g, g.queue.Ready, unknown)
	}
	if g.flawed() {
		c.claim.To = g.queue.Ready[0]
	}
	if slices.Contains(c.claim.From, unknown) || !slices.Contains(g.queue.Busy, c.claim.To) {
		c.flaw = store.ErrInvalidValue
	}
}

// waits has a claim's context end at some moment: while it waits, as it is served, or when
// nobody is left who could bring it anything.
func (p *plan) waits(rng *rand.Rand) {
	if p.ends && p.after >= 0 {
		p.after = rng.IntN(60)
	} else if !p.ends {
		p.ends, p.idles = true, true
	}
}

// endTurn makes a batch that ends the turn of the input which the caller has claimed last, or
// puts it back, if its claim still stands. If it has claimed none, it is about any input.
func (g *generator) endTurn(c *call) {
	w := &call{kind: c.kind, runtime: c.runtime}
	state, ends := g.inputState(0), []store.InputLifecycleState{store.InputConsumed, store.InputConsumed}
	state.CurrentState = slices.Concat(g.queue.Ready, ends)[g.pick("end in", len(g.queue.Ready)+len(ends))]
	w.args, w.inputs = state, []input{inputOf(state)}
	fence := batch.InputVersionIs{RuntimeID: c.runtime, InputID: state.InputID, Version: 1}
	c.runtime, c.endsTurn = "", true
	c.batch = &batched{conditions: []condition{{Condition: fence, runtime: fence.RuntimeID}}, writes: []*call{w}}
}

// claims is where a memory has what the caller has claimed last: no runtime has that id.
const claims = store.RuntimeID("")

// recallClaim has a call end the turn of what the caller has claimed.
func (m memory) recallClaim(c *call) {
	last := m[claims].claimed
	if !c.endsTurn || last.RuntimeID == "" {
		return
	}
	w, state := c.batch.writes[0], last.State
	to := w.args.(store.InputState)
	if err := state.Move(to.CurrentState, to.UpdatedAt, ""); err != nil {
		panic(err)
	}
	w.runtime, w.args, w.inputs = last.RuntimeID, state, []input{inputOf(state)}
	fence := batch.InputVersionIs{RuntimeID: last.RuntimeID, InputID: state.InputID, Version: last.Version}
	c.batch.conditions[0] = condition{Condition: fence, runtime: fence.RuntimeID}
}
