package ops

import (
	"strconv"

	"github.com/loopstore/loopstore/store"
)

// PersistInputState stores an input's state.
type PersistInputState struct {
	answering[None]

	RuntimeID store.RuntimeID
	State     store.InputState

	state *store.InputState
}

// Kind names the operation.
func (PersistInputState) Kind() Kind { return KindPersistInputState }

// Runtime names the runtime it is on.
func (op PersistInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies the state.
func (op *PersistInputState) Prepare() error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := op.State.Validate(); err != nil {
		return err
	}
	state := op.State.Detach()
	op.state = &state
	return nil
}

// Apply stores the copy.
func (op *PersistInputState) Apply(state *store.State) error {
	state.PutInputState(op.RuntimeID, op.state)
	return nil
}

// Answer is empty.
func (*PersistInputState) Answer() None { return None{} }

// LoadInputState loads the state of one input.
type LoadInputState struct {
	answering[Found[store.InputState]]

	RuntimeID store.RuntimeID
	InputID   store.InputID

	found *store.InputState
}

// Kind names the operation.
func (LoadInputState) Kind() Kind { return KindLoadInputState }

// Runtime names the runtime it is on.
func (op LoadInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadInputState) Prepare() error { return nil }

// Apply looks the state up.
func (op *LoadInputState) Apply(state *store.State) error {
	op.found = state.InputState(op.RuntimeID, op.InputID)
	return nil
}

// Answer copies the state.
func (op *LoadInputState) Answer() Found[store.InputState] {
	if op.found == nil {
		return Found[store.InputState]{}
	}
	return Found[store.InputState]{op.found.Clone(), true}
}

// LoadInputStates loads all input states of a runtime.
type LoadInputStates struct {
	answering[[]store.InputState]

	RuntimeID store.RuntimeID

	found store.InputStates
}

// Kind names the operation.
func (LoadInputStates) Kind() Kind { return KindLoadInputStates }

// Runtime names the runtime it is on.
func (op LoadInputStates) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadInputStates) Prepare() error { return nil }

// Apply takes the list as it is.
func (op *LoadInputStates) Apply(state *store.State) error {
	op.found = state.InputStates(op.RuntimeID)
	return nil
}

// Answer copies the states, in order. It is empty, not nil, if there are none.
func (op *LoadInputStates) Answer() []store.InputState {
	states := make([]store.InputState, op.found.Len())
	n := 0
	for s := range op.found.All() {
		s.CloneTo(&states[n])
		n++
	}
	return states
}

// updates are the input states that an operation stores together.
type updates []*store.InputState

// prepareUpdates checks all states, and copies them if all are valid.
func prepareUpdates(field string, states []store.InputState) (updates, error) {
	for i := range states {
		if err := states[i].Validate(); err != nil {
			return nil, store.InField(field+"["+strconv.Itoa(i)+"]", err)
		}
	}
	all := make(updates, len(states))
	for i := range states {
		state := states[i].Detach()
		all[i] = &state
	}
	return all, nil
}

// put stores the states in order, so the last of those with one id wins, in
// the place of the first.
func (u updates) put(state *store.State, id store.RuntimeID) {
	for _, s := range u {
		state.PutInputState(id, s)
	}
}
