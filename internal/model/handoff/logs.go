package handoff

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/internal/model"
)

// Logs are what the processes of a run of the code have done, each in its own order.
// Nobody knows in which order the steps of two processes were.
type Logs struct {
	Inbox   int // its size
	Owner   []Event
	Callers [][]Event
	Closers [][]Event
}

// An Event is a step of a process.
type Event struct {
	What    string // as the model says it
	Call    int    // the number of the call whose request it is on, from 1; 0 if it is on none
	Request any    // the request's pointer, of the step that begins a call
	Result  string // "ok", "again", …: of a step that sends, receives or returns an answer
}

// A Verdict says whether there is an order of the steps in which they are a run of
// the model, at whose end nobody waits.
type Verdict struct {
	Events  int
	Visited int    // points at which the search had a choice
	Wrong   string // how far the best order comes, and why no further; "" if there is one
}

// Check looks for that order.
func (l Logs) Check() Verdict { return l.check(true) }

// check does not go into all orders if it is told to be quick: see atOnce.
func (l Logs) check(quick bool) Verdict {
	if len(l.Callers) > maxCallers || len(l.Closers) > maxClosers || l.Inbox > maxInbox {
		return Verdict{Wrong: "the logs are of more than a model has"}
	}
	c := newChecker(l, quick)
	v := Verdict{Events: c.events}
	c.best.state = c.Start()
	found := c.search(c.best)
	if v.Visited = len(c.visited); !found {
		v.Wrong = c.explain()
	}
	return v
}

// Steps are all steps of the model, each with its kind of process in front.
func Steps() []string {
	l := lister{&machine{Protocol: Protocol{Callers: 1, Calls: 1, Retries: 1, Inbox: 1, Closers: 2, AllOrders: true}}, map[string]bool{}}
	model.Explore(l, math.MaxInt)
	return slices.Sorted(maps.Keys(l.steps))
}

// A lister is a machine that notes the steps that it lists.
type lister struct {
	*machine
	steps map[string]bool
}

func (l lister) List(s *state, m *model.Moves[state]) {
	l.machine.List(s, m)
	for _, move := range m.All {
		who, _, _ := strings.Cut(l.Who(move.Who), " ")
		l.steps[who+" "+move.What] = true
	}
}
