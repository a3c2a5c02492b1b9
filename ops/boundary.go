package ops

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// CommitSessionBoundary stores a session snapshot, the receipt that it mints,
// and the input updates that it stamps.
type CommitSessionBoundary struct {
	RuntimeID store.RuntimeID
	Commit    store.BoundaryCommit

	snapshot []byte
	receipt  *store.RunBoundaryReceipt // complete but for its sequence
	updates  updates
	stamp    *stamp // all updates point to it, so Apply stamps them in one step
}

type stamp struct {
	run      store.RunID
	sequence uint64
}

// Kind names the operation.
func (CommitSessionBoundary) Kind() Kind { return KindCommitSessionBoundary }

// Runtime names the runtime it is on.
func (op CommitSessionBoundary) Runtime() store.RuntimeID { return op.RuntimeID }

func (CommitSessionBoundary) answers(CommitSessionBoundary) (_ store.RunBoundaryReceipt) { return }

// Prepare checks and copies everything, and reads the snapshot.
func (op *CommitSessionBoundary) Prepare() (err error) {
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
	op.snapshot = privateBytes(c.Session.SessionSnapshot)
	facts, err := session.Read(op.snapshot)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	op.receipt = &store.RunBoundaryReceipt{
		RunID:                c.RunID,
		Boundary:             c.Boundary,
		ContributingInputIDs: slices.Clone(c.ContributingInputIDs),
		ConversationDigest:   new(facts.HexDigest()),
		MessageCount:         facts.MessageCount,
	}
	op.stamp = &stamp{run: c.RunID}
	for _, u := range op.updates {
		u.LastRunID, u.LastBoundarySequence = &op.stamp.run, &op.stamp.sequence
	}
	return nil
}

// Apply mints the sequence and stores everything.
func (op *CommitSessionBoundary) Apply(state *store.State) error {
	sequence, err := state.NextSequence(op.RuntimeID, op.receipt.RunID)
	if err != nil {
		return err
	}
	op.receipt.Sequence, op.stamp.sequence = sequence, sequence
	state.PutSnapshot(op.RuntimeID, op.snapshot)
	state.PutReceipt(op.RuntimeID, op.receipt)
	op.updates.put(state, op.RuntimeID)
	return nil
}

// Answer copies the receipt.
func (op *CommitSessionBoundary) Answer() store.RunBoundaryReceipt { return op.receipt.Clone() }

// AtomicApply stores a receipt of the caller's, with a snapshot and input
// updates.
type AtomicApply struct {
	RuntimeID store.RuntimeID
	Commit    store.BoundaryApply

	snapshot []byte // nil leaves the one that stands
	updates  updates
	receipt  *store.RunBoundaryReceipt
}

// Kind names the operation.
func (AtomicApply) Kind() Kind { return KindAtomicApply }

// Runtime names the runtime it is on.
func (op AtomicApply) Runtime() store.RuntimeID { return op.RuntimeID }

func (AtomicApply) answers(AtomicApply) (_ None) { return }

// Prepare checks and copies everything.
func (op *AtomicApply) Prepare() (err error) {
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
	if c.Session != nil {
		op.snapshot = privateBytes(c.Session.SessionSnapshot)
	}
	receipt := c.Receipt.Clone()
	op.receipt = &receipt
	return nil
}

// Apply stores everything.
func (op *AtomicApply) Apply(state *store.State) error {
	if op.snapshot != nil {
		state.PutSnapshot(op.RuntimeID, op.snapshot)
	}
	state.PutReceipt(op.RuntimeID, op.receipt)
	op.updates.put(state, op.RuntimeID)
	return nil
}

// Answer is empty.
func (*AtomicApply) Answer() None { return None{} }

// LoadBoundaryReceipt loads the receipt of one boundary.
type LoadBoundaryReceipt struct {
	RuntimeID store.RuntimeID
	RunID     store.RunID
	Sequence  uint64

	found *store.RunBoundaryReceipt
}

// Kind names the operation.
func (LoadBoundaryReceipt) Kind() Kind { return KindLoadBoundaryReceipt }

// Runtime names the runtime it is on.
func (op LoadBoundaryReceipt) Runtime() store.RuntimeID { return op.RuntimeID }

func (LoadBoundaryReceipt) answers(LoadBoundaryReceipt) (_ Found[store.RunBoundaryReceipt]) { return }

// Prepare has nothing to do.
func (*LoadBoundaryReceipt) Prepare() error { return nil }

// Apply looks the receipt up.
func (op *LoadBoundaryReceipt) Apply(state *store.State) error {
	op.found = state.Receipt(op.RuntimeID, op.RunID, op.Sequence)
	return nil
}

// Answer copies the receipt.
func (op *LoadBoundaryReceipt) Answer() Found[store.RunBoundaryReceipt] {
	if op.found == nil {
		return Found[store.RunBoundaryReceipt]{}
	}
	return Found[store.RunBoundaryReceipt]{op.found.Clone(), true}
}

// LoadSessionSnapshot loads the latest session snapshot.
type LoadSessionSnapshot struct {
	RuntimeID store.RuntimeID

	found []byte
}

// Kind names the operation.
func (LoadSessionSnapshot) Kind() Kind { return KindLoadSessionSnapshot }

// Runtime names the runtime it is on.
func (op LoadSessionSnapshot) Runtime() store.RuntimeID { return op.RuntimeID }

func (LoadSessionSnapshot) answers(LoadSessionSnapshot) (_ Found[[]byte]) { return }

// Prepare has nothing to do.
func (*LoadSessionSnapshot) Prepare() error { return nil }

// Apply looks the snapshot up.
func (op *LoadSessionSnapshot) Apply(state *store.State) error {
	op.found = state.Snapshot(op.RuntimeID)
	return nil
}

// Answer copies the snapshot. One that was stored is never nil.
func (op *LoadSessionSnapshot) Answer() Found[[]byte] {
	return Found[[]byte]{bytes.Clone(op.found), op.found != nil}
}

// privateBytes copies b to exactly its size. The copy is never nil.
func privateBytes(b []byte) []byte {
	return append(make([]byte, 0, len(b)), b...)
}
