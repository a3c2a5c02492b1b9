// Package memdb is a store in go-memdb v1.3.5 (github.com/hashicorp/go-memdb): tables in
// immutable radix trees. Readers take a snapshot of them without a lock, while one writer
// at a time makes the next version.
//
// Each kind of data has a table, with the indexes that its look-ups need. A run's last
// sequence and a runtime's inputs in order are walks of an index. Sessions are read before
// the write transaction begins. As in loopstore, a session that has grown is read from
// where the last one ended.
//
// The library waits for the writer's lock without a context, so a write that waits for it
// cannot be given up.
package memdb

import (
	"cmp"
	"context"

	"github.com/hashicorp/go-memdb"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// A Store keeps its data in a MemDB. Open makes one.
type Store struct {
	gate rules.Gate
	db   *memdb.MemDB
}

var _ store.RuntimeStore = (*Store)(nil)

// Open returns an empty store.
func Open() (*Store, error) {
	db, err := memdb.NewMemDB(schema())
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// Close waits for the write that is under way. Later calls get store.ErrClosed.
// It returns nil.
func (s *Store) Close() error {
	txn := s.db.Txn(true)
	defer txn.Abort()
	s.gate.Shut()
	return nil
}

// update applies all of a write or nothing.
func (s *Store) update(do func(*memdb.Txn) error) error {
	txn := s.db.Txn(true)
	defer txn.Abort() // of no effect after Commit
	if err := s.gate.Pass(); err != nil {
		return err
	}
	if err := do(txn); err != nil {
		return err
	}
	txn.Commit()
	return nil
}

// row turns the result of a look-up into a *R, which is nil if nothing was found.
func row[R any](found any, err error) (*R, error) {
	r, _ := found.(*R)
	return r, err
}

// put stores states, which must be the store's own.
func put(txn *memdb.Txn, id store.RuntimeID, all ...store.InputState) error {
	for i := range all {
		r := &inputRow{runtime: id, state: all[i]}
		standing, err := row[inputRow](txn.First(inputs, byID, inputKey(id, r.state.InputID)))
		switch {
		case err != nil:
			return err
		case standing != nil:
			r.place = standing.place
		default:
			if r.place, err = end(txn, id); err != nil {
				return err
			}
		}
		if err := txn.Insert(inputs, r); err != nil {
			return err
		}
	}
	return nil
}

// end returns the place after the runtime's last input.
func end(txn *memdb.Txn, id store.RuntimeID) (uint64, error) {
	last, err := row[inputRow](txn.Last(inputs, byPlace+prefix, runtimeKey(id)))
	if err != nil || last == nil {
		return 0, err
	}
	return last.place + 1, nil
}

// next returns the sequence of the run's next receipt.
func next(txn *memdb.Txn, id store.RuntimeID, run store.RunID) (uint64, error) {
	last, err := row[receiptRow](txn.Last(receipts, byID+prefix, runKey(id, run)))
	if err != nil || last == nil {
		return 0, err
	}
	return rules.Next(run, last.receipt.Sequence, true)
}

// read reads a session, and continues from the one that stands in a transaction if it
// can.
func read(txn *memdb.Txn, id store.RuntimeID, d *store.SessionDelta, unset store.Format) (*sessionRow, error) {
	last, err := row[sessionRow](txn.First(sessions, byID, runtimeKey(id)))
	if err != nil || last == nil {
		last = new(sessionRow)
	}
	session, err := rules.Read(d, string(d.SessionSnapshot), unset, last.session)
	return &sessionRow{id, session}, err
}

// readAhead reads a whole text before the write transaction begins. It returns nil if
// the call appends: what stands may change until then.
func (s *Store) readAhead(id store.RuntimeID, d *store.SessionDelta, unset store.Format) (*sessionRow, error) {
	if d.Append {
		return nil, nil
	}
	return read(s.db.Txn(false), id, d, unset)
}

// CommitSessionBoundary reads the session. Then it mints the receipt, and stores the
// session, the receipt and the updates in one transaction.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	var none store.RunBoundaryReceipt
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckCommit(id, &commit)); err != nil {
		return none, err
	}
	session, err := s.readAhead(id, &commit.Session, store.FormatMeerkat)
	if err != nil {
		return none, err
	}
	var receipt store.RunBoundaryReceipt
	updates := rules.Detach(commit.InputUpdates)
	if err := s.update(func(txn *memdb.Txn) error {
		if session == nil {
			if session, err = read(txn, id, &commit.Session, store.FormatMeerkat); err != nil {
				return err
			}
		}
		sequence, err := next(txn, id, commit.RunID)
		if err != nil {
			return err
		}
		receipt = rules.Mint(&commit, session.session, sequence)
		rules.Stamp(updates, commit.RunID, sequence)
		return cmp.Or(
			txn.Insert(sessions, session),
			txn.Insert(receipts, &receiptRow{id, receipt}),
			put(txn, id, updates...),
		)
	}); err != nil {
		return none, err
	}
	return receipt.Clone(), nil
}

// AtomicApply stores the caller's receipt, with any snapshot and input updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckApply(id, &apply)); err != nil {
		return err
	}
	var session *sessionRow
	if apply.Session != nil {
		var err error
		if session, err = s.readAhead(id, apply.Session, store.FormatUnset); err != nil {
			return err
		}
	}
	receipt, updates := &receiptRow{id, apply.Receipt.Clone()}, rules.Detach(apply.InputUpdates)
	return s.update(func(txn *memdb.Txn) error {
		if apply.Session != nil && session == nil {
			var err error
			if session, err = read(txn, id, apply.Session, store.FormatUnset); err != nil {
				return err
			}
		}
		if session != nil {
			if err := txn.Insert(sessions, session); err != nil {
				return err
			}
		}
		return cmp.Or(txn.Insert(receipts, receipt), put(txn, id, updates...))
	})
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckInput(id, &state)); err != nil {
		return err
	}
	own := state.Detach()
	return s.update(func(txn *memdb.Txn) error { return put(txn, id, own) })
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckState(id, state)); err != nil {
		return err
	}
	r := &stateRow{id, state.Detach()}
	return s.update(func(txn *memdb.Txn) error { return txn.Insert(states, r) })
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckLifecycle(id, &commit)); err != nil {
		return err
	}
	r, own := &stateRow{id, commit.RuntimeState.Detach()}, rules.Detach(commit.InputStates)
	return s.update(func(txn *memdb.Txn) error {
		return cmp.Or(txn.Insert(states, r), put(txn, id, own...))
	})
}
