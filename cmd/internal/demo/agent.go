package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
)

const (
	turnsPerRun   = 8
	pairEvery     = 3  // every third turn has two inputs, the others have one
	restartsAmong = 8  // one runtime of eight restarts,
	restartsEvery = 64 // once in 64 turns
	restartsAt    = 2
)

// life is the states that an input goes through.
var life = []store.InputLifecycleState{
	store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed,
}

const staged = 2 // in life: the last state before the boundary

// An agent is one agent runtime. It is for one goroutine at a time.
type agent struct {
	id           store.RuntimeID
	number, turn int // turn counts the turns that have ended, in earlier processes too
	account      *account
	found        bool // left by an earlier process, and not restarted yet
	applied      bool // the boundary of this turn is committed
	anew         bool // its conversation grew from none of the documents, so a new one begins

	// What a restart loses, and finds again in the store.
	run          store.RunID
	sequence     uint64             // of the last boundary
	pending      []store.InputState // accepted, not yet consumed
	conversation conversation
}

func newAgent(number int, documents Documents) *agent {
	id := idOf(number)
	return &agent{id: id, number: number, account: &account{id: id}, conversation: conversation{document: documents[number%len(documents)]}}
}

// takeTurn takes an input, or two, through their whole life. An agent that was found
// continues where it stopped.
func (a *agent) takeTurn(ctx context.Context, c *caller) error {
	if a.found {
		if err := a.restart(ctx, c); err != nil {
			return err
		}
		a.found = false
	}
	for _, step := range []struct {
		due  bool
		take func(context.Context, *caller) error
	}{
		{a.account.state == "", a.start},
		{a.turn%turnsPerRun == 0 && !a.applied, a.startRun},
		{!a.applied, a.acceptInputs},
		{!a.applied, a.commitBoundary},
		{a.number%restartsAmong == 1 && a.turn%restartsEvery == restartsAt, a.restart},
		{true, a.consumeInputs},
	} {
		if step.due {
			if err := step.take(ctx, c); err != nil {
				return err
			}
		}
	}
	a.turn++
	return nil
}

func (a *agent) start(ctx context.Context, c *caller) error {
	if err := a.enter(ctx, c, store.RuntimeInitializing); err != nil {
		return err
	}
	if _, err := c.LoadInputStates(ctx, a.id); err != nil {
		return err
	}
	return a.enter(ctx, c, store.RuntimeIdle)
}

// stop ends the runtime, if it has started and not ended.
func (a *agent) stop(ctx context.Context, c *caller) error {
	if a.account.state == "" || a.account.state == store.RuntimeStopped {
		return nil
	}
	return a.enter(ctx, c, store.RuntimeStopped)
}

func (a *agent) enter(ctx context.Context, c *caller, state store.RuntimeState) error {
	if err := c.PersistRuntimeState(ctx, a.id, state); err != nil {
		return err
	}
	a.account.state = state
	return nil
}

func (a *agent) startRun(ctx context.Context, c *caller) error {
	state, _, err := c.LoadRuntimeState(ctx, a.id)
	if err != nil {
		return err
	}
	if !state.MayProcessQueue() {
		return fmt.Errorf("%s is %q and may not process its queue", a.id, state)
	}
	if err := a.loadConversation(ctx, c); err != nil {
		return err
	}
	a.run = store.NewRunID()
	a.account.runs = append(a.account.runs, runAccount{id: a.run})
	return a.enter(ctx, c, store.RuntimeRunning)
}

// inputsOf returns how many inputs a turn has.
func inputsOf(turn int) int {
	if turn%pairEvery == pairEvery-1 {
		return 2
	}
	return 1
}

