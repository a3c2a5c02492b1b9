//go:build loopstore_trace

package loopstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"

	"github.com/loopstore/loopstore/internal/model/handoff"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// This file and trace_run_test.go are for a build with edited copies of loop.go and
// request.go, which note each step of the hand-off. code_test.go in
// internal/model/handoff makes these, and runs TestTraces.

// A trace is the log of one goroutine, which alone writes to it. It has no lock and no
// atomic: these would order what the code leaves in disorder, and so hide a race. It is
// read when its goroutine has ended.
type trace struct {
	events []handoff.Event
	calls  int           // the number of the last one
	r      *rand.Rand    // for pauses at the steps
	pause  func(n int)   // for up to so long
	gone   chan struct{} // of the owner's: closed when it has ended
	refuse bool          // likewise: it refuses what it receives
	slow   bool          // of another's: many pauses are long
}

// jump pauses now and then, and seldom for long, so that steps come in orders in which
// they seldom come by themselves.
func (t *trace) jump() {
	if t == nil || t.pause == nil {
		return
	}
	switch n := t.r.IntN(40); {
	case n == 0, n < 20 && t.slow:
		t.pause(t.r.IntN(400))
	case n < 10:
		t.pause(t.r.IntN(8))
	}
}

// note adds a step. r may be nil. A nil trace is that of somebody who is not traced.
func (t *trace) note(r *request, what string) { t.result(r, what, "") }

func (t *trace) result(r *request, what, result string) { t.of(callOf(r), what, result) }

func (t *trace) of(call int, what, result string) {
	if t != nil {
		t.events = append(t.events, handoff.Event{What: what, Call: call, Result: result})
		t.jump()
	}
}

// callOf is the number of the call that has a request. Who may touch the request may
// read it: it is written by who begins the call.
func callOf(r *request) int {
	if r == nil {
		return 0
	}
	return any(r).(interface{ number() int }).number()
}

// begins notes a call, and returns its number.
func (t *trace) begins(r *request) int {
	if t == nil {
		return 0
	}
	t.calls++
	t.events = append(t.events, handoff.Event{What: "begins a call", Call: t.calls, Request: r})
	return t.calls
}

// resultOf is what the model calls the answer of a call.
func resultOf(err error) string {
	_, panicked := err.(*store.PanicError)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ops.ErrAgain):
		return "again"
	case panicked:
		return "failed"
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFailed):
		return "refused"
	}
	return "cancelled"
}

// What follows notes a step of a caller.

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

type traceKey struct{}

func (t *trace) phase(r *request, phase uint32) uint32 {
	if bug("PhaseFirst") {
		phase = serving
	}
	if phase == serving {
		t.note(r, "finds the phase serving")
	} else {
		t.note(r, "finds the phase not serving")
	}
	return phase
}

func (t *trace) phaseAfter(r *request, phase uint32) uint32 {
	if phase == ended {
		t.note(r, "finds the phase ended after its send")
	} else {
		t.note(r, "finds the phase not ended after its send")
	}
	return phase
}

func (t *trace) abandons(r *request, won bool) bool {
	if won {
		t.note(r, "abandons its request")
	} else {
		t.note(r, "cannot abandon its request")
	}
	return won
}

func (t *trace) receives(r *request, err error) error {
	t.result(r, "receives its answer", resultOf(err))
	return err
}

func (t *trace) returns(r *request, claim uint32, err error) uint32 {
	if bug("AbandonedIsDropped") {
		claim = queued
	}
	if claim == abandoned {
		t.result(r, "returns", resultOf(err))
	} else {
		t.result(r, "returns, and recycles its request", resultOf(err))
	}
	return claim
}

// What follows notes a step of the owner.

func (t *trace) received(r *request) *request {
	if r == nil {
		t.note(nil, "receives the request to stop")
	} else {
		t.note(r, "receives a request")
	}
	return r
}

func (t *trace) receivedLate(r *request) *request {
	if r == nil {
		t.note(nil, "drops a request to stop")
	} else {
		t.note(r, "receives a request, to refuse it")
	}
	return r
}

func (t *trace) takes(r *request, won bool) bool {
	if won {
		t.note(r, "takes the request")
	} else {
		t.note(r, "cannot take the request, and drops it")
	}
	return won
}

func (t *trace) applies(r *request, err error) error {
	if errors.Is(err, ops.ErrAgain) {
		t.note(r, "finds that it must be prepared again")
	} else {
		t.note(r, "applies a request")
	}
	return err
}

// What follows notes a step of a caller of Close.

func (t *trace) closes(first bool) bool {
	if first {
		t.note(nil, "calls Close, which stores closing")
	} else {
		t.note(nil, "calls Close, which stores nothing")
	}
	return first
}

// theBug is the rule of the protocol that the code is to break.
var theBug = os.Getenv("LOOPSTORE_BUG")

func bug(rule string) bool { return theBug == rule }

// unless is a channel, or nil if the code is to have a bug.
func unless[C chan *request | chan struct{}](rule string, c C) C {
	if bug(rule) {
		return nil
	}
	return c
}

// overtake sends a request to stop before what stands in the inbox.
func (l *Loop) overtake() {
	var before []*request
	for {
		select {
		case r := <-l.inbox:
			before = append(before, r)
			continue
		default:
		}
		break
	}
	l.inbox <- nil
	for _, r := range before {
		select {
		case l.inbox <- r:
		case <-l.done:
		}
	}
}

// room is that of the channel of an answer.
func room() int {
	if bug("AnswerRoom") {
		return 0
	}
	return 1
}
