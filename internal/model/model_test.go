package model

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// all explores a protocol that keeps its promises.
func all(t *testing.T, p Protocol, most int) Report {
	t.Helper()
	began := time.Now()
	r := Explore(p, most)
	t.Logf("%d callers, %d calls, %d retries, inbox of %d, %d closers: %d states, %d visited, %d steps, %v",
		p.Callers, p.Calls, p.Retries, p.Inbox, p.Closers, r.States, r.Visited, r.Steps, time.Since(began).Round(time.Millisecond))
	require.Empty(t, r.Violation, "%s", strings.Join(r.Trace, "\n"))
	return r
}

// What is left out changes no verdict, and the states are counted right.
func TestReductionsLoseNothing(t *testing.T) {
	p := Protocol{Callers: 2, Calls: 1, Retries: 1, Inbox: 1, Closers: 2}
	few := all(t, p, 1<<20)
	p.AllNames = true
	named := all(t, p, 1<<20)
	assert.Equal(t, named.Visited, few.States)
	assert.Less(t, few.Visited, named.Visited)
	p.AllNames, p.AllOrders = false, true
	orders := all(t, p, 1<<20)
	assert.Less(t, few.Visited, orders.Visited)
}

// Each check of the code is left out in turn, in the smallest protocol that shows it.
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
	rules := map[string]struct {
		in     Protocol
		broken string
	}{
		"PhaseFirst":         {two, notNeeded}, // it spares a call its preparation; who sends too late sees ended after that
		"PhaseAfterSend":     {one, early},
		"DoneWhileFull":      {next, lost},
		"CallerCAS":          {one, "a call was applied and given up"},
		"AnswerWhenClaimed":  {one, "what a call returns is not what was done"},
		"QueuedAgain":        {next, lost},
		"QueuedInPool":       {next, lost},
		"AbandonedIsDropped": {one, shared},
		"VanishedIsDropped":  {one, shared},
		"OwnerCAS":           {one, "the owner applies what was given up"},
		"RefuseCAS":          {one, "the owner answers what was given up"},
		"AnswerRoom":         {one, "a caller holds up the owner"},
		"AnswerPanicked":     {one, lost},
		"Drain":              {one, early},
		"EndedBeforeDrain":   {one, early},
		"DoneAfterDrain":     {one, early},
		"InboxStaysOpen":     {one, "a send to a closed inbox panics"},
		"ClosingCAS":         {next, early},
		"OneStop":            {two, notNeeded}, // it spares a place in the inbox; the owner drops a second request to stop
		"StopInTurn":         {Protocol{Callers: 1, Calls: 1, Inbox: 2, Closers: 1}, "a call is refused that stood before Close's request"},
		"StopOrDone":         {next, stuck},
		"CloseWaits":         {one, early},
	}
	assert.Len(t, rules, reflect.TypeFor[Rules]().NumField())
	for without, want := range rules {
		t.Run(without, func(t *testing.T) {
			rule := reflect.ValueOf(&want.in.Without).Elem().FieldByName(without)
			require.True(t, rule.IsValid())
			rule.SetBool(true)
			r := Explore(want.in, 1<<20)
			require.Less(t, r.Visited, 1<<20)
			t.Logf("%d states, %d steps: %s\n%s", r.Visited, len(r.Trace), r.Violation, strings.Join(r.Trace, "\n"))
			assert.Equal(t, want.broken, r.Violation)
			assert.Equal(t, want.broken == notNeeded, len(r.Trace) == 0)

			want.in.AllOrders = true
			r = Explore(want.in, 1<<20)
			require.Less(t, r.Visited, 1<<20)
			assert.Equal(t, want.broken == notNeeded, r.Violation == "", "the reduction changes the verdict")
		})
	}
}

func TestTraceIsReadable(t *testing.T) {
	r := Explore(Protocol{Callers: 1, Calls: 1, Inbox: 1, Closers: 1, Without: Rules{DoneAfterDrain: true}}, 1<<20)
	assert.Equal(t, strings.TrimSpace(`
caller 1  begins a call                                  it has r1
caller 1  sees the phase
closer 1  calls Close                                    phase closing
closer 1  sends the request to stop                      inbox [stop]
owner     receives the request to stop                   inbox []
caller 1  sends its request                              inbox [r1]
caller 1  sees the phase after its send
owner     stores ended                                   phase ended, done closed
closer 1  returns from Close`), strings.Join(r.Trace, "\n"))
}
