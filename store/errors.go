package store

import (
	"errors"
	"fmt"
	"strings"
)

// What a call can fail with. After any of them nothing was applied, but for the
// one call that panicked: see [PanicError]. Every RuntimeStore has these; the
// types that are named here and below are those of this module's stores.
var (
	// ErrClosed means that the store was closed before it took the call.
	ErrClosed = errors.New("store is closed")

	// ErrFailed means that the store stopped serving after a panic. errors.As
	// finds the *PanicError.
	ErrFailed = errors.New("store has failed")

	// ErrInvalidSnapshot means that a snapshot is not a session document. The
	// error wraps a *session.Error, which says where and why.
	ErrInvalidSnapshot = errors.New("invalid session snapshot")

	// ErrInvalidValue means that a part of a value is not valid for its type.
	// The error is a *ValueError.
	ErrInvalidValue = errors.New("invalid value")

	// ErrSequenceExhausted means that a run has a receipt at the last
	// sequence, 2^64-1, and so no further one can be minted. The error is a
	// *SequenceError.
	ErrSequenceExhausted = errors.New("sequence is exhausted")
)

// An OpError is the error of every operation: which one it was, on which
// runtime, and what was wrong. The operation was not applied; only of the one
// that panicked (Err is the *PanicError itself) that cannot be said.
type OpError struct {
	Op        string // the operation's name, such as "persist_input_state"
	RuntimeID RuntimeID
	Err       error // a context's error, or one that wraps one of this package's
}

func (e *OpError) Error() string {
	outcome := " (nothing was applied)"
	if _, panicked := e.Err.(*PanicError); panicked {
		outcome = ""
	}
	return fmt.Sprintf("%s of runtime %q: %v%s", e.Op, shorten(string(e.RuntimeID)), e.Err, outcome)
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

// A PanicError is a panic on the owner's goroutine: a defect of the store. It
// may have left the state half changed, so nothing is served after it, and
// what the operation did is never seen.
type PanicError struct {
	Value string // what the panic said
	Stack string // of the goroutine, where it happened
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%v: panic in an operation: %s", ErrFailed, e.Value)
}

// Is reports whether target is ErrFailed.
func (e *PanicError) Is(target error) bool { return target == ErrFailed }

// InField puts the member that holds a value before the path of its
// *ValueError. Any other error stays as it is.
func InField(field string, err error) error {
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

// shorten cuts a caller's text to what an error message has room for.
func shorten(text string) string {
	const room = 64
	if len(text) <= room {
		return text
	}
	return strings.ToValidUTF8(text[:room], "") + "…"
}
