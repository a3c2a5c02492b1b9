// Package bunt is a store in BuntDB v1.3.0 (github.com/tidwall/buntdb) in memory: strings
// by strings in a B-tree, behind a sync.RWMutex.
//
// Values are JSON. A run's last sequence and a runtime's inputs in order are walks of the
// keys. Sessions are read, and values encoded, before the transaction; only the updates of
// a boundary commit are encoded within it, because they need the sequence.
//
// The library waits for its lock without a context, so a call that waits for it cannot be
// given up. Once a second, a goroutine of the library looks under the lock for values that
// have expired, so a store is never quiet. That goroutine ends up to a second after Close;
// there is no way to end it earlier.
package bunt

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/tidwall/buntdb"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// A Store keeps its data in a buntdb.DB. Open makes one.
type Store struct {
	gate rules.Gate
	db   *buntdb.DB
}

var _ store.RuntimeStore = (*Store)(nil)

// Open returns an empty store.
func Open() (*Store, error) {
	db, err := buntdb.Open(":memory:")
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// Close waits for the calls that have the lock. Later calls get store.ErrClosed.
func (s *Store) Close() error {
	s.gate.Shut()
	if err := s.db.Close(); !errors.Is(err, buntdb.ErrDatabaseClosed) {
		return err
	}
	return nil
}

// update applies all of a write or nothing.
func (s *Store) update(do func(*buntdb.Tx) error) error { return refused(s.db.Update(do)) }

// refused turns the library's error for a closed database into store.ErrClosed.
func refused(err error) error {
	if errors.Is(err, buntdb.ErrDatabaseClosed) {
		return store.ErrClosed
	}
	return err
}

func set(tx *buntdb.Tx, key, value string) error {
	_, _, err := tx.Set(key, value, nil)
	return err
}

// last returns the number at the end of the last key with the prefix begin.
func last(tx *buntdb.Tx, begin string) (n uint64, found bool, err error) {
	err = tx.DescendLessOrEqual("", begin+string(number(1<<64-1)), func(key, _ string) bool {
		if found = strings.HasPrefix(key, begin); found {
			n = numberOf(key[len(begin):])
		}
		return false
	})
	return n, found, err
}

// An entry is an input and the value of its state.
type entry struct {
	input store.InputID
	value string
}

// entriesOf returns the entries of valid states.
func entriesOf(states []store.InputState) ([]entry, error) {
	all := make([]entry, len(states))
	for i := range states {
		text, err := valueOf(states[i])
		if err != nil {
			return nil, err
		}
		all[i] = entry{states[i].InputID, text}
	}
	return all, nil
}

// put stores inputs.
func put(tx *buntdb.Tx, id store.RuntimeID, entries ...entry) error {
	for _, e := range entries {
		key := keyOf(inputKind, id, e.input[:]...)
		place, err := tx.Get(key)
		if errors.Is(err, buntdb.ErrNotFound) {
			place, err = addPlace(tx, id, key)
		}
		if err == nil {
			err = set(tx, keyOf(placeKind, id, []byte(place)...), e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addPlace stores the place of a new input, which is the one after the last.
func addPlace(tx *buntdb.Tx, id store.RuntimeID, key string) (string, error) {
	n, found, err := last(tx, keyOf(placeKind, id))
	if err != nil {
		return "", err
	}
	if found {
		n++
	}
	place := string(number(n))
	return place, set(tx, key, place)
}

// commit mints the receipt of a boundary, and stores it with the updates.
func commit(tx *buntdb.Tx, id store.RuntimeID, receipt *store.RunBoundaryReceipt, updates []store.InputState) error {
	highest, found, err := last(tx, keyOf(receiptKind, id, receipt.RunID[:]...))
	if err != nil {
		return err
	}
	if receipt.Sequence, err = rules.Next(receipt.RunID, highest, found); err != nil {
		return err
	}
	rules.Stamp(updates, receipt.RunID, receipt.Sequence)
	entries, err := entriesOf(updates)
	if err != nil {
		return err
	}
	text, err := receipt.MarshalJSON()
	if err != nil {
		return err
	}
	return cmp.Or(set(tx, placeOf(id, receipt), string(text)), put(tx, id, entries...))
}

// placeOf returns a receipt's key.
func placeOf(id store.RuntimeID, r *store.RunBoundaryReceipt) string {
	return keyOf(receiptKind, id, append(r.RunID[:len(r.RunID):len(r.RunID)], number(r.Sequence)...)...)
}

// CommitSessionBoundary reads the session. Then it mints the receipt, and stores the
// session, the receipt and the updates in one transaction.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	var none store.RunBoundaryReceipt
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckCommit(id, &c)); err != nil {
		return none, err
	}
	session, err := rules.ReadAhead(&c.Session, store.FormatMeerkat)
	if err != nil {
		return none, err
	}
	var receipt store.RunBoundaryReceipt
	updates := append([]store.InputState(nil), c.InputUpdates...)
	if err := s.update(func(tx *buntdb.Tx) (err error) {
		if session == nil {
			if session, err = readAppended(tx, id, &c.Session); err != nil {
				return err
			}
		}
		receipt = rules.Mint(&c, session, 0)
		return cmp.Or(commit(tx, id, &receipt, updates), putSession(tx, id, session))
	}); err != nil {
		return none, err
	}
	return receipt, nil
}

// AtomicApply stores the caller's receipt, with any snapshot and input updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckApply(id, &apply)); err != nil {
		return err
	}
	receipt, err := apply.Receipt.MarshalJSON()
	if err != nil {
		return err
	}
	updates, err := entriesOf(apply.InputUpdates)
	if err != nil {
		return err
	}
	var session *rules.Session
	if apply.Session != nil {
		if session, err = rules.ReadAhead(apply.Session, store.FormatUnset); err != nil {
			return err
		}
	}
	return s.update(func(tx *buntdb.Tx) (err error) {
		if apply.Session != nil && session == nil {
			if session, err = readAppended(tx, id, apply.Session); err != nil {
				return err
			}
		}
		if session != nil {
			if err := putSession(tx, id, session); err != nil {
				return err
			}
		}
		return cmp.Or(set(tx, placeOf(id, &apply.Receipt), string(receipt)), put(tx, id, updates...))
	})
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckInput(id, &state)); err != nil {
		return err
	}
	text, err := valueOf(state)
	if err != nil {
		return err
	}
	return s.update(func(tx *buntdb.Tx) error { return put(tx, id, entry{state.InputID, text}) })
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckState(id, state)); err != nil {
		return err
	}
	return s.update(func(tx *buntdb.Tx) error { return set(tx, keyOf(stateKind, id), string(state)) })
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckLifecycle(id, &c)); err != nil {
		return err
	}
	entries, err := entriesOf(c.InputStates)
	if err != nil {
		return err
	}
	return s.update(func(tx *buntdb.Tx) error {
		return cmp.Or(set(tx, keyOf(stateKind, id), string(c.RuntimeState)), put(tx, id, entries...))
	})
}
