package ops

import "github.com/loopstore/loopstore/store"

// PersistRuntimeState stores the runtime's state.
type PersistRuntimeState struct {
	answering[None]

	RuntimeID store.RuntimeID
	State     store.RuntimeState
}

// Kind names the operation.
func (PersistRuntimeState) Kind() Kind { return KindPersistRuntimeState }

// Runtime names the runtime it is on.
func (op PersistRuntimeState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks the state.
func (op *PersistRuntimeState) Prepare() error {
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
func (op *PersistRuntimeState) Apply(state *store.State) error {
	state.PutRuntimeState(op.RuntimeID, op.State)
	return nil
}

// Answer is empty.
func (*PersistRuntimeState) Answer() None { return None{} }

// LoadRuntimeState loads the runtime's state.
type LoadRuntimeState struct {
	answering[Found[store.RuntimeState]]

	RuntimeID store.RuntimeID

	found store.RuntimeState
}

// Kind names the operation.
func (LoadRuntimeState) Kind() Kind { return KindLoadRuntimeState }

// Runtime names the runtime it is on.
func (op LoadRuntimeState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadRuntimeState) Prepare() error { return nil }

// Apply looks the state up.
func (op *LoadRuntimeState) Apply(state *store.State) error {
	op.found = state.RuntimeState(op.RuntimeID)
	return nil
}

// Answer returns the state.
func (op *LoadRuntimeState) Answer() Found[store.RuntimeState] {
	return Found[store.RuntimeState]{op.found, op.found != ""}
}

// AtomicLifecycleCommit stores the runtime's state and input states together.
type AtomicLifecycleCommit struct {
	answering[None]

	RuntimeID store.RuntimeID
	Commit    store.LifecycleCommit

	updates updates
}

// Kind names the operation.
func (AtomicLifecycleCommit) Kind() Kind { return KindAtomicLifecycleCommit }

// Runtime names the runtime it is on.
func (op AtomicLifecycleCommit) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything.
func (op *AtomicLifecycleCommit) Prepare() (err error) {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := op.Commit.RuntimeState.Validate(); err != nil {
		return store.InField("runtime_state", err)
	}
	op.Commit.RuntimeState = op.Commit.RuntimeState.Detach()
	op.updates, err = prepareUpdates("input_states", op.Commit.InputStates)
	return err
}

// Apply stores everything.
func (op *AtomicLifecycleCommit) Apply(state *store.State) error {
	state.PutRuntimeState(op.RuntimeID, op.Commit.RuntimeState)
	op.updates.put(state, op.RuntimeID)
	return nil
}

// Answer is empty.
func (*AtomicLifecycleCommit) Answer() None { return None{} }
