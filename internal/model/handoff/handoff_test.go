package handoff

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model"
	"github.com/loopstore/loopstore/internal/model/modeltest"
)

// What is left out changes no verdict, and the states are counted right.
func TestReductionsLoseNothing(t *testing.T) {
	p := Protocol{Callers: 2, Calls: 1, Retries: 1, Inbox: 1, Closers: 2}
	few := modeltest.Holds(t, p, Explore)
	p.AllNames = true
	named := modeltest.Holds(t, p, Explore)
	assert.Equal(t, named.Visited, few.States)
	assert.Less(t, few.Visited, named.Visited)
	p.AllNames, p.AllOrders = false, true
	orders := modeltest.Holds(t, p, Explore)
	assert.Less(t, few.Visited, orders.Visited)
}

// Each check of the code is left out in turn, in a small protocol.
func TestEveryCheckIsNeeded(t *testing.T) {
	const (
		lost      = "a caller waits for ever"
		stuck     = "Close waits for ever"
		early     = "Close has returned before a call was answered that was accepted"
		shared    = "a request is recycled while the owner may touch it"
		notNeeded = ""
	)
	one := Protocol{Callers: 1, Calls: 1, Inbox: 1, Closers: 1}
	next := Protocol{Callers: 1, Calls: 2, Retries: 1, Inbox: 1, Closers: 1}
	two := Protocol{Callers: 2, Calls: 1, Retries: 1, Inbox: 1, Closers: 2}
	breaks := modeltest.Breaks[Protocol]
	rules := map[string]modeltest.Rule[Protocol]{
		"PhaseFirst":         breaks(two, notNeeded), // it spares a call its preparation; who sends too late sees ended after that
		"PhaseAfterSend":     breaks(one, early),
		"DoneWhileFull":      breaks(next, lost),
		"RefusedWhenLeft":    breaks(one, shared),
		"CallerCAS":          breaks(one, "a call was applied and given up"),
		"AnswerWhenClaimed":  breaks(one, "what a call returns is not what was done"),
		"QueuedAgain":        breaks(next, lost),
		"QueuedInPool":       breaks(next, lost),
		"AbandonedIsDropped": breaks(one, shared),
		"VanishedIsDropped":  breaks(one, shared),
		"OwnerCAS":           breaks(one, "the owner applies what was given up"),
		"RefuseCAS":          breaks(one, "the owner answers what was given up"),
		"AnswerRoom":         breaks(one, "a caller holds up the owner"),
		"AnswerPanicked":     breaks(one, lost),
		"Drain":              breaks(one, early),
		"EndedBeforeDrain":   breaks(one, early),
		"DoneAfterDrain":     breaks(one, early),
		"InboxStaysOpen":     breaks(one, "a send to a closed inbox panics"),
		"ClosingCAS":         breaks(next, early),
		"OneStop":            breaks(two, notNeeded), // it spares a place in the inbox; the owner drops a second request to stop
		"StopInTurn":         breaks(Protocol{Callers: 1, Calls: 1, Inbox: 2, Closers: 1}, "a call is refused that stood before Close's request"),
		"StopOrDone":         breaks(next, stuck),
		"CloseWaits":         breaks(one, early),
	}
	modeltest.Rules(t, rules, func(p Protocol, most int) model.Report {
		reduced := Explore(p, most)
		p.AllOrders = true
		assert.Equal(t, reduced.Violation == "", Explore(p, most).Violation == "", "the reduction changes the verdict")
		return reduced
	})
}

func TestTraceIsReadable(t *testing.T) {
	r := Explore(Protocol{Callers: 1, Calls: 1, Inbox: 1, Closers: 1, Without: Rules{DoneAfterDrain: true}}, 1<<20)
	assert.Equal(t, strings.TrimSpace(`
caller 1  begins a call                                  it has r1
caller 1  finds the phase serving
closer 1  calls Close, which stores closing              phase closing
closer 1  sends the request to stop                      inbox [stop]
owner     receives the request to stop                   inbox []
caller 1  sends its request                              inbox [r1]
caller 1  finds the phase not ended after its send
owner     stores ended                                   phase ended, done closed
closer 1  returns from Close`), strings.Join(r.Trace, "\n"))
}
