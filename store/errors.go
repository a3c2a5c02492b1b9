package store

import (
	"errors"
	"fmt"
	"strings"
)

// What a call can fail with. After any of these nothing was applied. There are three
// exceptions: the call that panicked, see [PanicError], ErrOutcomeUnknown, and a
// *state.PartialError.
// Every RuntimeStore has ErrClosed and those from ErrInvalidSnapshot to
// ErrSequenceExhausted. The others, and the error types, are those of this module's
// stores.
var (
	// ErrClosed means that the store was closed before it took the call.
	ErrClosed = errors.New("store is closed")

	// ErrFailed means that the store stopped serving. After a panic errors.As
	// finds the *PanicError; after a failure of the journal, the *JournalError.
	ErrFailed = errors.New("store has failed")

	// ErrOutcomeUnknown means that the journal cannot say whether it has stored
	// the call's changes. This store has shown them to nobody, and has stopped
	// serving: close it, open it again, and look whether they are there.
	ErrOutcomeUnknown = errors.New("outcome is unknown")

	// ErrInvalidSnapshot means that the text of a session is not of its format. The
	// error wraps a *session.Error, which says where and why.
	ErrInvalidSnapshot = errors.New("invalid session snapshot")

	// ErrInvalidValue means that a part of a value is not valid for its type.
	// The error is a *ValueError.
	ErrInvalidValue = errors.New("invalid value")

	// ErrSequenceExhausted means that a run has a receipt at the last
	// sequence, 2^64-1, and so no further one can be minted. The error is a
	// *SequenceError.
	ErrSequenceExhausted = errors.New("sequence is exhausted")

	// ErrRevisionExhausted means that a store is at the highest revision, and so
	// nothing more can change. Only an import of a forged file leads there.
	ErrRevisionExhausted = errors.New("revision is exhausted")

	// ErrConflict means that a condition of a batch, or of a commit, does not hold. The
	// error is a *batch.ConflictError.
	ErrConflict = errors.New("conflict")

	// ErrKeyTaken means that another input of the runtime has an idempotency key, or
	// has had it, and keys are unique. The error is a *KeyError.
	ErrKeyTaken = errors.New("idempotency key is taken")

	// ErrDeleted means that a runtime was deleted, and that its tombstone refuses
	// writes: package batch's ReviveRuntime alone brings it back.
	ErrDeleted = errors.New("runtime was deleted")

	// ErrCursorExpired means that a cursor of loopstore.Loop.Changes is of another store, or
	// so old that a deletion after it is forgotten: list what there is, and go on from there.
	ErrCursorExpired = errors.New("cursor has expired")

	// ErrNoVersion means that a session has no version of a number, or not any more.
	// The error is a *state.VersionError.
	ErrNoVersion = errors.New("no such version of the session")

	// ErrReceiptConflict means that another receipt stands at the same run and
	// sequence, and receipts are strict. The error is a *ReceiptError.
	ErrReceiptConflict = errors.New("receipt conflicts with the one that stands")

	// ErrLimit means that a call would go beyond a limit that was set. The
	// error is a *LimitError.
	ErrLimit = errors.New("limit exceeded")

	// ErrBusy means that there was no room at that moment, and that the store was
	// told not to wait for it. The error is a *LimitError, but for a Compact that comes
	// while left-over records are cleared.
	ErrBusy = errors.New("store is busy")

	// ErrNotEmpty means that a store has held something, and so cannot take an
	// import.
	ErrNotEmpty = errors.New("store is not empty")

	// ErrSessionKeyMismatch means that a snapshot is a session document with
	// another id than the key under which it was to be filed, and keys are
	// strict. The error is a *state.SessionKeyError.
	ErrSessionKeyMismatch = errors.New("session key is not the snapshot's id")
)

// An OpError is the error of every operation, but for a *state.PartialError: which one it was, on which
// runtime, and what was wrong. The operation was not applied. Whether it was is
// unknown only if it panicked (Err is the *PanicError itself) or if Err is
// ErrOutcomeUnknown.
type OpError struct {
	Op        string    // the operation's name, such as "persist_input_state"
	RuntimeID RuntimeID // that it was on, if OnRuntime
	OnRuntime bool      // the operation was on one runtime; the empty id is an id
	Err       error     // a context's error, or one that wraps one of this package's
}

