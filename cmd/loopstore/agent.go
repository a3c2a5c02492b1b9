package main

import (
	"context"
	"fmt"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

const (
	turnsPerRun   = 8
	pairEvery     = 3  // every third turn has two inputs, the others have one
	restartsAmong = 8  // one runtime of eight restarts,
	restartsEvery = 64 // once in 64 turns
	restartsAt    = 2
)

// An agent is one agent runtime. It is for one goroutine at a time.
type agent struct {
	id           store.RuntimeID
	number, turn int
	record       *record

	// What a restart loses, and finds in the store.
	run          store.RunID
	sequence     uint64             // of the last boundary
	pending      []store.InputState // accepted, not yet consumed
	conversation conversation
}

func newAgent(number int, d *document) *agent {
	id := store.RuntimeID(fmt.Sprintf("agent-%03d", number))
	return &agent{id: id, number: number, record: &record{id: id}, conversation: conversation{document: d}}
}

// takeTurn takes an input, or two, through their whole life.
func (a *agent) takeTurn(ctx context.Context, c *caller) error {
	for _, step := range []struct {
		due  bool
		take func(context.Context, *caller) error
	}{
		{a.turn == 0, a.start},
		{a.turn%turnsPerRun == 0, a.startRun},
		{true, a.acceptInputs},
		{true, a.commitBoundary},
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
	if _, err := do(ctx, c, ops.LoadInputStates{RuntimeID: a.id}); err != nil {
		return err
	}
	return a.enter(ctx, c, store.RuntimeIdle)
}

// stop ends the runtime, if it has started.
func (a *agent) stop(ctx context.Context, c *caller) error {
	if a.turn == 0 {
		return nil
	}
	return a.enter(ctx, c, store.RuntimeStopped)
}

func (a *agent) enter(ctx context.Context, c *caller, state store.RuntimeState) error {
	if _, err := do(ctx, c, ops.PersistRuntimeState{RuntimeID: a.id, State: state}); err != nil {
		return err
	}
	a.record.state = state
	return nil
}

func (a *agent) startRun(ctx context.Context, c *caller) error {
	state, err := do(ctx, c, ops.LoadRuntimeState{RuntimeID: a.id})
	if err != nil {
		return err
	}
	if !state.Value.MayProcessQueue() {
		return fmt.Errorf("%s is %q and may not process its queue", a.id, state.Value)
	}
	if a.turn > 0 {
		if err := a.loadConversation(ctx, c); err != nil {
			return err
		}
	}
	a.run = store.NewRunID()
	a.record.runs = append(a.record.runs, runRecord{id: a.run})
	return a.enter(ctx, c, store.RuntimeRunning)
}

func (a *agent) loadConversation(ctx context.Context, c *caller) error {
	receipt, err := do(ctx, c, ops.LoadBoundaryReceipt{RuntimeID: a.id, RunID: a.run, Sequence: a.sequence})
	if err != nil {
		return err
	}
	snapshot, err := do(ctx, c, ops.LoadSessionSnapshot{RuntimeID: a.id})
	if err != nil {
		return err
	}
	if !receipt.OK || !snapshot.OK {
		return fmt.Errorf("%s: the store has no receipt %d of run %s, or no snapshot", a.id, a.sequence, a.run)
	}
	if err := a.conversation.resume(snapshot.Value, receipt.Value); err != nil {
		return fmt.Errorf("%s: %w", a.id, err)
	}
	return nil
}

func (a *agent) acceptInputs(ctx context.Context, c *caller) error {
	count := 1
	if a.turn%pairEvery == pairEvery-1 {
		count = 2
	}
	for range count {
		input, err := a.acceptInput(ctx, c)
		if err != nil {
			return err
		}
		a.pending = append(a.pending, input)
	}
	return nil
}

// acceptInput takes a new input through accepted and queued to staged.
func (a *agent) acceptInput(ctx context.Context, c *caller) (store.InputState, error) {
	input := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	input.Durability = store.Durable
	input.Policy = &store.PolicySnapshot{Version: 1, Decision: store.PolicyDecision{
		ApplyMode: store.StageRunBoundary, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO,
		ConsumePoint: store.ConsumeOnApply, RecordTranscript: true, EmitOperatorContent: true, PolicyVersion: 1,
	}}
	input.PersistedInput = fmt.Appendf(nil, `{"input_type":"prompt","message":%d}`, a.conversation.count)
	if _, err := do(ctx, c, ops.PersistInputState{RuntimeID: a.id, State: input}); err != nil {
		return input, err
	}
	a.record.accept(input)
	for _, to := range []store.InputLifecycleState{store.InputQueued, store.InputStaged} {
		move(&input, to)
		if err := a.persist(ctx, c, input); err != nil {
			return input, err
		}
	}
	return input, nil
}

// persist stores a new state of an input that was accepted.
func (a *agent) persist(ctx context.Context, c *caller, input store.InputState) error {
	if _, err := do(ctx, c, ops.PersistInputState{RuntimeID: a.id, State: input}); err != nil {
		return err
	}
	a.record.update(input)
	return nil
}

// move takes an input to its next state.
func move(s *store.InputState, to store.InputLifecycleState) {
	now := store.TimeOf(time.Now())
	s.History = append(s.History, store.HistoryEntry{Timestamp: now, From: s.CurrentState, To: to})
	s.CurrentState, s.UpdatedAt = to, now
	switch to {
	case store.InputStaged:
		s.AttemptCount++
	case store.InputConsumed:
		s.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
	}
}

// commitBoundary lets the conversation grow by a turn and commits it, with
// the inputs applied.
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
	boundary := store.RunCheckpoint
	if a.turn%turnsPerRun == 0 {
		boundary = store.RunStart
	}
	commit := store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: a.conversation.snapshot},
		RunID:   a.run, Boundary: boundary, ContributingInputIDs: ids, InputUpdates: a.pending,
	}
	receipt, err := do(ctx, c, ops.CommitSessionBoundary{RuntimeID: a.id, Commit: commit})
	if err != nil {
		return err
	}
	a.sequence = receipt.Sequence
	c.tally.snapshotBytes.Add(int64(len(a.conversation.snapshot)))
	a.record.commit(commit, boundaryRecord{digest, a.conversation.count, receipt})
	return nil
}

