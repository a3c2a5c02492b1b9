package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/turn"
)

// An Outcome is what was done, and whether all of it is there. Its JSON is what the command
// prints.
type Outcome struct {
	Agents    int           `json:"agents"`
	Kills     int           `json:"kills"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	Repeated  int           `json:"repeated"`  // messages that were sent again, and stood already
	Recovered int           `json:"recovered"` // turns that went on in another process
	Asked     int           `json:"asked"`     // calls of which the tool was asked whether it has done them
	Inputs    Count         `json:"inputs"`
	Turns     Count         `json:"turns"`
	Messages  Count         `json:"messages"`
	Calls     Count         `json:"tool_calls"`
	Failures  []string      `json:"failures"` // what else is wrong, the first ten
	OK        bool          `json:"ok"`       // nothing is lost, doubled or wrong
}

// A Count is how many of a kind there are to be, and what is wrong with them.
type Count struct {
	Count   int `json:"count"`
	Lost    int `json:"lost"`
	Doubled int `json:"doubled"`
}

// compare adds to a count what is to be there, with how often each is.
func (c *Count) compare(want []string, have map[string]int) {
	c.Count += len(want)
	for _, name := range want {
		if n := have[name]; n == 0 {
			c.Lost++
		} else {
			c.Doubled += n - 1
		}
	}
}

func (o *Outcome) fail(format string, args ...any) {
	const enough = 10
	if len(o.Failures) < enough {
		o.Failures = append(o.Failures, fmt.Sprintf(format, args...))
	}
}

// look calls a function with each agent that a directory holds, or may come to hold.
func look(ctx context.Context, dir string, see func(agent int, view *state.View)) (err error) {
	loop, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	left := map[store.RuntimeID]bool{}
	for summary, err := range loop.Runtimes(ctx, state.Listing{}) {
		if err != nil {
			return err
		}
		left[summary.RuntimeID] = true
	}
	for agent := range agents {
		view, err := loop.View(ctx, agentID(agent))
		if err != nil {
			return err
		}
		see(agent, view)
		delete(left, agentID(agent))
	}
	for id := range left {
		return fmt.Errorf("runtime %s is none of the demo's", term.Named(string(id), 80))
	}
	return nil
}

// found returns how many messages each agent has from earlier demos.
func (p *parent) found(ctx context.Context) (messages [agents]int, err error) {
	return messages, look(ctx, p.Dir, func(agent int, view *state.View) {
		for in := range view.InputStates() {
			if in.IdempotencyKey != nil {
				messages[agent]++
			}
		}
	})
}

// A page is a notebook, as it is read in the end.
type page struct {
	lines int
	times map[string]int    // that a call was written, by its key
	at    map[string]int    // the line of the last time
	with  map[string]string // its arguments then
}

// check compares what is there with what was sent.
func (p *parent) check(ctx context.Context, o *Outcome) error {
	book := page{times: map[string]int{}, at: map[string]int{}, with: map[string]string{}}
	file, err := os.Open(notebookIn(p.Dir))
	if err != nil {
		return err
	}
	_, err = eachLine(file, func(key, arguments string) {
		book.lines++
		book.times[key]++
		book.at[key], book.with[key] = book.lines, arguments
	})
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	err = look(ctx, p.Dir, func(agent int, view *state.View) {
		if err := o.checkAgent(agent, p.first[agent]+notes, view, &book); err != nil {
			o.fail("%s: %v", agentID(agent), err)
		}
	})
	if err != nil {
		return err
	}
	for key := range book.times {
		o.fail("the notebook has a call that nobody wanted: %s", term.Named(key, 80))
	}
	o.OK = len(o.Failures) == 0
	for _, c := range []Count{o.Inputs, o.Turns, o.Messages, o.Calls} {
		o.OK = o.OK && c.Lost == 0 && c.Doubled == 0
	}
	return nil
}

// checkAgent compares what is there of an agent with the answers to so many notes. It takes
// the calls that it knows from the notebook.
func (o *Outcome) checkAgent(agent, sent int, view *state.View, book *page) error {
	inputs, runs, ledger := map[string]int{}, map[int]store.RunID{}, map[string]string{}
	for in := range view.InputStates() {
		if in.CurrentState != store.InputConsumed {
			o.fail("%s: input %v is %s", view.RuntimeID(), in.InputID, in.CurrentState)
			continue
		}
		if in.IdempotencyKey == nil {
			var c turn.Call
			var came string
			if err := errors.Join(json.Unmarshal(in.PersistedInput, &c), json.Unmarshal(c.Result, &came)); err != nil {
				return fmt.Errorf("input %v is no message, and no call that has a result", in.InputID)
			}
			if _, known := ledger[c.Key()]; known {
				o.fail("%s: the ledger has a call twice: %s", view.RuntimeID(), term.Named(c.Key(), 80))
			}
			ledger[c.Key()] = came
			continue
		}
		var n note
		if err := json.Unmarshal(in.PersistedInput, &n); err != nil || n.Agent != agent || *in.IdempotencyKey != n.key() || in.LastRunID == nil {
			return fmt.Errorf("input %v is no message to it that was answered", in.InputID)
		}
		inputs[n.key()]++
		runs[n.Number] = *in.LastRunID
	}
	snapshot, _ := view.Snapshot()
	said, times, err := saidIn(string(snapshot.Bytes()))
	if err != nil {
		return err
	}
	var wantInputs, wantTurns, wantMessages, wantCalls []string
	for number := range sent {
		n := note{agent, number}
		wantInputs = append(wantInputs, n.key())
		wantMessages = append(wantMessages, n.text())
		answer := []string{n.text(), "Done."}
		for i := range n.calls() {
			call := turn.Call{Run: runs[number], ID: fmt.Sprint("call-", i)}
			came := saying(book.at[call.Key()])
			if ledger[call.Key()] != came {
				o.fail("%s: the ledger has not what call %s has come to", view.RuntimeID(), call.Key())
			}
			if with := book.with[call.Key()]; with != "" && with != fmt.Sprintf("%q", n.text()) {
				o.fail("%s: the notebook has other arguments of call %s", view.RuntimeID(), call.Key())
			}
			delete(ledger, call.Key())
			answer = append(answer, came)
			wantCalls = append(wantCalls, call.Key())
			wantMessages = append(wantMessages, fmt.Sprintf("%s asks for %s of notebook%q", n.text(), call.ID, n.text()), n.text()+" "+call.ID+": "+came)
		}
		wantTurns = append(wantTurns, strings.Join(answer, " "))
		wantMessages = append(wantMessages, strings.Join(answer, " "))
	}
	for key := range ledger {
		o.fail("%s: the ledger has a call that nobody wanted: %s", view.RuntimeID(), term.Named(key, 80))
	}
	if len(inputs) > sent {
		o.fail("%s: it has %d messages, and was sent %d", view.RuntimeID(), len(inputs), sent)
	}
	o.Inputs.compare(wantInputs, inputs)
	o.Turns.compare(wantTurns, times)
	o.Messages.compare(wantMessages, times)
	o.Calls.compare(wantCalls, book.times)
	if !slices.Equal(said, wantMessages) {
		o.fail("%s: its conversation is another than it should be", view.RuntimeID())
	}
	for _, key := range wantCalls {
		delete(book.times, key)
	}
	return nil
}

// saidIn returns what the lines of a conversation say, each with the note that it is about,
// and how often each is there.
func saidIn(conversation string) (said []string, times map[string]int, err error) {
	lines, err := decode(conversation)
	times = make(map[string]int)
	about := ""
	for _, l := range lines {
		text := l.Text
		switch {
		case l.Role == "user":
			about = l.Text
		case l.Call != nil:
			text = about + " asks for " + l.Call.ID + " of " + l.Call.Tool + string(l.Call.Arguments)
		case l.Role == "tool":
			text = about + " " + l.Of + ": " + l.Text
		case l.Role == "assistant":
			text = about + " " + l.Text
		}
		said = append(said, text)
		times[text]++
	}
	return said, times, err
}

// Table is the outcome for people.
func (o *Outcome) Table() string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %s of the process at random moments, %s\n\n", term.Counted(int64(o.Agents), "agent"), term.Counted(int64(o.Kills), "kill"), term.Brief(o.Elapsed))
	const row = "%-12s %9s %9s %9s\n"
	fmt.Fprintf(&t, row, "", "count", "lost", "doubled")
	for _, r := range []struct {
		what string
		Count
	}{{"inputs", o.Inputs}, {"turns", o.Turns}, {"messages", o.Messages}, {"tool calls", o.Calls}} {
		fmt.Fprintf(&t, row, r.what, term.Grouped(int64(r.Count.Count)), term.Grouped(int64(r.Lost)), term.Grouped(int64(r.Doubled)))
	}
	fmt.Fprintf(&t, "\nsent again although it was stored: %s\n", term.Counted(int64(o.Repeated), "input"))
	fmt.Fprintf(&t, "recovered by the next process: %s\n", term.Counted(int64(o.Recovered), "turn"))
	fmt.Fprintf(&t, "asked about, because nobody knew whether they were made: %s\n", term.Counted(int64(o.Asked), "tool call"))
	for _, f := range o.Failures {
		fmt.Fprintf(&t, "FAILED %s\n", term.Printable(f))
	}
	verdict := "ok"
	if !o.OK {
		verdict = "FAILED"
	}
	fmt.Fprintf(&t, "\n%s\n", verdict)
	return t.String()
}
