package store

import "context"

// A RuntimeStore keeps the state of logical runtimes. Package storetest tries
// on any implementation all that is said here.
//
// # Ids
//
// No runtime sees another's data. Runtime ids are compared byte by byte, with
// no regard to case, spaces or Unicode forms. A write refuses one that is not
// UTF-8 with ErrInvalidValue; a read finds nothing under it.
//
// # Values
//
// A value comes back exactly as it was stored: times with their leap seconds,
// PersistedInput byte for byte, integers up to their maxima, empty texts apart
// from absent ones. Only an empty list and an absent one are the same. What a
// caller passes in is copied and not changed, and what it gets is its own.
//
// A write leaves alone what it does not name. Absence is ok == false and the
// zero value, never an error. An empty snapshot is present. LoadInputStates
// never returns nil; lists within values may be nil when they are empty.
//
// # Inputs
//
// An operation that stores several inputs adds the unknown ones in their order,
// and replaces the others in place. Of two states of one input in a call the
// last one wins, in the place of the first.
//
// # Concurrency
//
// Any number of callers may call at once. Each operation is atomic: it happens
// whole or not at all. It takes effect at one moment between its call and its
// return, in all its parts, so a caller reads its own writes, and all callers
// read what a call that has returned wrote.
//
// # Errors
//
// After an error nothing was applied; only a store with a journal may not know,
// see ErrOutcomeUnknown. A context that has ended fails every
// call, with an error that errors.Is the context's; one that ends during the
// call may. Of several errors a call returns the context's first, then
// ErrClosed, then what is wrong with its arguments (any of it), then
// ErrSequenceExhausted, and errors.Is finds no other of this package's beside
// it. Every write refuses what is not valid with ErrInvalidValue, also in a
// state that a later one in the call replaces.
//
// # Close
//
// An implementation may have a Close() error, which may be called again and
// returns nil then too. After it every call gets ErrClosed.
type RuntimeStore interface {
	// CommitSessionBoundary stores a session snapshot at a run's boundary,
	// with the receipt that it mints, and the updates of inputs, which it
	// stamps with the receipt's run and sequence. It returns the receipt.
	//
	// The session is of the SessionDelta's Format: a session document of
	// Meerkat's if none is named. The receipt's sequence is one more than the
	// highest stored for this runtime and run, or 0; its digest and message
	// count are those of the whole conversation, also when the commit appends
	// to it; the contributing inputs are not looked up.
	//
	// A text that is not of its format is refused with ErrInvalidSnapshot, a
	// run with a receipt at 2^64-1 with ErrSequenceExhausted, an invalid
	// update, boundary or SessionDelta with ErrInvalidValue.
	CommitSessionBoundary(ctx context.Context, id RuntimeID, commit BoundaryCommit) (RunBoundaryReceipt, error)

	// AtomicApply stores a receipt that the caller made, with a snapshot and
	// updates of inputs. The snapshot may be any bytes if no Format is named,
	// the receipt's digest and count are not checked, and the updates are not
	// stamped. A receipt
	// that stands at the same run and sequence is replaced, unless the store is
	// strict: see ErrReceiptConflict.
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
	// SessionSnapshot is the whole text, or what is added to it. None, nil too, is an
	// empty text.
	SessionSnapshot []byte
	// Format says what it is: see the formats. What is not is ErrInvalidSnapshot.
	// FormatUnset is Meerkat's document for CommitSessionBoundary; AtomicApply stores
	// the text as it comes then, and reads Meerkat's document if it is one and there
	// is a SessionStoreKey.
	Format Format
	// Append adds to the text that stands, an empty one if there is no session. Only
	// FormatLines and FormatOpaque allow it, and the text that stands must be of the
	// same format, or the error is ErrInvalidValue. Places in the error of what is not
	// of the format are places in SessionSnapshot. Of callers that append at once each
	// succeeds, one after the other: package batch has a condition, SessionDigestIs,
	// for one that is to append only to what it has seen.
	Append bool
	// Messages is how many messages there are in the whole text then, for FormatOpaque.
	// Others count for themselves, and it must be 0.
	Messages uint64
}

// A Condition is one of package batch's, such as VersionIs or InputVersionIs. What a call
// stores is stored only if all of its conditions hold at the moment at which it takes
// effect; or else the error is ErrConflict. They may be about other runtimes too. A store
// that has no batches may refuse a call that has any.
type Condition interface {
	// About returns the runtime that the condition is about.
	About() RuntimeID
}

// A BoundaryCommit is what CommitSessionBoundary stores.
type BoundaryCommit struct {
	If                   []Condition
	Session              SessionDelta
	RunID                RunID            // any, the zero one too
	Boundary             RunApplyBoundary // RunStart, say; there is no default
	ContributingInputIDs []InputID        // go into the receipt as they are
	InputUpdates         []InputState
}

// A BoundaryApply is what AtomicApply stores.
type BoundaryApply struct {
	If           []Condition
	Session      *SessionDelta // nil leaves the snapshot as it is
	Receipt      RunBoundaryReceipt
	InputUpdates []InputState
	// SessionStoreKey is the id of a session under which the snapshot is filed
	// besides. It is not used without a Session. A store may be told to be strict,
	// and then refuses a session document with another id, with
	// ErrSessionKeyMismatch. A store that has no way to load what is filed takes
	// the key, and need not look at it.
	SessionStoreKey *SessionID
}

// A LifecycleCommit is what AtomicLifecycleCommit stores.
type LifecycleCommit struct {
	If           []Condition
	RuntimeState RuntimeState
	InputStates  []InputState
}
