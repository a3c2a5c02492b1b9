//go:build !race

package handoff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/model"
)

// walk does steps of a model at random until there are none, and returns what each
// process has done.
func walk(p Protocol, r *rand.Rand) Logs {
	p.AllOrders = true
	m, moves := machine{Protocol: p}, new(model.Moves[state])
	var logs [processes][]Event
	var calls [maxRequests + 1]int
	var pointers [maxRequests + 1]*int
	count := 0
	for s := m.Start(); ; {
		moves.Reset()
		m.List(&s, moves)
		if len(moves.All) == 0 {
			return Logs{p.Inbox, logs[0], logs[callerOf:][:p.Callers], logs[closerOf:][:p.Closers]}
		}
		move := moves.All[r.IntN(len(moves.All))]
		for range 5 { // what ends all is put off
			if strings.HasPrefix(move.What, "calls Close") || move.What == "panics" {
				move = moves.All[r.IntN(len(moves.All))]
			}
		}
		n, e := &move.Next, Event{What: move.What}
		switch {
		case move.Who == theOwner:
			e.Call = calls[max(s.owner.request, n.owner.request)]
			if e.What == "answers" {
				e.Result = answers[n.requests[s.owner.request].answer]
			}
		case move.Who < closerOf:
			was, is := s.callers[move.Who-callerOf], n.callers[move.Who-callerOf]
			if e.What == "begins a call" {
				if count++; s.requests[is.request].fate != pooled {
					pointers[is.request] = new(int)
				}
				calls[is.request], e.Request = count, pointers[is.request]
			}
			e.Call = calls[max(was.request, is.request)]
			if strings.HasPrefix(e.What, "re") {
				e.Result = answers[max(was.got, is.got)]
			}
		}
		logs[move.Who] = append(logs[move.Who], e)
		s = move.Next
	}
}

// sizes are those of small walks.
func sizes(r *rand.Rand) Protocol {
	return Protocol{Callers: 1 + r.IntN(2), Calls: 1 + r.IntN(2), Retries: 15, Inbox: 1 + r.IntN(2), Closers: 1 + r.IntN(2)}
}

// agree checks logs, and that the order in which the search does steps at once is not
// what decides.
func agree(t *testing.T, logs Logs) bool {
	t.Helper()
	quick, all := logs.check(true), logs.check(false)
	require.Equal(t, all.Wrong == "", quick.Wrong == "", "the verdicts differ:\n%s\n%s\n%v", quick.Wrong, all.Wrong, logs)
	assert.LessOrEqual(t, quick.Visited, all.Visited)
	return quick.Wrong == ""
}

func TestEachRunOfTheModelIsFound(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		require.True(t, agree(t, walk(sizes(r), r)), "seed %d", seed)
	}
	most := Verdict{}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		v := walk(Protocol{Callers: 4, Calls: 30, Retries: 15, Inbox: 1 + r.IntN(4), Closers: 3}, r).Check()
		require.Empty(t, v.Wrong, "seed %d", seed)
		most.Events, most.Visited = max(most.Events, v.Events), max(most.Visited, v.Visited)
	}
	t.Logf("at most %d steps, and %d choices in a search", most.Events, most.Visited)
}

// Whatever is changed in a log, a quick search and one through all orders say the same.
func TestAQuickSearchLosesNothing(t *testing.T) {
	refuted := 0
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		logs := walk(sizes(r), r)
		all := append(append([][]Event{logs.Owner}, logs.Callers...), logs.Closers...)
		for log := all[r.IntN(len(all))]; ; log = all[r.IntN(len(all))] {
			if len(log) < 2 {
				continue
			}
			i := r.IntN(len(log) - 1)
			switch r.IntN(4) {
			case 0:
				log[i], log[i+1] = log[i+1], log[i]
			case 1:
				log[i].What = log[r.IntN(len(log))].What
			case 2:
				if log[i].Result != "" {
					log[i].Result = answers[1+r.IntN(len(answers)-1)]
				}
			case 3:
				log[i].Call = log[r.IntN(len(log))].Call
			}
			break
		}
		if !agree(t, logs) {
			refuted++
		}
	}
	t.Logf("%d of 500 refuted", refuted)
	assert.Greater(t, refuted, 150)
}

// Of the runs of a model without one of its rules, some are no runs of the right one.
func TestRunsOfWrongModelsAreRefuted(t *testing.T) {
	for name, rules := range map[string]Rules{
		"CallerCAS":          {CallerCAS: true},
		"AnswerWhenClaimed":  {AnswerWhenClaimed: true},
		"QueuedAgain":        {QueuedAgain: true},
		"QueuedInPool":       {QueuedInPool: true},
		"AbandonedIsDropped": {AbandonedIsDropped: true},
		"OwnerCAS":           {OwnerCAS: true},
		"ClosingCAS":         {ClosingCAS: true},
	} {
		t.Run(name, func(t *testing.T) {
			refuted := 0
			for seed := range uint64(60) {
				r := rand.New(rand.NewPCG(seed, 3))
				p := sizes(r)
				p.Without = rules
				if !agree(t, walk(p, r)) {
					refuted++
				}
			}
			t.Logf("%d of 60 refuted", refuted)
			assert.NotZero(t, refuted)
		})
	}
}