// acceptInputs takes the inputs of the turn through accepted and queued to staged. A
// restart may have found some of them.
func (a *agent) acceptInputs(ctx context.Context, c *caller) error {
	for i := range inputsOf(a.turn) {
		if i == len(a.pending) {
			input, err := a.acceptInput(ctx, c)
			if err != nil {
				return err
			}
			a.pending = append(a.pending, input)
		}
		for input := &a.pending[i]; input.CurrentState != life[staged]; {
			move(input, life[slices.Index(life, input.CurrentState)+1])
			if err := a.persist(ctx, c, *input); err != nil {
				return err
			}
		}
	}
	return nil
}

// acceptInput takes a new input.
func (a *agent) acceptInput(ctx context.Context, c *caller) (store.InputState, error) {
	input := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	input.Durability = store.Durable
	input.Policy = &store.PolicySnapshot{Version: 1, Decision: store.PolicyDecision{
		ApplyMode: store.StageRunBoundary, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO,
		ConsumePoint: store.ConsumeOnApply, RecordTranscript: true, EmitOperatorContent: true, PolicyVersion: 1,
	}}
	input.PersistedInput = fmt.Appendf(nil, `{"input_type":"prompt","message":%d}`, a.conversation.count)
	if err := c.PersistInputState(ctx, a.id, input); err != nil {
		return input, err
	}
	a.account.accept(input)
	return input, nil
}

// persist stores a new state of an input that was accepted.
func (a *agent) persist(ctx context.Context, c *caller, input store.InputState) error {
	if err := c.PersistInputState(ctx, a.id, input); err != nil {
		return err
	}
	a.account.update(input)
	return nil
}

// move takes an input to its next state.
func move(s *store.InputState, to store.InputLifecycleState) {
	_ = s.Move(to, store.TimeOf(time.Now()), "") // no state of a life can be refused
	if to == store.InputStaged {
		s.AttemptCount++
	}
}

// boundaryAt returns the kind of the boundary with a sequence.
func boundaryAt(sequence int) store.RunApplyBoundary {
	if sequence == 0 {
		return store.RunStart
	}
	return store.RunCheckpoint
}

// commitBoundary grows the conversation by a turn and commits it, with the inputs
// applied.
func (a *agent) commitBoundary(ctx context.Context, c *caller) error {
	a.conversation.grow()
	digest, err := a.conversation.digest()
	if err != nil {
		return fmt.Errorf("%s: %w", a.id, err)
	}
	var ids []store.InputID
	for i := range a.pending {
		move(&a.pending[i], store.InputApplied)
		ids = append(ids, a.pending[i].InputID)
	}
	commit := store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: a.conversation.snapshot},
		RunID:   a.run, Boundary: boundaryAt(a.turn % turnsPerRun), ContributingInputIDs: ids, InputUpdates: a.pending,
	}
	receipt, err := c.CommitSessionBoundary(ctx, a.id, commit)
	if err != nil {
		return err
	}
	a.sequence, a.applied, a.anew = receipt.Sequence, true, false
	c.tally.snapshotBytes.Add(int64(len(a.conversation.snapshot)))
	a.account.commit(commit, boundaryAccount{&digest, a.conversation.count, receipt})
	return nil
}

// consumeInputs consumes the inputs of the turn. The last turn of a run also ends
// the run.
func (a *agent) consumeInputs(ctx context.Context, c *caller) error {
	for i := range a.pending {
		stamped, ok, err := c.LoadInputState(ctx, a.id, a.pending[i].InputID)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s: the store has lost input %s", a.id, a.pending[i].InputID)
		}
		a.pending[i] = stamped
		move(&a.pending[i], store.InputConsumed)
	}
	commit := store.LifecycleCommit{RuntimeState: store.RuntimeRunning, InputStates: a.pending}
	if (a.turn+1)%turnsPerRun == 0 {
		commit.RuntimeState = store.RuntimeIdle
	}
	if err := c.AtomicLifecycleCommit(ctx, a.id, commit); err != nil {
		return err
	}
	a.account.state = commit.RuntimeState
	a.account.update(a.pending...)
	a.pending, a.applied = nil, false
	return nil
}
