// Package seed has, in Go, the algorithm of the store that loopstore comes from: the
// in-memory runtime store of Meerkat 0.4.6. An operation holds one mutex from its
// beginning to its end.
//
// Under the lock, a boundary commit reads and hashes its whole session, and finds the next
// sequence by looking at all receipts of all runtimes. A load copies what it returns. The
// rest is as in the other stores here, so that only the design makes a difference:
// digests are from package session, and arguments are checked and copied before the lock.
// In Meerkat's language, Rust, arguments are valid by their types and owned by the store.
//
// A call that waits for the lock cannot be given up.
package seed

import (
	"cmp"
	"context"
	"sync"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// A Store is the seed's store. [New] makes one.
type Store struct {
	gate rules.Gate

	mu        sync.Mutex
	inputs    map[store.RuntimeID]*inputs
	receipts  map[place]store.RunBoundaryReceipt // of all runtimes
	snapshots map[store.RuntimeID]*rules.Session
	states    map[store.RuntimeID]store.RuntimeState
}

var _ store.RuntimeStore = (*Store)(nil)

// A place is where a receipt is.
type place struct {
	runtime  store.RuntimeID
	run      store.RunID
	sequence uint64
}

// inputs are the inputs of a runtime, in the order in which they were first stored.
type inputs struct {
	at     map[store.InputID]int
	states []store.InputState
}

// New returns an empty store.
func New() *Store {
	return &Store{
		inputs:    make(map[store.RuntimeID]*inputs),
		receipts:  make(map[place]store.RunBoundaryReceipt),
		snapshots: make(map[store.RuntimeID]*rules.Session),
		states:    make(map[store.RuntimeID]store.RuntimeState),
	}
}

// Close waits for the operation that has the lock. Later calls get
// store.ErrClosed. It returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.Shut()
	return nil
}

// lock takes the lock, which the caller must unlock unless lock returns an error.
func (s *Store) lock() error {
	s.mu.Lock()
	err := s.gate.Pass()
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

// put stores states, which must be the store's own. The caller holds the lock.
func (s *Store) put(id store.RuntimeID, states ...store.InputState) {
	if len(states) == 0 {
		return
	}
	of := s.inputs[id]
	if of == nil {
		of = &inputs{at: make(map[store.InputID]int)}
		s.inputs[id] = of
	}
	for _, state := range states {
		if at, ok := of.at[state.InputID]; ok {
			of.states[at] = state
			continue
		}
		of.at[state.InputID] = len(of.states)
		of.states = append(of.states, state)
	}
}

// next looks at all receipts for the run's highest sequence, and returns the one after it.
// The caller holds the lock.
func (s *Store) next(id store.RuntimeID, run store.RunID) (uint64, error) {
	highest, found := uint64(0), false
	for at := range s.receipts {
		if at.runtime == id && at.run == run {
			highest, found = max(highest, at.sequence), true
		}
	}
	return rules.Next(run, highest, found)
}

// read reads a session whole, also one that has grown. The caller holds the lock.
func (s *Store) read(id store.RuntimeID, d *store.SessionDelta, text string, unset store.Format) (*rules.Session, error) {
	session, err := rules.Read(d, text, unset, s.snapshots[id])
	return session.Bare(), err
}

// CommitSessionBoundary reads the session, mints the receipt, and stores both with the
// updates, all under the lock.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	var none store.RunBoundaryReceipt
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckCommit(id, &commit)); err != nil {
		return none, err
	}
	updates := rules.Detach(commit.InputUpdates)
	text := string(commit.Session.SessionSnapshot)
	if err := s.lock(); err != nil {
		return none, err
	}
	defer s.mu.Unlock()
	session, err := s.read(id, &commit.Session, text, store.FormatMeerkat)
	if err != nil {
		return none, err
	}
	sequence, err := s.next(id, commit.RunID)
	if err != nil {
		return none, err
	}
	receipt := rules.Mint(&commit, session, sequence)
	rules.Stamp(updates, commit.RunID, sequence)
	s.snapshots[id] = session
	s.receipts[place{id, receipt.RunID, sequence}] = receipt
	s.put(id, updates...)
	return receipt.Clone(), nil
}

// AtomicApply stores the caller's receipt, with any snapshot and input updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckApply(id, &apply)); err != nil {
		return err
	}
	receipt, updates := apply.Receipt.Clone(), rules.Detach(apply.InputUpdates)
	var text string
	if apply.Session != nil {
		text = string(apply.Session.SessionSnapshot)
	}
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if apply.Session != nil {
		session, err := s.read(id, apply.Session, text, store.FormatUnset)
		if err != nil {
			return err
		}
		s.snapshots[id] = session
	}
	s.receipts[place{id, receipt.RunID, receipt.Sequence}] = receipt
	s.put(id, updates...)
	return nil
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckInput(id, &state)); err != nil {
		return err
	}
	own := state.Detach()
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.put(id, own)
	return nil
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckState(id, state)); err != nil {
		return err
	}
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.states[id] = state
	return nil
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckLifecycle(id, &commit)); err != nil {
		return err
	}
	states := rules.Detach(commit.InputStates)
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.states[id] = commit.RuntimeState
	s.put(id, states...)
	return nil
}