// consumeInputs ends the life of the inputs of the turn, and of the run with
// its last turn.
func (a *agent) consumeInputs(ctx context.Context, c *caller) error {
	for i := range a.pending {
		stamped, err := do(ctx, c, ops.LoadInputState{RuntimeID: a.id, InputID: a.pending[i].InputID})
		if err != nil {
			return err
		}
		if !stamped.OK {
			return fmt.Errorf("%s: the store has lost input %s", a.id, a.pending[i].InputID)
		}
		a.pending[i] = stamped.Value
		move(&a.pending[i], store.InputConsumed)
	}
	commit := store.LifecycleCommit{RuntimeState: store.RuntimeRunning, InputStates: a.pending}
	if (a.turn+1)%turnsPerRun == 0 {
		commit.RuntimeState = store.RuntimeIdle
	}
	if _, err := do(ctx, c, ops.AtomicLifecycleCommit{RuntimeID: a.id, Commit: commit}); err != nil {
		return err
	}
	a.record.state = commit.RuntimeState
	a.record.update(a.pending...)
	a.pending = nil
	return nil
}

// restart forgets everything and finds it in the store: the last stamp names
// the last boundary, and what is not consumed is pending.
func (a *agent) restart(ctx context.Context, c *caller) error {
	a.run, a.sequence, a.pending = store.RunID{}, 0, nil
	a.conversation = conversation{document: a.conversation.document}

	state, err := do(ctx, c, ops.LoadRuntimeState{RuntimeID: a.id})
	if err != nil {
		return err
	}
	inputs, err := do(ctx, c, ops.LoadInputStates{RuntimeID: a.id})
	if err != nil {
		return err
	}
	a.record.restarted(state.Value, inputs)
	if err := a.enter(ctx, c, store.RuntimeRecovering); err != nil {
		return err
	}
	for _, input := range inputs {
		if input.LastRunID != nil && input.LastBoundarySequence != nil {
			a.run, a.sequence = *input.LastRunID, *input.LastBoundarySequence
		}
		if !input.CurrentState.IsTerminal() {
			input.RecoveryCount++
			if err := a.persist(ctx, c, input); err != nil {
				return err
			}
			a.pending = append(a.pending, input)
		}
	}
	if err := a.loadConversation(ctx, c); err != nil {
		return err
	}
	return a.enter(ctx, c, store.RuntimeRunning)
}