func (e *OpError) Error() string {
	outcome := " (nothing was applied)"
	if _, panicked := e.Err.(*PanicError); panicked || errors.Is(e.Err, ErrOutcomeUnknown) {
		outcome = ""
	}
	on := ""
	if e.OnRuntime {
		on = fmt.Sprintf(" of runtime %q", e.RuntimeID.Short())
	}
	return fmt.Sprintf("%s%s: %v%s", e.Op, on, e.Err, outcome)
}

// Unwrap returns what was wrong.
func (e *OpError) Unwrap() error { return e.Err }

// A ValueError says which part of a value is not valid for its type. It holds
// nothing of the value.
type ValueError struct {
	Field  string // the JSON names on the way to it, such as "policy.version"
	Reason string
}

func (e *ValueError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%v: %s", ErrInvalidValue, e.Reason)
	}
	return fmt.Sprintf("%v: %s: %s", ErrInvalidValue, e.Field, e.Reason)
}

// Is reports whether target is ErrInvalidValue.
func (e *ValueError) Is(target error) bool { return target == ErrInvalidValue }

// A SequenceError names the run that has no further sequence.
type SequenceError struct{ RunID RunID }

func (e *SequenceError) Error() string {
	return fmt.Sprintf("%v: run %s has a receipt at 2^64-1", ErrSequenceExhausted, e.RunID)
}

// Is reports whether target is ErrSequenceExhausted.
func (e *SequenceError) Is(target error) bool { return target == ErrSequenceExhausted }

// A ReceiptError names the boundary that has another receipt.
type ReceiptError struct {
	RunID    RunID
	Sequence uint64
}

func (e *ReceiptError) Error() string {
	return fmt.Sprintf("%v: run %s, sequence %d", ErrReceiptConflict, e.RunID, e.Sequence)
}

// Is reports whether target is ErrReceiptConflict.
func (e *ReceiptError) Is(target error) bool { return target == ErrReceiptConflict }

// A KeyError names the input that has an idempotency key, or had it last. It does not
// hold the key.
type KeyError struct {
	RuntimeID RuntimeID
	InputID   InputID
	There     bool // the input still has it; if not, Retention.Keys keeps the key
}

func (e *KeyError) Error() string {
	has := "has it"
	if !e.There {
		has = "had it"
	}
	return fmt.Sprintf("%v: input %v of runtime %q %s", ErrKeyTaken, e.InputID, e.RuntimeID.Short(), has)
}

// Is reports whether target is ErrKeyTaken.
func (e *KeyError) Is(target error) bool { return target == ErrKeyTaken }

// A PanicError is a panic on the owner's goroutine: a defect of the store. It
// may have left the state half changed, so nothing is served after it. Whether
// the call that panicked was applied is unknown, and cannot be observed.
type PanicError struct {
	Value string // what the panic said
	Stack string // of the goroutine, where it happened
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%v: panic in an operation: %s", ErrFailed, e.Value)
}

// Is reports whether target is ErrFailed.
func (e *PanicError) Is(target error) bool { return target == ErrFailed }

// A JournalError is the failure of a journal that ended the service. It wraps
// what the journal said: journal.ErrFenced, for example.
type JournalError struct{ Err error }

func (e *JournalError) Error() string { return fmt.Sprintf("%v: %v", ErrFailed, e.Err) }

// Unwrap returns what the journal said.
func (e *JournalError) Unwrap() error { return e.Err }

// Is reports whether target is ErrFailed.
func (e *JournalError) Is(target error) bool { return target == ErrFailed }

// InField puts the member that holds a value before the path of its
// *ValueError. Any other error stays as it is.
func InField(field string, err error) error {
	if err == nil {
		return nil
	}
	v, ok := errors.AsType[*ValueError](err)
	if !ok {
		return err
	}
	switch {
	case strings.HasPrefix(v.Field, "["):
		field += v.Field
	case v.Field != "":
		field += "." + v.Field
	}
	return &ValueError{Field: field, Reason: v.Reason}
}
