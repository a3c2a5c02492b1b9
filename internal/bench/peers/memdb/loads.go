package memdb

import (
	"context"

	"github.com/loopstore/loopstore/store"
)

// find looks up one row. It returns nil if there is none.
func find[R any](ctx context.Context, s *Store, table string, key []byte) (*R, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	return row[R](s.db.Txn(false).First(table, byID, key))
}

// LoadInputStates returns all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	rows, err := s.db.Txn(false).Get(inputs, byPlace+prefix, runtimeKey(id))
	if err != nil {
		return nil, err
	}
	all := []store.InputState{}
	for r := rows.Next(); r != nil; r = rows.Next() {
		all = append(all, r.(*inputRow).state.Clone())
	}
	return all, nil
}

// LoadInputState returns the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (state store.InputState, ok bool, err error) {
	found, err := find[inputRow](ctx, s, inputs, inputKey(id, input))
	if err != nil || found == nil {
		return state, false, err
	}
	return found.state.Clone(), true, nil
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (receipt store.RunBoundaryReceipt, ok bool, err error) {
	found, err := find[receiptRow](ctx, s, receipts, receiptKey(id, run, sequence))
	if err != nil || found == nil {
		return receipt, false, err
	}
	return found.receipt.Clone(), true, nil
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) (snapshot []byte, ok bool, err error) {
	found, err := find[sessionRow](ctx, s, sessions, runtimeKey(id))
	if err != nil || found == nil {
		return nil, false, err
	}
	return []byte(found.session.Text), true, nil
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (state store.RuntimeState, ok bool, err error) {
	found, err := find[stateRow](ctx, s, states, runtimeKey(id))
	if err != nil || found == nil {
		return "", false, err
	}
	return found.state, true, nil
}
