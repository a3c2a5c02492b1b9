package measure

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

func turnCells() []cell {
	return forCallers("turn", callerCounts, func(_ context.Context, b *bench) error {
		sessions := conversation()
		agents := make([]*agent, b.callers)
		for i, id := range runtimeIDs(b.callers) {
			agents[i] = newAgent(id)
		}
		b.call = func(ctx context.Context, caller, i int) error {
			return agents[caller].turn(ctx, b.store, sessions[i%len(sessions)], i)
		}
		return b.open()
	})
}

const turnsPerRun = 8

// conversation returns the sessions of a run's turns. Each is the one before it, grown.
func conversation() (sessions [turnsPerRun][]byte) {
	session := Session(1 << 10)
	for i := range sessions {
		sessions[i] = session
		session = Grown(session)
	}
	return sessions
}

// An agent takes turns. Everything that it stores is made beforehand, except for ids.
type agent struct {
	id       store.RuntimeID
	before   []store.InputState // persisted before the boundary, one after the other
	applied  []store.InputState // one
	consumed []store.InputState // one
	ids      []store.InputID    // one
}

func newAgent(id store.RuntimeID) *agent {
	a := &agent{id: id, ids: make([]store.InputID, 1)}
	input := store.NewInputState(store.InputID{}, store.Time{})
	input.Durability = store.Durable
	input.Policy = &store.PolicySnapshot{Version: 1, Decision: store.PolicyDecision{
		ApplyMode: store.StageRunBoundary, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO,
		ConsumePoint: store.ConsumeOnApply, RecordTranscript: true, EmitOperatorContent: true, PolicyVersion: 1,
	}}
	input.PersistedInput = []byte(`{"input_type":"prompt","message":0}`)
	move := func(to store.InputLifecycleState) store.InputState {
		history := append([]store.HistoryEntry(nil), input.History...)
		input.History = append(history, store.HistoryEntry{From: input.CurrentState, To: to})
		input.CurrentState = to
		return input
	}
	a.before = []store.InputState{input}
	a.before = append(a.before, move(store.InputQueued), move(store.InputStaged))
	input.RecoveryCount++
	a.before = append(a.before, input)
	a.applied = []store.InputState{move(store.InputApplied)}
	a.consumed = []store.InputState{move(store.InputConsumed)}
	a.consumed[0].TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
	return a
}

// turn takes the i-th turn: it leads an input through its whole life.
func (a *agent) turn(ctx context.Context, s store.RuntimeStore, session []byte, i int) error {
	input, run := inputID(i), store.RunID(inputID(i/turnsPerRun))
	for at := range a.before {
		a.before[at].InputID = input
		if err := s.PersistInputState(ctx, a.id, a.before[at]); err != nil {
			return err
		}
	}
	if _, ok, err := s.LoadInputState(ctx, a.id, input); err != nil || !ok {
		return missing(err, "the input")
	}
	a.ids[0], a.applied[0].InputID, a.consumed[0].InputID = input, input, input
	receipt, err := s.CommitSessionBoundary(ctx, a.id, store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: session},
		RunID:   run, Boundary: store.RunCheckpoint, ContributingInputIDs: a.ids, InputUpdates: a.applied,
	})
	if err != nil {
		return err
	}
	a.consumed[0].LastRunID, a.consumed[0].LastBoundarySequence = &receipt.RunID, &receipt.Sequence
	return s.AtomicLifecycleCommit(ctx, a.id, store.LifecycleCommit{RuntimeState: store.RuntimeRunning, InputStates: a.consumed})
}

// missing returns err, or if that is nil, an error that says what the store has lost.
func missing(err error, what string) error {
	if err == nil {
		err = fmt.Errorf("the store has lost %s", what)
	}
	return err
}
