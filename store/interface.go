package store

import "context"

// A RuntimeStore keeps the state of logical runtimes. Each operation is
// atomic: it happens whole or not at all. No runtime sees another's data.
//
// What a caller passes in is copied, and what it gets is its own. Absence is
// ok == false, never an error; lists that have nothing are empty, not nil. Of
// several errors a call returns the context's first, then ErrClosed, then what
// is wrong with its arguments.
type RuntimeStore interface {
	// CommitSessionBoundary stores a session snapshot at a run's boundary,
	// with the receipt that it mints, and the updates of inputs, which it
	// stamps with the receipt's run and sequence. It returns the receipt.
	//
	// The snapshot is a session document, see package session. The receipt's
	// sequence is one more than the highest stored for this runtime and run,
	// or 0; its digest and message count are those of the snapshot's
	// conversation; the contributing inputs are not looked up. An update of an
	// unknown input adds it. Of two updates of one input the last one wins, in
	// the place of the first.
	//
	// A snapshot that is not a session document is refused with
	// ErrInvalidSnapshot, a run with a receipt at 2^64-1 with
	// ErrSequenceExhausted, an invalid update or boundary with
	// ErrInvalidValue.
	CommitSessionBoundary(ctx context.Context, id RuntimeID, commit BoundaryCommit) (RunBoundaryReceipt, error)

	// AtomicApply stores a receipt that the caller made, with a snapshot and
	// updates of inputs. The snapshot may be any bytes, the receipt's digest
	// and count are not checked, and the updates are not stamped. A receipt
	// that stands at the same run and sequence is replaced.
	AtomicApply(ctx context.Context, id RuntimeID, apply BoundaryApply) error

	// LoadInputStates returns all input states in the order in which their
	// inputs were first stored.
	LoadInputStates(ctx context.Context, id RuntimeID) ([]InputState, error)

	// LoadInputState returns the state of one input.
	LoadInputState(ctx context.Context, id RuntimeID, input InputID) (state InputState, ok bool, err error)

	// LoadBoundaryReceipt returns the receipt of one boundary.
	LoadBoundaryReceipt(ctx context.Context, id RuntimeID, run RunID, sequence uint64) (receipt RunBoundaryReceipt, ok bool, err error)

	// LoadSessionSnapshot returns the latest snapshot, byte for byte.
	LoadSessionSnapshot(ctx context.Context, id RuntimeID) (snapshot []byte, ok bool, err error)

	// LoadRuntimeState returns the runtime's state.
	LoadRuntimeState(ctx context.Context, id RuntimeID) (state RuntimeState, ok bool, err error)

	// PersistInputState stores an input's state, at the end of the order or
	// in the place of the one that stands.
	PersistInputState(ctx context.Context, id RuntimeID, state InputState) error

	// PersistRuntimeState stores the runtime's state.
	PersistRuntimeState(ctx context.Context, id RuntimeID, state RuntimeState) error

	// AtomicLifecycleCommit stores the runtime's state and input states in one
	// step.
	AtomicLifecycleCommit(ctx context.Context, id RuntimeID, commit LifecycleCommit) error
}

// A SessionDelta is a change of a runtime's session.
type SessionDelta struct {
	// SessionSnapshot is the whole session document. AtomicApply takes any
	// bytes; none, nil too, are an empty snapshot.
	SessionSnapshot []byte
}

// A BoundaryCommit is what CommitSessionBoundary stores.
type BoundaryCommit struct {
	Session              SessionDelta
	RunID                RunID
	Boundary             RunApplyBoundary
	ContributingInputIDs []InputID // go into the receipt as they are
	InputUpdates         []InputState
}

// A BoundaryApply is what AtomicApply stores.
type BoundaryApply struct {
	Session      *SessionDelta // nil leaves the snapshot as it is
	Receipt      RunBoundaryReceipt
	InputUpdates []InputState
	// SessionStoreKey names the session in a session store, if there is one.
	// A store in memory has none and does not use it.
	SessionStoreKey *SessionID
}

// A LifecycleCommit is what AtomicLifecycleCommit stores.
type LifecycleCommit struct {
	RuntimeState RuntimeState
	InputStates  []InputState
}
