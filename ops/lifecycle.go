package ops

import (
	"context"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// PersistRuntimeState stores the runtime's state.
type PersistRuntimeState struct {
	request[PersistRuntimeState, None]

	RuntimeID store.RuntimeID
	State     store.RuntimeState
}

// Runtime implements [Operation].
func (op PersistRuntimeState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks the state.
func (op *PersistRuntimeState) Prepare(Standing) error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := op.State.Validate(); err != nil {
		return store.InField("runtime_state", err)
	}
	op.State = op.State.Detach()
	return nil
}

// Apply stores the state.
func (op *PersistRuntimeState) Apply(s *state.State) error {
	s.PutRuntimeState(op.RuntimeID, op.State)
	return nil
}

func (op *PersistRuntimeState) on(ctx context.Context, s store.RuntimeStore) (None, error) {
	return None{}, s.PersistRuntimeState(ctx, op.RuntimeID, op.State)
}

// LoadRuntimeState loads the runtime's state.
type LoadRuntimeState struct {
	load[LoadRuntimeState, Found[store.RuntimeState]]

	RuntimeID store.RuntimeID
}

// Runtime implements [Operation].
func (op LoadRuntimeState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the state up.
func (op *LoadRuntimeState) Apply(s *state.State) error {
	found := s.RuntimeState(op.RuntimeID)
	op.answer = Found[store.RuntimeState]{found, found != ""}
	return nil
}

func (op *LoadRuntimeState) on(ctx context.Context, s store.RuntimeStore) (Found[store.RuntimeState], error) {
	return found(s.LoadRuntimeState(ctx, op.RuntimeID))
}

// AtomicLifecycleCommit stores the runtime's state and input states together.
type AtomicLifecycleCommit struct {
	request[AtomicLifecycleCommit, None]

	RuntimeID store.RuntimeID
	Commit    store.LifecycleCommit

	together
}

// Runtime implements [Operation].
func (op AtomicLifecycleCommit) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything.
func (op *AtomicLifecycleCommit) Prepare(Standing) error {
	if err := op.prepare(op.RuntimeID, op.Commit.If, "input_states", op.Commit.InputStates); err != nil {
		return err
	}
	if err := op.Commit.RuntimeState.Validate(); err != nil {
		return store.InField("runtime_state", err)
	}
	op.Commit.RuntimeState = op.Commit.RuntimeState.Detach()
	return nil
}

// Apply stores everything.
func (op *AtomicLifecycleCommit) Apply(s *state.State) error {
	if err := op.conditions.hold(s); err != nil {
		return err
	}
	s.PutRuntimeState(op.RuntimeID, op.Commit.RuntimeState)
	op.putUpdates(s, op.RuntimeID)
	return nil
}

func (op *AtomicLifecycleCommit) on(ctx context.Context, s store.RuntimeStore) (None, error) {
	return None{}, s.AtomicLifecycleCommit(ctx, op.RuntimeID, op.Commit)
}
