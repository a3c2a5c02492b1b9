package seed

import (
	"cmp"
	"context"

	"github.com/loopstore/loopstore/store"
)

// enter begins a load. It takes the lock, which the caller must unlock unless enter
// returns an error.
func (s *Store) enter(ctx context.Context) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	return s.lock()
}

// LoadInputStates copies all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	of := cmp.Or(s.inputs[id], &inputs{})
	states := make([]store.InputState, len(of.states))
	for i := range of.states {
		states[i] = of.states[i].Clone()
	}
	return states, nil
}

// LoadInputState copies the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (state store.InputState, ok bool, err error) {
	if err := s.enter(ctx); err != nil {
		return state, false, err
	}
	defer s.mu.Unlock()
	if of := s.inputs[id]; of != nil {
		if at, ok := of.at[input]; ok {
			return of.states[at].Clone(), true, nil
		}
	}
	return state, false, nil
}

// LoadBoundaryReceipt copies the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (receipt store.RunBoundaryReceipt, ok bool, err error) {
	if err := s.enter(ctx); err != nil {
		return receipt, false, err
	}
	defer s.mu.Unlock()
	receipt, ok = s.receipts[place{id, run, sequence}]
	return receipt.Clone(), ok, nil
}

// LoadSessionSnapshot copies the latest snapshot.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) (snapshot []byte, ok bool, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	if session := s.snapshots[id]; session != nil {
		return []byte(session.Text), true, nil
	}
	return nil, false, nil
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (state store.RuntimeState, ok bool, err error) {
	if err := s.enter(ctx); err != nil {
		return "", false, err
	}
	defer s.mu.Unlock()
	state, ok = s.states[id]
	return state, ok, nil
}