func small() Logs {
	r := new(int)
	return Logs{
		Inbox: 1,
		Owner: []Event{
			{What: "receives a request", Call: 7}, {What: "takes the request", Call: 7},
			{What: "applies a request", Call: 7}, {What: "answers", Call: 7, Result: "ok"},
			{What: "receives the request to stop"}, {What: "stores ended"}, {What: "finds the inbox empty"}, {What: "closes done"},
		},
		Callers: [][]Event{{
			{What: "begins a call", Call: 7, Request: r}, {What: "finds the phase serving", Call: 7},
			{What: "sends its request", Call: 7}, {What: "finds the phase not ended after its send", Call: 7},
			{What: "receives its answer", Call: 7, Result: "ok"},
			{What: "returns, and recycles its request", Call: 7, Result: "ok"},
			{What: "begins a call", Call: 8, Request: r}, {What: "finds the phase not serving", Call: 8},
			{What: "returns, and recycles its request", Call: 8, Result: "refused"},
		}},
		Closers: [][]Event{{
			{What: "calls Close, which stores closing"}, {What: "sends the request to stop"}, {What: "returns from Close"},
		}},
	}
}

func TestLogs(t *testing.T) {
	assert.Equal(t, Verdict{Events: 20}, small().Check())
	assert.NotEmpty(t, Logs{Callers: make([][]Event, 5)}.Check().Wrong)
	assert.Empty(t, Logs{Inbox: 1}.Check().Wrong, "nobody has called")

	for name, c := range map[string]struct {
		change func(*Logs)
		line   string
	}{
		"another result": {
			func(l *Logs) { l.Callers[0][4].Result = "again" },
			`caller 1  receives its answer, r1, "again" ◄ the model: receives its answer; its ctx ends; vanishes: its context panics`,
		},
		"another call": {
			func(l *Logs) { l.Owner[1].Call = 8 },
			"owner     takes the request, one that nobody has ◄ the model: takes the request",
		},
		"another step": {
			func(l *Logs) { l.Callers[0][5].What = "returns" },
			`caller 1  returns, r1, "ok" ◄ the model: returns, and recycles its request`,
		},
		"a step too late": {
			func(l *Logs) { l.Callers[0][7].What = "finds the phase serving" },
			`caller 1  returns, and recycles its request, r1, "refused" ◄ the model: sends its request`,
		},
		"a step too early": {
			func(l *Logs) { l.Owner[0], l.Owner[5] = l.Owner[5], l.Owner[0] },
			"owner     stores ended ◄ somebody yet finds the phase not ended",
		},
		"a request of somebody": {
			func(l *Logs) { l.Callers[0][5] = Event{What: "vanishes: its context panics", Call: 7} },
			"caller 1  vanishes: its context panics, r1 ◄ the model: returns, and recycles its request",
		},
		"no answer": {
			func(l *Logs) { l.Owner, l.Callers[0], l.Closers = l.Owner[:3], l.Callers[0][:4], nil },
			"no order of the 7 steps is a run of the model: the longest has 7. There caller 1 waits for ever. Then:",
		},
		"no owner": {
			func(l *Logs) { l.Owner, l.Callers, l.Closers[0] = nil, nil, l.Closers[0][:2] },
			"no order of the 2 steps is a run of the model: the longest has 2. There closer 1 waits for ever. Then:",
		},
		"no done": {
			func(l *Logs) { l.Owner, l.Closers = l.Owner[:7], [][]Event{{}, l.Closers[0][:1], l.Closers[0][1:2]} },
			"closer 3  sends the request to stop ◄ the model: calls Close, which stores nothing",
		},
		"no end": {
			func(l *Logs) {
				*l = Logs{Inbox: 1, Owner: l.Owner[:1], Callers: [][]Event{{l.Callers[0][0], l.Callers[0][1], l.Callers[0][2]}}}
			},
			"owner     does no more ◄ the model: takes the request",
		},
		"two who close": {
			func(l *Logs) { l.Closers = append(l.Closers, l.Closers[0]) },
			"closer 2  calls Close, which stores closing ◄ the model: calls Close, which stores nothing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			logs := small()
			c.change(&logs)
			assert.False(t, agree(t, logs))
			assert.Contains(t, logs.Check().Wrong, c.line)
		})
	}
}

// A request that somebody has cannot be that of another call.
func TestARecycledRequestIsFree(t *testing.T) {
	logs := small()
	call := logs.Callers[0][:3]
	logs.Owner, logs.Closers, logs.Callers = nil, nil, [][]Event{call, {
		{What: "begins a call", Call: 9, Request: call[0].Request}, {What: "its ctx has ended", Call: 9},
		{What: "returns, and recycles its request", Call: 9, Result: "cancelled"},
		{What: "begins a call", Call: 10, Request: call[0].Request},
	}}
	assert.False(t, agree(t, logs))
	assert.Equal(t, strings.TrimLeft(`
no order of the 7 steps is a run of the model: the longest has 6. Then:
  phase serving, done false, inbox [r1]
  r1 queued, its answer nothing
  owner     does no more ◄ the model: receives a request
  caller 1  does no more ◄ the model: finds the phase not ended after its send
  caller 2  begins a call ◄ its request is not free
`, "\n"), logs.Check().Wrong)
}

// The owner is not done while something stands in the inbox.
func TestTheOwnerLeavesNothing(t *testing.T) {
	logs := small()
	logs.Callers[0] = append(logs.Callers[0][:3:3], Event{What: "finds the phase not ended after its send", Call: 7},
		Event{What: "its ctx ends", Call: 7}, Event{What: "abandons its request", Call: 7}, Event{What: "returns", Call: 7, Result: "cancelled"})
	logs.Owner, logs.Closers = nil, nil
	assert.Contains(t, logs.Check().Wrong, "There the owner waits for ever.")
}

func TestSteps(t *testing.T) {
	steps := Steps()
	assert.Len(t, steps, 35, fmt.Sprint(len(steps)))
	assert.True(t, slices.IsSorted(steps))
	assert.Contains(t, steps, "closer sees done")
}
