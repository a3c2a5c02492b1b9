// Package ops holds one request type per operation of the store: the ten of
// [store.RuntimeStore], and those that a loopstore.Loop has besides. Each tells
// its operation's story in one place, in three steps:
//
//   - Prepare runs on the caller's goroutine: it checks and copies what the
//     caller passed in, and does all work that needs no state.
//   - Apply runs on the owner's: it checks the rest against the state, and
//     then moves pointers. If it fails it has changed nothing.
//   - Answer runs on the caller's again: it copies what Apply found.
//
// What Apply has changed is settled next, on the owner's goroutine: see
// [state.State.Settle].
//
// A request is filled in by its exported fields and given to loopstore.Do. Its
// methods are for the loop; [Run] calls them for those who hold a
// [state.State] themselves.
package ops

import (
	"errors"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// An Operation is any request of this package.
type Operation interface {
	// Kind names the operation.
	Kind() Kind
	// Runtime returns the runtime that the operation is on, if it is on one.
	Runtime() (id store.RuntimeID, one bool)
}

// A Request is one of this package's requests, whose answer is an R. It names
// them all, so no other type can be one, even if it embeds one: the owner runs no
// code but this package's.
type Request[R any] interface {
	CommitSessionBoundary | AtomicApply | AtomicLifecycleCommit |
		PersistInputState | PersistRuntimeState |
		LoadInputStates | LoadInputState | LoadInput | LoadBoundaryReceipt |
		LoadSessionSnapshot | LoadRuntimeState |
		Commit | LoadSession | LoadSessionAt | Fork | LoadView |
		DeleteRuntime | Prune | Expire | ListRuntimes | LoadImage | LoadChanges | ClaimNext |
		BeginImport | StorePiece | Import
	Operation
	answers() R
}

// Steps are the three steps of an operation whose request is an O.
type Steps[R, O any] interface {
	*O
	Operation
	Weigh() Weight
	Prepare(standing Standing) error
	Step
	Answer() R
}

// A Step is what an operation does on the owner's goroutine.
type Step interface {
	Apply(s *state.State) error
}

// Standing says which session a runtime probably holds, nil if that is not known. It
// is a hint: an operation that uses it compares its bytes with what the caller passed
// in, or what it is with what stands, so a wrong one costs time only.
type Standing interface {
	Standing(id store.RuntimeID) *store.Snapshot
}

// A request is embedded in each request type O whose answer is an R.
type request[O, R any] struct{ answer R }

// Kind names the operation.
func (request[O, R]) Kind() Kind { return kindOf[O]() }

// Weigh says that it brings in nothing.
func (*request[O, R]) Weigh() Weight { return Weight{} }

// Answer returns what Apply has left.
func (r *request[O, R]) Answer() R { return r.answer }

func (request[O, R]) answers() (_ R) { return }

// A load is embedded in a request that has nothing to prepare.
type load[O, R any] struct{ request[O, R] }

// Prepare does nothing.
func (*load[O, R]) Prepare(Standing) error { return nil }

// Run does the three steps of op on a state, in the caller's goroutine. The
// error is the step's own, or that of a limit.
func Run[R any, O Request[R], P Steps[R, O]](s *state.State, op O) (answer R, err error) {
	p := P(&op)
	if err := p.Weigh().Check(s.Limits); err != nil {
		return answer, err
	}
	err = ErrAgain
	for errors.Is(err, ErrAgain) {
		if err = p.Prepare(s); err == nil {
			err = Apply(s, p)
		}
	}
	s.Settle().Wake()
	if err != nil {
		return answer, err
	}
	return p.Answer(), nil
}

// Apply does the second step of an operation under the state's limits, with
// what its retention lets go.
func Apply(s *state.State, op Step) error {
	if err := checkAside(s, op); err != nil {
		return err
	}
	return s.Do(func() error { return apply(s, op) })
}

// Error returns the error of an operation that failed with err.
func Error(op Operation, err error) *store.OpError {
	id, one := op.Runtime()
	return &store.OpError{Op: op.Kind().String(), RuntimeID: id, OnRuntime: one, Err: err}
}

// Found is the answer of a load: the value, and whether there is one.
type Found[T any] struct {
	Value T
	OK    bool
}

// None is the answer of an operation that only stores.
type None = struct{}

// validRuntime refuses an id that is not text. Only writes ask: a read finds
// nothing under such an id.
func validRuntime(id store.RuntimeID) error {
	return store.InField("runtime_id", id.Validate())
}
