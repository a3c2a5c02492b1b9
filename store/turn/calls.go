package turn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Call is what a model asks a tool to do.
type Call struct {
	ID        string          `json:"call_id"` // that the model gave it, unique in the run
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Run       store.RunID     `json:"run_id,omitzero"`  // set by Intend
	Result    json.RawMessage `json:"result,omitempty"` // set by Result
}

// Key names the call among all calls of all agents, once Intend has set its Run: a tool that
// is idempotent by it does nothing twice.
func (c Call) Key() string { return c.Run.String() + "/" + c.ID }

// A CallError says why a step with a call was refused. Nothing was stored.
type CallError struct {
	Call   string // its ID
	Reason string
}

func (e *CallError) Error() string { return fmt.Sprintf("turn: call %q: %s", e.Call, e.Reason) }

// A call in the ledger is an input.
type call struct {
	Call
	input state.Input
}

// Intend records a call that is to be made next, with the lines of the conversation that ask
// for it. Make it once this has returned nil. The call's Run is set, and nothing of it is
// shared. The error is a *CallError if the run has a call with its ID, and no retention has
// let go of that.
func (t *Turn) Intend(ctx context.Context, c *Call, lines []byte) error {
	if err := t.open("Intend"); err != nil {
		return err
	}
	switch {
	case c.ID == "":
		return &CallError{Reason: "it has no id"}
	case !utf8.ValidString(c.ID) || !utf8.ValidString(c.Tool):
		return &CallError{Call: c.ID, Reason: "its id, or its tool, is not UTF-8"}
	}
	c.Run, c.Result = t.Run(), nil
	in := store.NewInputState(store.InputIDOf("call/"+c.Key()), now())
	in.CurrentState, in.AttemptCount = calling, 1
	err := t.record(ctx, *c, state.Input{State: in}, batch.InputAbsent{RuntimeID: t.agent, InputID: in.InputID}, lines)
	if conflict, ok := errors.AsType[*batch.ConflictError](err); ok && conflict.Index == 0 {
		return &CallError{Call: c.ID, Reason: "the run has one with this id"}
	}
	return err
}

// MaybeDone returns the calls that were intended and have no result, in their order. After
// [Recover] nobody knows whether they were made.
func (t *Turn) MaybeDone() []Call {
	all := make([]Call, len(t.calls))
	for i, c := range t.calls {
		all[i] = c.Call
		all[i].Arguments = bytes.Clone(c.Arguments)
	}
	return all
}

// Again records that a call that has no result is to be made once more: somebody knows that
// it was not done, or that it does no harm.
func (t *Turn) Again(ctx context.Context, id string) error {
	c, err := t.call(id)
	if err != nil {
		return err
	}
	if err := c.input.State.Move(calling, now(), "again"); err != nil {
		return err
	}
	c.input.State.AttemptCount++
	return t.record(ctx, c.Call, c.input, t.fence(c.input), nil)
}

// Result records what came of a call, JSON, with the lines of the conversation that say so.
func (t *Turn) Result(ctx context.Context, id string, result json.RawMessage, lines []byte) error {
	c, err := t.call(id)
	if err != nil {
		return err
	}
	if err := c.input.State.Move(store.InputConsumed, now(), ""); err != nil {
		return err
	}
	c.Result = result
	return t.record(ctx, c.Call, c.input, t.fence(c.input), lines)
}

// call returns one that has no result.
func (t *Turn) call(id string) (c call, err error) {
	at := slices.IndexFunc(t.calls, func(c call) bool { return c.ID == id })
	if at < 0 {
		return c, &CallError{Call: id, Reason: "it was not intended, or has its result"}
	}
	c = t.calls[at]
	c.input.State = c.input.State.Clone()
	return c, nil
}

// record stores a call as it is from now on, if what stands is what it should be.
func (t *Turn) record(ctx context.Context, c Call, in state.Input, stands batch.Condition, lines []byte) error {
	body, err := json.Marshal(c)
	if err != nil {
		return &CallError{Call: c.ID, Reason: "its arguments or its result are not JSON"}
	}
	in.State.PersistedInput = body
	put := batch.PutInputState{RuntimeID: t.agent, State: in.State}
	in.Version, err = t.commit(ctx, store.RunCheckpoint, lines, nil, []batch.Write{put}, stands)
	if err != nil {
		return err
	}
	c.Arguments = bytes.Clone(c.Arguments)
	at := slices.IndexFunc(t.calls, func(o call) bool { return o.ID == c.ID })
	switch {
	case in.State.CurrentState != calling:
		t.calls = slices.Delete(t.calls, at, at+1)
	case at < 0:
		t.calls = append(t.calls, call{c, in})
	default:
		t.calls[at] = call{c, in}
	}
	return nil
}

// callsOf returns the calls of a run that have no result. An input that is none is somebody
// else's.
func callsOf(view *state.View, run store.RunID) (calls []call) {
	for in := range view.Inputs() {
		c := call{input: in}
		if in.State.CurrentState == calling && json.Unmarshal(in.State.PersistedInput, &c.Call) == nil && c.Run == run {
			calls = append(calls, c)
		}
	}
	return calls
}
