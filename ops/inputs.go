package ops

import (
	"context"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// PersistInputState stores an input's state.
type PersistInputState struct {
	request[PersistInputState, None]

	RuntimeID store.RuntimeID
	State     store.InputState

	state *store.InputState
}

// Runtime implements [Operation].
func (op PersistInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies the state.
func (op *PersistInputState) Prepare(Standing) error {
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
func (op *PersistInputState) Apply(s *state.State) error {
	s.PutInputState(op.RuntimeID, op.state)
	return nil
}

func (op *PersistInputState) on(ctx context.Context, s store.RuntimeStore) (None, error) {
	return None{}, s.PersistInputState(ctx, op.RuntimeID, op.State)
}

// LoadInputState loads the state of one input.
type LoadInputState struct {
	load[LoadInputState, Found[store.InputState]]

	RuntimeID store.RuntimeID
	InputID   store.InputID

	found *store.InputState
}

// Runtime implements [Operation].
func (op LoadInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the state up.
func (op *LoadInputState) Apply(s *state.State) error {
	op.found = s.InputState(op.RuntimeID, op.InputID)
	return nil
}

// Answer copies the state.
func (op *LoadInputState) Answer() Found[store.InputState] {
	if op.found == nil {
		return Found[store.InputState]{}
	}
	return Found[store.InputState]{op.found.Clone(), true}
}

func (op *LoadInputState) on(ctx context.Context, s store.RuntimeStore) (Found[store.InputState], error) {
	return found(s.LoadInputState(ctx, op.RuntimeID, op.InputID))
}

// LoadInputStates loads all input states of a runtime.
type LoadInputStates struct {
	load[LoadInputStates, []store.InputState]

	RuntimeID store.RuntimeID

	found state.InputStates
}

// Runtime implements [Operation].
func (op LoadInputStates) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply takes the list as it is.
func (op *LoadInputStates) Apply(s *state.State) error {
	op.found = s.InputStates(op.RuntimeID)
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

func (op *LoadInputStates) on(ctx context.Context, s store.RuntimeStore) ([]store.InputState, error) {
	return s.LoadInputStates(ctx, op.RuntimeID)
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
func (u updates) put(s *state.State, id store.RuntimeID) {
	for _, input := range u {
		s.PutInputState(id, input)
	}
}
