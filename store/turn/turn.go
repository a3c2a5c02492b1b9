package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Store is what a turn needs of one. A *loopstore.Loop has all of it.
type Store interface {
	store.RuntimeStore
	batch.Committer
	state.Viewer
	state.InputLoader
}

// Queue says which inputs wait, and which are under way: it is for Options.Queue.
var Queue = state.Queue{
	Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued},
	Busy:  []store.InputLifecycleState{store.InputStaged, store.InputApplied},
}

// UnderWay lists the agents that have a turn under way, for loopstore.Loop.Runtimes: when a
// process starts, call [Recover] for each.
var UnderWay = state.Listing{Inputs: Queue.Busy}

// calling is the state of a call that was intended and has no result.
const calling = store.InputAppliedPendingConsumption

// A Message is what an agent is to work on.
type Message struct {
	Key  string          // of all that are the same message; empty if it is never sent twice
	Body json.RawMessage // JSON, but not null; the input's PersistedInput
}

// Enqueue stores a message as an input that waits, and returns that. If the agent has, or
// had, an input with the message's Key, that one is returned, and repeated is true: nothing
// was stored. It is the zero Input if it is gone by now. How long a key outlives its input
// is for store.Retention.Keys to say.
func Enqueue(ctx context.Context, s Store, agent store.RuntimeID, m Message) (in state.Input, repeated bool, err error) {
	input := store.NewInputState(store.NewInputID(), now())
	input.PersistedInput = []byte(m.Body)
	b := batch.Batch{If: []batch.Condition{batch.InputAbsent{RuntimeID: agent, InputID: input.InputID}}}
	if m.Key != "" {
		input.IdempotencyKey = &m.Key
		b.If = append(b.If, batch.KeyFree{RuntimeID: agent, Key: m.Key})
	}
	b.Then = []batch.Write{batch.PutInputState{RuntimeID: agent, State: input}}
	result, err := s.Commit(ctx, b)
	if m.Key == "" || !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrKeyTaken) {
		return state.Input{State: input, Version: result.Revision}, false, err
	}
	in, _, err = s.LoadInputByKey(ctx, agent, m.Key)
	return in, err == nil, err
}

// A Turn is one input of an agent, from when it is claimed to its end. It is for one
// goroutine.
type Turn struct {
	store Store
	agent store.RuntimeID
	input state.Input
	calls []call // that have no result
}

// Next claims the next message of any agent that has no turn under way, and waits for one
// under ctx. The store's Options.Queue must be [Queue]: without one the error is a
// store.ErrUnsupported, and that it is another is not noticed.
func Next(ctx context.Context, s interface {
	Store
	state.Claimer
}) (*Turn, error) {
	claimed, err := s.ClaimNext(ctx, store.Claim{To: store.InputStaged})
	if err != nil {
		return nil, err
	}
	return &Turn{store: s, agent: claimed.RuntimeID, input: claimed.Input}, nil
}

// Agent names the runtime.
func (t *Turn) Agent() store.RuntimeID { return t.agent }

// Input is the message's input, as it stands. It is a copy.
func (t *Turn) Input() store.InputState { return t.input.State.Clone() }

// Run names the run.
func (t *Turn) Run() store.RunID {
	return store.RunIDOf("turn/" + t.input.State.InputID.String())
}

// Begun reports whether [Turn.Begin] was done.
func (t *Turn) Begun() bool { return t.input.State.CurrentState == store.InputApplied }

// Begin begins the run, with the line that the message is in the conversation. Lines, here and
// in the other steps, are JSON, each with "\n" at its end; nil adds none.
func (t *Turn) Begin(ctx context.Context, line []byte) error {
	if t.input.State.CurrentState != store.InputStaged {
		return t.wrong("Begin", "is for a turn that has not begun")
	}
	return t.move(ctx, store.InputApplied, store.RunStart, line, store.RuntimeRunning)
}

// Checkpoint adds lines to the conversation.
func (t *Turn) Checkpoint(ctx context.Context, lines []byte) error {
	if err := t.open("Checkpoint"); err != nil {
		return err
	}
	_, err := t.commit(ctx, store.RunCheckpoint, lines, nil, nil)
	return err
}

// Finish ends the turn, with the last lines of the conversation. The error is a *CallError
// if a call has no result.
func (t *Turn) Finish(ctx context.Context, lines []byte) error {
	if err := t.open("Finish"); err != nil {
		return err
	}
	if len(t.calls) > 0 {
		return &CallError{Call: t.calls[0].ID, Reason: "it has no result"}
	}
	return t.move(ctx, store.InputConsumed, store.RunCheckpoint, lines, store.RuntimeIdle)
}

// Abandon ends the turn without a result. Calls that have none are abandoned too. If the turn
// has begun, lines end the conversation: a model may want an answer to each call that it has
// asked for, and [Turn.MaybeDone] has those without. Lines may be nil.
func (t *Turn) Abandon(ctx context.Context, reason store.AbandonReason, lines []byte) error {
	switch is := t.input.State.CurrentState; {
	case is != store.InputStaged && is != store.InputApplied:
		return t.wrong("Abandon", "is for a turn that has not ended, and was not put back")
	case len(lines) > 0 && !t.Begun():
		return t.wrong("Abandon", "adds lines to a turn that has begun")
	}
	outcome := store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: reason}
	writes := []batch.Write{batch.PutRuntimeState{RuntimeID: t.agent, State: store.RuntimeIdle}}
	ending := []store.InputState{t.input.State}
	for _, c := range t.calls {
		ending = append(ending, c.input.State)
	}
	for _, in := range ending {
		in.TerminalOutcome = new(outcome)
		if err := in.Move(store.InputAbandoned, now(), ""); err != nil {
			return err
		}
		writes = append(writes, batch.PutInputState{RuntimeID: t.agent, State: in})
	}
	var err error
	if len(lines) > 0 {
		_, err = t.commit(ctx, store.RunCheckpoint, lines, nil, writes)
	} else {
		_, err = t.store.Commit(ctx, batch.Batch{If: []batch.Condition{t.fence(t.input)}, Then: writes})
	}
	if err == nil {
		t.input.State.CurrentState, t.calls = store.InputAbandoned, nil
	}
	return err
}

