package ops

import (
	"fmt"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// CommitSessionBoundary stores a session snapshot, the receipt that it mints,
// and the input updates that it stamps.
type CommitSessionBoundary struct {
	answering[store.RunBoundaryReceipt]

	RuntimeID store.RuntimeID
	Commit    store.BoundaryCommit

	last     *session.Document // the runtime's before this one, nil if it is not known
	looked   bool
	snapshot *store.Snapshot
	receipt  *store.Receipt // complete but for its sequence
	updates  updates
	stamp    *stamp // all updates point to it, so Apply stamps them in one step
}

type stamp struct {
	run      store.RunID
	sequence uint64
}

// Look asks for the document that stands, if the snapshot is large enough for
// that to be worth a hand-off of its own.
func (op *CommitSessionBoundary) Look() (LoadSessionDocument, bool) {
	const worth = 2 << 10
	return LoadSessionDocument{RuntimeID: op.RuntimeID}, !op.looked && len(op.Commit.Session.SessionSnapshot) >= worth
}

// Use lets Prepare go on from where last ends.
func (op *CommitSessionBoundary) Use(last *session.Document) { op.last, op.looked = last, true }

func (op *CommitSessionBoundary) read(text string) (*session.Document, error) {
	if op.last == nil {
		return session.Read(text)
	}
	return op.last.Continue(text)
}

// Kind names the operation.
func (CommitSessionBoundary) Kind() Kind { return KindCommitSessionBoundary }

// Runtime names the runtime it is on.
func (op CommitSessionBoundary) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

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
	document, err := op.read(string(c.Session.SessionSnapshot))
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	op.snapshot = new(store.SnapshotOfDocument(document))
	op.receipt = store.MintReceipt(c, document.Digest(), document.MessageCount())
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
func (op *CommitSessionBoundary) Answer() store.RunBoundaryReceipt { return op.receipt.Value() }

// AtomicApply stores a receipt of the caller's, with a snapshot and input
// updates.
type AtomicApply struct {
	answering[None]

	RuntimeID store.RuntimeID
	Commit    store.BoundaryApply

	snapshot *store.Snapshot  // nil leaves the one that stands
	session  *store.SessionID // under which the snapshot is filed too, nil if under none
	updates  updates
	receipt  *store.Receipt
}

// Kind names the operation.
func (AtomicApply) Kind() Kind { return KindAtomicApply }

// Runtime names the runtime it is on.
func (op AtomicApply) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

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
	op.snapshot, op.session = nil, nil
	if c.Session != nil {
		if op.snapshot, op.session, err = op.prepareSession(); err != nil {
			return err
		}
	}
	op.receipt = store.NewReceipt(&c.Receipt)
	return nil
}

// prepareSession returns the snapshot, and under which id it is filed. One that
// is a session document is filed under its own id only.
func (op *AtomicApply) prepareSession() (*store.Snapshot, *store.SessionID, error) {
	c := &op.Commit
	if c.SessionStoreKey == nil {
		return new(store.SnapshotOf(c.Session.SessionSnapshot)), nil, nil
	}
	key := *c.SessionStoreKey
	snapshot, document := snapshotOf(c.Session.SessionSnapshot)
	if document != nil && store.SessionID(document.ID()) != key {
		return nil, nil, &store.SessionKeyError{Key: key, ID: store.SessionID(document.ID())}
	}
	return snapshot, &key, nil
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
func (op *AtomicApply) Apply(state *store.State) error {
	if done, err := state.CheckReceipt(op.RuntimeID, op.receipt); done || err != nil {
		return err
	}
	if op.snapshot != nil {
		state.PutSnapshot(op.RuntimeID, op.snapshot)
	}
	if op.session != nil {
		state.PutSession(op.RuntimeID, *op.session, op.snapshot)
	}
	state.PutReceipt(op.RuntimeID, op.receipt)
	op.updates.put(state, op.RuntimeID)
	return nil
}

// Answer is empty.
func (*AtomicApply) Answer() None { return None{} }

// LoadBoundaryReceipt loads the receipt of one boundary.
type LoadBoundaryReceipt struct {
	answering[Found[store.RunBoundaryReceipt]]

	RuntimeID store.RuntimeID
	RunID     store.RunID
	Sequence  uint64

	found *store.Receipt
}

// Kind names the operation.
func (LoadBoundaryReceipt) Kind() Kind { return KindLoadBoundaryReceipt }

// Runtime names the runtime it is on.
func (op LoadBoundaryReceipt) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

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
	return Found[store.RunBoundaryReceipt]{op.found.Value(), true}
}
