package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/loopstore/loopstore/store"
)

// A Queue says which inputs wait to be claimed, by their states. A runtime has its turn
// while one of its inputs is under way. The zero value says that nothing is ever claimed.
type Queue struct {
	Ready []store.InputLifecycleState // in one of which an input waits
	Busy  []store.InputLifecycleState // in one of which it is under way
}

// Clone returns a copy that shares nothing with q.
func (q Queue) Clone() Queue { return Queue{slices.Clone(q.Ready), slices.Clone(q.Busy)} }

// IsZero reports whether nothing is ever claimed.
func (q Queue) IsZero() bool { return len(q.Ready)+len(q.Busy) == 0 }

// Validate returns a *store.ValueError unless there are states of both kinds, none of which
// ends an input, and none of both kinds.
func (q Queue) Validate() error {
	if err := cmp.Or(validQueued("ready", q.Ready), validQueued("busy", q.Busy)); err != nil {
		return err
	}
	if slices.ContainsFunc(q.Ready, func(s store.InputLifecycleState) bool { return slices.Contains(q.Busy, s) }) {
		return &store.ValueError{Field: "busy", Reason: "a state that is ready, too"}
	}
	return nil
}

func validQueued(field string, states []store.InputLifecycleState) error {
	switch {
	case len(states) == 0:
		return &store.ValueError{Field: field, Reason: "empty"}
	case slices.ContainsFunc(states, store.InputLifecycleState.IsTerminal):
		return &store.ValueError{Field: field, Reason: "a state that ends an input"}
	}
	return validStates(field, states)
}

// A Claimed input is one that was claimed.
type Claimed struct {
	RuntimeID store.RuntimeID `json:"runtime_id"`
	Input                     // as it is now. Its version fences whoever claimed it
}

// Lines is a set of the lines of a State. There is one for each state in which inputs wait.
// In it stand the runtimes that have such inputs, and none under way, in the order in which
// that came to be.
type Lines uint8

// waiting is how many states there are in which an input may wait: those of the first codes.
const waiting = 5

func (l Lines) has(code int) bool { return l&(1<<code) != 0 }

// allLines are those of a State.
type allLines struct {
	of      [waiting]list[store.RuntimeID] // by the code of the state, and by ticket
	tickets uint64                         // that were given
	valid   bool                           // the Queue is; it does not change
}

// A turn is what is known of a runtime for its turns. Clones share it.
type turn struct {
	ready  [waiting]list[struct{}] // the places of the inputs that wait, by the code of their state
	in     Lines                   // that it stands in
	ticket uint64                  // its place in each of them
}

// isReady reports whether an input waits, and the code of its state.
func (s *State) isReady(in input) (code int, ready bool) {
	if !in.there() || !slices.Contains(s.Queue.Ready, in.CurrentState) {
		return 0, false
	}
	code = slices.Index(lifecycleCodes, in.CurrentState)
	return code, code < waiting
}

// noteTurn takes notice of an input that took the place of another.
func (s *State) noteTurn(rt *runtime, at uint64, old, in input) {
	if code, ready := s.isReady(old); ready {
		rt.turn.ready[code].remove(at)
	}
	if code, ready := s.isReady(in); ready {
		if rt.turn == nil {
			rt.turn = new(turn)
		}
		rt.turn.ready[code].set(at, struct{}{})
	}
}

// queue puts a runtime, which has changed, in the lines in which it should stand. One that
// comes to stand in none before goes to their end.
func (s *State) queue(rt *runtime) {
	t := rt.turn
	if t == nil {
		return
	}
	var in Lines
	if !rt.deleted && rt.counts.in(s.Queue.Busy) == 0 {
		for code := range t.ready {
			if t.ready[code].len > 0 {
				in |= 1 << code
			}
		}
	}
	if t.in == 0 && in != 0 {
		t.ticket = s.lines.tickets
		s.lines.tickets++
	}
	for code := range s.lines.of {
		switch line := &s.lines.of[code]; {
		case t.in.has(code) && !in.has(code):
			line.remove(t.ticket)
		case in.has(code) && !t.in.has(code):
			line.set(t.ticket, rt.id)
		}
	}
	t.in = in
}

// queueAll makes the lines of a State that was built up: who waits longest is first.
func (s *State) queueAll() {
	if s.Queue.IsZero() {
		return
	}
	type waits struct {
		rt    *runtime
		since uint64
	}
	var all []waits
	for rt := range s.order.all() {
		if in, ok := rt.oldest(^Lines(0)); ok {
			all = append(all, waits{rt, in.version})
		}
	}
	slices.SortStableFunc(all, func(a, b waits) int { return cmp.Compare(a.since, b.since) })
	for _, w := range all {
		s.queue(w.rt)
	}
}

// requeue gives a State another queue.
func (s *State) requeue(q Queue) {
	s.Queue, s.lines = q, allLines{}
	for rt := range s.order.all() {
		rt.turn = nil
		for at, in := range rt.inputs.values.from(0) {
			s.noteTurn(rt, at, input{}, in)
		}
	}
	s.queueAll()
}

// oldest returns the first input that waits in one of these lines.
func (rt *runtime) oldest(l Lines) (in input, ok bool) {
	if rt.turn == nil {
		return in, false
	}
	first, ok := lowest(&rt.turn.ready, l)
	if ok {
		in, _ = rt.inputs.values.get(first.number)
	}
	return in, ok
}

// lowest returns what has the lowest number in any of some lists.
func lowest[V any](lists *[waiting]list[V], of Lines) (first item[V], ok bool) {
	for code := range lists {
		if l := &lists[code]; of.has(code) && l.len > 0 && (!ok || l.chunks[0].items[0].number < first.number) {
			first, ok = l.chunks[0].items[0], true
		}
	}
	return first, ok
}

// LinesOf returns the lines that a claim is for. The error is errors.ErrUnsupported, or a
// *store.ValueError that says what the Queue does not have.
func (s *State) LinesOf(c store.Claim) (l Lines, err error) {
	if s.Queue.IsZero() {
		return 0, fmt.Errorf("%w: Options.Queue is not set", errors.ErrUnsupported)
	}
	if !s.lines.valid {
		if err := s.Queue.Validate(); err != nil {
			return 0, store.InField("queue", err)
		}
		s.lines.valid = true
	}
	if !slices.Contains(s.Queue.Busy, c.To) {
		return 0, &store.ValueError{Field: "claim.to", Reason: fmt.Sprintf("not one of the queue's busy states, %q", s.Queue.Busy)}
	}
	from := c.From
	if len(from) == 0 {
		from = s.Queue.Ready
	}
	for _, state := range from {
		if !slices.Contains(s.Queue.Ready, state) {
			return 0, &store.ValueError{Field: "claim.from", Reason: fmt.Sprintf("not one of the queue's ready states, %q", s.Queue.Ready)}
		}
		l |= 1 << slices.Index(lifecycleCodes, state)
	}
	return l, nil
}

// Next returns the input that is to be claimed next, of the runtime that stands first in
// one of these lines, nil if none stands there.
func (s *State) Next(l Lines) (id store.RuntimeID, state *store.InputState) {
	first, ok := lowest(&s.lines.of, l)
	if !ok {
		return "", nil
	}
	in, _ := s.runtimes[first.value].oldest(l)
	return first.value, in.InputState
}