// PutBack gives up a turn that was not begun: another worker gets it.
func (t *Turn) PutBack(ctx context.Context) error {
	if t.input.State.CurrentState != store.InputStaged {
		return t.wrong("PutBack", "is for a turn that has not begun")
	}
	return t.put(ctx, store.InputQueued, "put back")
}

// Recover finds what a process has left of an agent's turn, and takes that over: the one who
// had it is refused from then on. A turn that had begun is returned, to go on with: look at
// the conversation, and at [Turn.MaybeDone]. One that had not waits again, and t is nil, as
// it is if there is none. An input that is under way otherwise is left alone. An agent at work
// in this process must not be recovered: a worker that hangs ends with its process.
func Recover(ctx context.Context, s Store, agent store.RuntimeID) (t *Turn, err error) {
	view, err := s.View(ctx, agent)
	if err != nil {
		return nil, err
	}
	for in := range view.Inputs() {
		at := &Turn{store: s, agent: agent, input: in}
		switch in.State.CurrentState {
		case store.InputStaged:
			at.input.State.RecoveryCount++
			if err := at.put(ctx, store.InputQueued, "recovered"); err != nil {
				return nil, err
			}
		case store.InputApplied:
			if last := in.State.LastRunID; last == nil || *last != at.Run() {
				continue // somebody else's
			}
			at.input.State.RecoveryCount++
			if err := at.put(ctx, store.InputApplied, "recovered"); err != nil {
				return nil, err
			}
			now, err := s.View(ctx, agent) // what the other one has intended until it was refused is there
			if err != nil {
				return nil, err
			}
			at.calls = callsOf(now, at.Run())
			t = at
		}
	}
	return t, nil
}

// open returns an error if the turn has not begun, or has ended.
func (t *Turn) open(step string) error {
	if !t.Begun() {
		return t.wrong(step, "is for a turn that has begun, and has not ended")
	}
	return nil
}

func (t *Turn) wrong(step, reason string) error {
	return &StepError{Agent: t.agent, Step: step, Input: t.input.State.CurrentState, Reason: reason}
}

// A StepError says why a step was refused where the turn stands. Nothing was stored.
type StepError struct {
	Agent  store.RuntimeID
	Step   string                    // its method
	Input  store.InputLifecycleState // as it stands
	Reason string
}

func (e *StepError) Error() string {
	return fmt.Sprintf("turn of %q: %s %s; the input is %s", e.Agent.Short(), e.Step, e.Reason, e.Input)
}

// fence holds until anybody else has changed an input.
func (t *Turn) fence(in state.Input) batch.Condition {
	return batch.InputVersionIs{RuntimeID: t.agent, InputID: in.State.InputID, Version: in.Version}
}

// put stores the input in a state.
func (t *Turn) put(ctx context.Context, to store.InputLifecycleState, reason string) error {
	input := t.input.State.Clone()
	if err := input.Move(to, now(), reason); err != nil {
		return err
	}
	result, err := t.store.Commit(ctx, batch.Batch{
		If: []batch.Condition{t.fence(t.input)}, Then: []batch.Write{batch.PutInputState{RuntimeID: t.agent, State: input}},
	})
	if err == nil {
		t.input = state.Input{State: input, Version: result.Revision}
	}
	return err
}

// move stores the input in its next state, at a boundary with lines, and the runtime's state.
func (t *Turn) move(ctx context.Context, to store.InputLifecycleState, boundary store.RunApplyBoundary, lines []byte, is store.RuntimeState) error {
	input := t.input.State.Clone()
	if err := input.Move(to, now(), ""); err != nil {
		return err
	}
	_, err := t.commit(ctx, boundary, lines, &input, []batch.Write{batch.PutRuntimeState{RuntimeID: t.agent, State: is}})
	return err
}

// commit stores writes and a boundary with lines, with an update of the input unless it is nil,
// if conditions hold and the turn is still this one's.
func (t *Turn) commit(ctx context.Context, boundary store.RunApplyBoundary, lines []byte, update *store.InputState, writes []batch.Write, conditions ...batch.Condition) (revision uint64, err error) {
	commit := store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: lines, Format: store.FormatLines, Append: true},
		RunID:   t.Run(), Boundary: boundary, ContributingInputIDs: []store.InputID{t.input.State.InputID},
	}
	if update != nil {
		commit.InputUpdates = []store.InputState{*update}
	}
	result, err := t.store.Commit(ctx, batch.Batch{
		If:   append(conditions, t.fence(t.input)),
		Then: append(writes, batch.CommitBoundary{RuntimeID: t.agent, Commit: commit}),
	})
	if err == nil && update != nil {
		receipt := result.Receipts[0]
		update.LastRunID, update.LastBoundarySequence = &receipt.RunID, &receipt.Sequence // as the store has stamped it
		t.input = state.Input{State: *update, Version: result.Revision}
	}
	return result.Revision, err
}

func now() store.Time { return store.TimeOf(time.Now()) }
