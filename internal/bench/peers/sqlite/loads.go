package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"

	"github.com/loopstore/loopstore/store"
)

// number returns bytes that sort as n does, over all 64 bits.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// scan reads the row of a query. It returns false if there is none.
func scan(found *sql.Row, into ...any) (ok bool, err error) {
	err = found.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// highest returns the highest sequence of a run. It returns false if the run has none.
func (s *Store) highest(ctx context.Context, id store.RuntimeID, run store.RunID) (uint64, bool, error) {
	var sequence []byte
	ok, err := scan(s.highestOf.QueryRowContext(ctx, []byte(id), run[:]), &sequence)
	if err != nil || !ok {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(sequence), true, nil
}

// get looks up one row. It returns false if there is none.
func (s *Store) get(ctx context.Context, statement *sql.Stmt, args []any, into ...any) (ok bool, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return false, err
	}
	if ctx, err = s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	return scan(statement.QueryRowContext(ctx, args...), into...)
}

// LoadInputStates returns all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	rows, err := s.rows(ctx, id)
	if err != nil {
		return nil, err
	}
	states := make([]store.InputState, len(rows))
	for i := range rows {
		if states[i], err = rows[i].value(); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// rows returns the rows of a runtime's inputs, in order.
func (s *Store) rows(ctx context.Context, id store.RuntimeID) (all []row, err error) {
	if ctx, err = s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	found, err := s.inputs.QueryContext(ctx, []byte(id))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }() // Err has its error
	for found.Next() {
		var r row
		if err := found.Scan(&r.state, &r.payload); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, found.Err()
}

// LoadInputState returns the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (state store.InputState, ok bool, err error) {
	var r row
	ok, err = s.get(ctx, s.input, []any{[]byte(id), input[:]}, &r.state, &r.payload)
	if err != nil || !ok {
		return state, false, err
	}
	state, err = r.value()
	return state, err == nil, err
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (receipt store.RunBoundaryReceipt, ok bool, err error) {
	var text []byte
	ok, err = s.get(ctx, s.receipt, []any{[]byte(id), run[:], number(sequence)}, &text)
	if err != nil || !ok {
		return receipt, false, err
	}
	err = receipt.UnmarshalJSON(text)
	return receipt, err == nil, err
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) (snapshot []byte, ok bool, err error) {
	ok, err = s.get(ctx, s.session, []any{[]byte(id)}, &snapshot)
	return snapshot, ok, err
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (state store.RuntimeState, ok bool, err error) {
	var text string
	ok, err = s.get(ctx, s.state, []any{[]byte(id)}, &text)
	return store.RuntimeState(text), ok, err
}
