package handoff

import (
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

// search reports whether the logs can be followed from a point to their ends.
func (c *checker) search(p point) bool {
	for {
		for c.quick && c.doAtOnce(&p) {
		}
		if c.best.steps() < p.steps() {
			c.best = p
		}
		if p.steps() == c.events {
			return c.waiting(&p.state) == ""
		}
		var choice []point
		for _, i := range callersFirst {
			if next, ok := c.step(&p, i); ok {
				choice = append(choice, next)
			}
		}
		if len(choice) == 1 {
			p = choice[0]
			continue
		}
		if len(choice) == 0 || c.visited[p] {
			return false
		}
		c.visited[p] = true
		return slices.ContainsFunc(choice, c.search)
	}
}

// callersFirst is an order of the processes in which a right one is soon found.
var callersFirst = func() (order []int) {
	for i := range processes - 1 {
		order = append(order, i+1)
	}
	return append(order, int(theOwner))
}()

func (p *point) steps() (sum int) {
	for _, at := range p.at {
		sum += int(at)
	}
	return sum
}

// doAtOnce does steps that need no choice, if there are any: see atOnce.
func (c *checker) doAtOnce(p *point) (moved bool) {
	for i := range c.logs {
		for {
			next, ok := c.step(p, i)
			if ok && !c.atOnce(p, i) {
				next, ok = c.whole(next, i)
			}
			if !ok {
				break
			}
			*p, moved = next, true
		}
	}
	return moved
}

// atOnce reports whether the next step of a process, which can be done, may be done
// before any of another: if there is an order for the rest of the logs, there is one
// that begins with it. It is a step that changes only where its process stands, or
// that others can only gain by. A send and a store of the phase are so too, since step
// lets them be done only when it is their turn. A receive is not: others may still find
// the inbox full. Nor is the begin of a call, if another may have to use its request
// before.
func (c *checker) atOnce(p *point, i int) bool {
	e := &c.logs[i][p.at[i]]
	switch e.What {
	case "receives a request", "receives the request to stop", "receives a request, to refuse it", "drops a request to stop":
		return false
	case "begins a call":
		return !c.otherUse(p, e, func(u use) bool { return e.use.turn == anyTurn || u.turn <= e.use.turn })
	}
	return true
}

// otherUse reports whether another caller has yet to use an event's request, in such a
// way.
func (c *checker) otherUse(p *point, e *entry, such func(use) bool) bool {
	return slices.ContainsFunc(c.uses[e.Request], func(u use) bool {
		return u.caller != e.use.caller && int(p.at[u.caller]) <= u.from && such(u)
	})
}

// whole does all of a call that has begun, if nobody else sees anything of it and all
// of it can be done now. Then it is as if it had not been.
func (c *checker) whole(p point, i int) (point, bool) {
	u := c.logs[i][p.at[i]-1].use
	if u.to == 0 || u.turn != anyTurn {
		return p, false
	}
	ok := true
	for ok && int(p.at[i]) < u.to {
		p, ok = c.step(&p, i)
	}
	return p, ok
}

// step does the next step of a process, if it has one that can be done.
func (c *checker) step(p *point, i int) (point, bool) {
	if int(p.at[i]) == len(c.logs[i]) {
		return point{}, false
	}
	e := &c.logs[i][p.at[i]]
	if c.quick && c.early(p, e) != "" {
		return point{}, false
	}
	for _, move := range c.moves(&p.state, i) {
		if move.What != e.What || move.Broken != "" {
			continue
		}
		next := point{at: p.at, calls: p.calls, state: move.Next}
		next.at[i]++
		if c.fits(&p.state, &next, i, e) {
			return next, true // of all pooled requests, which are alike, the first
		}
	}
	return point{}, false
}

// early says why a step cannot come now, since it would keep others from steps that
// they have done: the phase only grows, and the inbox is first in, first out.
func (c *checker) early(p *point, e *entry) string {
	yet := func(what string) bool { // somebody does it later
		for i, last := range c.last {
			if int(p.at[i]) < last[what] {
				return true
			}
		}
		return false
	}
	switch e.What {
	case "sends its request", "sends the request to stop":
		owner := int(p.at[theOwner])
		at := c.received[owner] + int(p.state.length)
		if at < len(c.inbox) && c.inbox[at] != e.call {
			return "another is received before"
		}
		if at >= len(c.inbox) && owner <= c.empty {
			return "the owner does not receive it, so it is sent later"
		}
	case "begins a call":
		if e.use.turn != anyTurn && c.otherUse(p, e, func(u use) bool { return u.turn != anyTurn && u.turn < e.use.turn }) {
			return "another uses its request before"
		}
	case "calls Close, which stores closing":
		if yet("finds the phase serving") {
			return "somebody yet finds the phase serving"
		}
	case "stores ended":
		if yet("finds the phase serving") || yet("finds the phase not ended after its send") {
			return "somebody yet finds the phase not ended"
		}
	}
	return ""
}

// moves are the steps that a process can do in a state.
func (c *checker) moves(s *state, i int) []model.Move[state] {
	c.Reset()
	c.of(s, model.Process(i))
	return c.All
}

// fits reports whether an event is a step from s to the next point, and notes which
// request its call has.
func (c *checker) fits(s *state, next *point, i int, e *entry) bool {
	n := &next.state
	r, got := uint8(0), uint8(none)
	switch {
	case i == int(theOwner):
		if r = s.owner.request; r == 0 {
			r = n.owner.request
		} else {
			got = n.requests[r].answer
		}
	case i < int(closerOf):
		was, is := s.callers[i-int(callerOf)], n.callers[i-int(callerOf)]
		if r = was.request; r == 0 { // begins a call
			if slices.ContainsFunc(next.calls[:], func(call uint16) bool { return c.requests[call] == e.Request }) {
				return false // somebody has the request
			}
			r = is.request
			next.calls[r] = e.call
		}
		got = max(was.got, is.got)
	}
	if next.calls[r] != e.call || e.Result != "" && e.Result != answers[got] {
		return false
	}
	for r := range next.calls {
		if next.calls[r] != 0 && !n.holds(uint8(r)) && !n.reached(uint8(r)) {
			next.calls[r] = 0
		}
	}
	return true
}
