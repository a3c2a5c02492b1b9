package handoff

import (
	"math"

	"github.com/loopstore/loopstore/internal/model"
)

// processes is the number of those that have a log.
const processes = int(closerOf) + maxClosers

// A point of the search is where it is in each log, and the state there.
type point struct {
	at    [processes]uint16
	calls [maxRequests + 1]uint16 // of the requests that somebody has
	state state
}

type checker struct {
	machine
	logs    [processes][]entry
	events  int
	quick   bool
	visited map[point]bool
	best    point

	// What is known before the search.
	inbox    []uint16 // the calls whose requests the owner receives, in this order
	received []int    // how much of it, before each step of the owner
	empty    int      // the owner's step that finds the inbox empty; -1 if none does
	requests []any    // of calls
	uses     map[any][]use
	last     [processes]map[string]int // places after the last event of a text
}

// An entry is an event, whose call has a number from 1.
type entry struct {
	Event
	call uint16
	use  use
}

// A use of a request is a call. The uses of one request do not overlap.
type use struct {
	caller, from, to int // where it is in which log
	turn             int // it is sent and comes out of the inbox at this place
}

// Turns of those that do not come out.
const (
	anyTurn  = -1            // nobody else sees anything of it: it recycles what it has not sent
	lastTurn = math.MaxInt32 // its request is never used again
)

func newChecker(l Logs, quick bool) *checker {
	size := Protocol{Callers: len(l.Callers), Calls: math.MaxUint8, Retries: math.MaxUint8, Inbox: l.Inbox, Closers: len(l.Closers), AllOrders: true}
	c := &checker{
		machine: machine{size, new(model.Moves[state])}, quick: quick, visited: map[point]bool{},
		empty: -1, requests: []any{nil}, uses: map[any][]use{},
	}
	numbers := map[int]uint16{0: 0}
	add := func(p model.Process, log []Event) {
		c.last[p] = map[string]int{}
		for i, e := range log {
			if _, ok := numbers[e.Call]; !ok {
				numbers[e.Call] = uint16(len(numbers))
				c.requests = append(c.requests, nil)
			}
			if e.Request != nil {
				c.requests[numbers[e.Call]] = e.Request
			}
			c.logs[p] = append(c.logs[p], entry{Event: e, call: numbers[e.Call]})
			c.last[p][e.What] = i + 1
		}
		c.events += len(log)
	}
	add(theOwner, l.Owner)
	for i, log := range l.Callers {
		add(callerOf+model.Process(i), log)
	}
	for i, log := range l.Closers {
		add(closerOf+model.Process(i), log)
	}
	turns := map[uint16]int{}
	for i, e := range c.logs[theOwner] {
		c.received = append(c.received, len(c.inbox))
		switch e.What {
		case "receives a request", "receives the request to stop", "receives a request, to refuse it", "drops a request to stop":
			if _, ok := turns[e.call]; !ok {
				turns[e.call] = len(c.inbox)
			}
			c.inbox = append(c.inbox, e.call)
		case "finds the inbox empty":
			c.empty = i
		}
	}
	c.received = append(c.received, len(c.inbox))
	for p := callerOf; p < closerOf; p++ {
		c.findUses(int(p), turns)
	}
	return c
}

// findUses finds the uses of requests in the log of a caller.
func (c *checker) findUses(p int, turns map[uint16]int) {
	log := c.logs[p]
	for from, to := 0, 0; from < len(log); from = to {
		to = from + 1
		for to < len(log) && log[to].call == log[from].call {
			to++
		}
		u := use{p, from, to, lastTurn}
		if turn, ok := turns[log[from].call]; ok {
			u.turn = turn
		} else if log[to-1].What == "returns, and recycles its request" {
			u.turn = anyTurn
		}
		log[from].use = u
		c.uses[log[from].Request] = append(c.uses[log[from].Request], u)
	}
}
