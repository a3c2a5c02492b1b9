package bunt

import (
	"context"
	"errors"
	"strings"

	"github.com/tidwall/buntdb"

	"github.com/loopstore/loopstore/store"
)

// view reads in one transaction. It returns false if do returns ErrNotFound.
func (s *Store) view(ctx context.Context, do func(*buntdb.Tx) error) (found bool, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return false, err
	}
	err = refused(s.db.View(do))
	if errors.Is(err, buntdb.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// get looks up one value. It returns false if there is none.
func (s *Store) get(ctx context.Context, key string) (value string, found bool, err error) {
	found, err = s.view(ctx, func(tx *buntdb.Tx) (err error) {
		value, err = tx.Get(key)
		return err
	})
	return value, found, err
}

// LoadInputStates returns all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	var values []string
	begin := keyOf(placeKind, id)
	if _, err := s.view(ctx, func(tx *buntdb.Tx) error {
		return tx.AscendGreaterOrEqual("", begin, func(key, value string) bool {
			ours := strings.HasPrefix(key, begin)
			if ours {
				values = append(values, value)
			}
			return ours
		})
	}); err != nil {
		return nil, err
	}
	states := make([]store.InputState, len(values))
	for i, value := range values {
		var err error
		if states[i], err = stateOf(value); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// LoadInputState returns the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (state store.InputState, ok bool, err error) {
	var value string
	found, err := s.view(ctx, func(tx *buntdb.Tx) error {
		place, err := tx.Get(keyOf(inputKind, id, input[:]...))
		if err == nil {
			value, err = tx.Get(keyOf(placeKind, id, []byte(place)...))
		}
		return err
	})
	if err != nil || !found {
		return state, false, err
	}
	state, err = stateOf(value)
	return state, err == nil, err
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (receipt store.RunBoundaryReceipt, ok bool, err error) {
	text, found, err := s.get(ctx, placeOf(id, &store.RunBoundaryReceipt{RunID: run, Sequence: sequence}))
	if err != nil || !found {
		return receipt, false, err
	}
	err = receipt.UnmarshalJSON([]byte(text))
	return receipt, err == nil, err
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) (snapshot []byte, ok bool, err error) {
	text, found, err := s.get(ctx, keyOf(sessionKind, id))
	return []byte(text), found, err
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (state store.RuntimeState, ok bool, err error) {
	text, found, err := s.get(ctx, keyOf(stateKind, id))
	return store.RuntimeState(text), found, err
}
