package ops

import (
	"context"

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

// LoadInput loads one input with its version: the one with an id, or the first that has an
// idempotency key.
type LoadInput struct {
	load[LoadInput, Found[state.Input]]

	RuntimeID store.RuntimeID
	InputID   store.InputID
	Key       *string // if it is not nil, InputID is not looked at

	found   *store.InputState
	version uint64
}

// Runtime implements [Operation].
func (op LoadInput) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the input up.
func (op *LoadInput) Apply(s *state.State) error {
	if op.Key != nil {
		op.found, op.version = s.InputByKey(op.RuntimeID, *op.Key)
		return nil
	}
	op.found, op.version = s.Input(op.RuntimeID, op.InputID)
	return nil
}

// Answer copies the state.
func (op *LoadInput) Answer() Found[state.Input] {
	if op.found == nil {
		return Found[state.Input]{}
	}
	return Found[state.Input]{state.Input{State: op.found.Clone(), Version: op.version}, true}
}

func (op *LoadInput) on(ctx context.Context, s store.RuntimeStore) (Found[state.Input], error) {
	l, ok := s.(state.InputLoader)
	switch {
	case !ok:
		return Found[state.Input]{}, unsupported(op)
	case op.Key != nil:
		return found(l.LoadInputByKey(ctx, op.RuntimeID, *op.Key))
	}
	return found(l.LoadInput(ctx, op.RuntimeID, op.InputID))
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
