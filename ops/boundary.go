package ops

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// CommitSessionBoundary stores a session snapshot, the receipt that it mints,
// and the input updates that it stamps.
type CommitSessionBoundary struct {
	request[CommitSessionBoundary, store.RunBoundaryReceipt]

	RuntimeID store.RuntimeID
	Commit    store.BoundaryCommit

	snapshot *store.Snapshot
	receipt  *state.Receipt // complete but for its sequence
	updates  updates
	stamp    *stamp // all updates point to it, so Apply stamps them in one step
}

type stamp struct {
	run      store.RunID
	sequence uint64
}

// Runtime implements [Operation].
func (op CommitSessionBoundary) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything, and reads the snapshot.
func (op *CommitSessionBoundary) Prepare(standing Documents) (err error) {
	c := &op.Commit
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := c.Boundary.Validate(); err != nil {
		return store.InField("boundary", err)
	}
	if op.updates, err = prepareUpdates("input_updates", c.InputUpdates); err != nil {
		return err
	}
	document, err := read(standing.Standing(op.RuntimeID), string(c.Session.SessionSnapshot))
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	op.snapshot = new(store.SnapshotOfDocument(document))
	op.receipt = state.MintReceipt(c, document.Digest(), document.MessageCount())
	op.stamp = &stamp{run: c.RunID}
	for _, u := range op.updates {
		u.LastRunID, u.LastBoundarySequence = &op.stamp.run, &op.stamp.sequence
	}
	return nil
}

// read reads a document, from where the one that stands ends if it begins with
// that. None may stand.
func read(standing *session.Document, text string) (*session.Document, error) {
	if standing == nil {
		return session.Read(text)
	}
	return standing.Continue(text)
}

// Apply mints the sequence and stores everything.
func (op *CommitSessionBoundary) Apply(s *state.State) error {
	sequence, err := s.NextSequence(op.RuntimeID, op.receipt.RunID)
	if err != nil {
		return err
	}
	op.receipt.Sequence, op.stamp.sequence = sequence, sequence
	s.PutSnapshot(op.RuntimeID, op.snapshot)
	s.PutReceipt(op.RuntimeID, op.receipt)
	op.updates.put(s, op.RuntimeID)
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

	snapshot *store.Snapshot  // nil leaves the one that stands
	key      *store.SessionID // under which the snapshot is filed too, nil if under none
	mismatch error            // of the key and the document's id, nil if they agree
	updates  updates
	receipt  *state.Receipt
}

// Runtime implements [Operation].
func (op AtomicApply) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks and copies everything.
func (op *AtomicApply) Prepare(Documents) (err error) {
	c := &op.Commit
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := c.Receipt.Validate(); err != nil {
		return store.InField("receipt", err)
	}
	if op.updates, err = prepareUpdates("input_updates", c.InputUpdates); err != nil {
		return err
	}
	op.snapshot, op.key, op.mismatch = nil, nil, nil
	if c.Session != nil {
		op.prepareSession()
	}
	op.receipt = state.NewReceipt(&c.Receipt)
	return nil
}

// prepareSession makes the snapshot. It is read as a session document only if it
// is filed.
func (op *AtomicApply) prepareSession() {
	text := op.Commit.Session.SessionSnapshot
	if op.Commit.SessionStoreKey == nil {
		op.snapshot = new(store.SnapshotOf(text))
		return
	}
	var document *session.Document
	op.snapshot, document = snapshotOf(text)
	op.key = new(*op.Commit.SessionStoreKey)
	if document != nil && store.SessionID(document.ID()) != *op.key {
		op.mismatch = &store.SessionKeyError{Key: *op.key, ID: store.SessionID(document.ID())}
	}
}

// snapshotOf returns a snapshot of any bytes, with the document that they are,
// if they are one.
func snapshotOf(b []byte) (*store.Snapshot, *session.Document) {
	document, err := session.Read(string(b))
	if err != nil {
		return new(store.SnapshotOf(b)), nil
	}
	return new(store.SnapshotOfDocument(document)), document
}

// Apply stores everything.
func (op *AtomicApply) Apply(s *state.State) error {
	if op.mismatch != nil && s.StrictSessionKeys {
		return op.mismatch
	}
	if done, err := s.CheckReceipt(op.RuntimeID, op.receipt); done || err != nil {
		return err
	}
	if op.snapshot != nil {
		s.PutSnapshot(op.RuntimeID, op.snapshot)
	}
	if op.key != nil {
		s.PutSession(op.RuntimeID, *op.key, op.snapshot)
	}
	s.PutReceipt(op.RuntimeID, op.receipt)
	op.updates.put(s, op.RuntimeID)
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
