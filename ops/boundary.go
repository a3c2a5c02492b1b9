package ops

import (
	"context"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// CommitSessionBoundary stores a session snapshot, the receipt that it mints,
// and the input updates that it stamps.
type CommitSessionBoundary struct {
	request[CommitSessionBoundary, store.RunBoundaryReceipt]

	RuntimeID store.RuntimeID
	Commit    store.BoundaryCommit

	together
	session delta
	receipt *state.Receipt // complete but for what Apply finds out
	stamp   *stamp         // all updates point to it, so Apply stamps them in one step
}

type stamp struct {
	run      store.RunID
	sequence uint64
}

// Runtime implements [Operation].
func (op CommitSessionBoundary) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything, and reads the session.
func (op *CommitSessionBoundary) Prepare(standing Standing) error {
	c := &op.Commit
	if err := op.prepare(op.RuntimeID, c.If, "input_updates", c.InputUpdates); err != nil {
		return err
	}
	if err := c.Boundary.Validate(); err != nil {
		return store.InField("boundary", err)
	}
	op.session.runtime, op.session.given = op.RuntimeID, c.Session
	if err := op.session.prepare(standing, unsetMeerkat); err != nil {
		return err
	}
	op.receipt = state.MintReceipt(c)
	op.stamp = &stamp{run: c.RunID}
	for _, u := range op.updates {
		u.LastRunID, u.LastBoundarySequence = &op.stamp.run, &op.stamp.sequence
	}
	return nil
}

// Apply mints the sequence and stores everything.
func (op *CommitSessionBoundary) Apply(s *state.State) error {
	if err := op.conditions.hold(s); err != nil {
		return err
	}
	if err := op.session.apply(s); err != nil {
		return err
	}
	sequence, err := s.NextSequence(op.RuntimeID, op.receipt.RunID)
	if err != nil {
		return err
	}
	op.receipt.Mint(sequence, op.session.snapshot)
	op.stamp.sequence = sequence
	s.PutSnapshot(op.RuntimeID, op.session.snapshot, op.receipt)
	s.PutReceipt(op.RuntimeID, op.receipt)
	op.putUpdates(s, op.RuntimeID)
	return nil
}

// Answer copies the receipt.
func (op *CommitSessionBoundary) Answer() store.RunBoundaryReceipt { return op.receipt.Value() }

func (op *CommitSessionBoundary) on(ctx context.Context, s store.RuntimeStore) (store.RunBoundaryReceipt, error) {
	return s.CommitSessionBoundary(ctx, op.RuntimeID, op.Commit)
}

// AtomicApply stores a receipt of the caller's, with a snapshot and input
// updates.
type AtomicApply struct {
	request[AtomicApply, None]

	RuntimeID store.RuntimeID
	Commit    store.BoundaryApply

	together
	session  delta
	key      *store.SessionID // under which the session is filed too, nil if under none
	mismatch error            // of the key and the document's id, nil if they agree
	receipt  *state.Receipt
}

// Runtime implements [Operation].
func (op AtomicApply) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything.
func (op *AtomicApply) Prepare(standing Standing) error {
	c := &op.Commit
	if err := op.prepare(op.RuntimeID, c.If, "input_updates", c.InputUpdates); err != nil {
		return err
	}
	if err := c.Receipt.Validate(); err != nil {
		return store.InField("receipt", err)
	}
	op.receipt = state.NewReceipt(&c.Receipt)
	op.key, op.mismatch = nil, nil
	if c.Session == nil {
		op.session.snapshot = nil
		return nil
	}
	op.session.runtime, op.session.given = op.RuntimeID, *c.Session
	if c.SessionStoreKey == nil {
		return op.session.prepare(standing, unsetBytes)
	}
	if err := op.session.prepare(standing, unsetEither); err != nil {
		return err
	}
	op.key = new(*c.SessionStoreKey)
	if d := op.session.snapshot.Document(); d.Format() == store.FormatMeerkat && store.SessionID(d.ID()) != *op.key {
		op.mismatch = &state.SessionKeyError{Key: *op.key, ID: store.SessionID(d.ID())}
	}
	return nil
}

// Apply stores everything.
func (op *AtomicApply) Apply(s *state.State) error {
	if err := op.conditions.hold(s); err != nil {
		return err
	}
	if op.mismatch != nil && s.StrictSessionKeys {
		return op.mismatch
	}
	if done, err := s.CheckReceipt(op.RuntimeID, op.receipt); done || err != nil {
		return err
	}
	if err := op.session.apply(s); err != nil {
		return err
	}
	if op.session.snapshot != nil {
		s.PutSnapshot(op.RuntimeID, op.session.snapshot, op.receipt)
	}
	if op.key != nil {
		s.PutSession(op.RuntimeID, *op.key, op.session.snapshot)
	}
	s.PutReceipt(op.RuntimeID, op.receipt)
	op.putUpdates(s, op.RuntimeID)
	return nil
}

func (op *AtomicApply) on(ctx context.Context, s store.RuntimeStore) (None, error) {
	return None{}, s.AtomicApply(ctx, op.RuntimeID, op.Commit)
}

// LoadBoundaryReceipt loads the receipt of one boundary.
type LoadBoundaryReceipt struct {
	load[LoadBoundaryReceipt, Found[store.RunBoundaryReceipt]]

	RuntimeID store.RuntimeID
	RunID     store.RunID
	Sequence  uint64

	found *state.Receipt
}

// Runtime implements [Operation].
func (op LoadBoundaryReceipt) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the receipt up.
func (op *LoadBoundaryReceipt) Apply(s *state.State) error {
	op.found = s.Receipt(op.RuntimeID, op.RunID, op.Sequence)
	return nil
}

// Answer copies the receipt.
func (op *LoadBoundaryReceipt) Answer() Found[store.RunBoundaryReceipt] {
	if op.found == nil {
		return Found[store.RunBoundaryReceipt]{}
	}
	return Found[store.RunBoundaryReceipt]{op.found.Value(), true}
}

func (op *LoadBoundaryReceipt) on(ctx context.Context, s store.RuntimeStore) (Found[store.RunBoundaryReceipt], error) {
	return found(s.LoadBoundaryReceipt(ctx, op.RuntimeID, op.RunID, op.Sequence))
}
