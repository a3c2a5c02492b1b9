// Package ops holds one request type per operation of the store: the ten of
// [store.RuntimeStore], and those that a loopstore.Loop has besides. Each tells its
// operation's story in one place, in three steps:
//
//   - Prepare runs on the caller's goroutine: it checks and copies what the
//     caller passed in, and does all work that needs no state.
//   - Apply runs on the owner's: it checks the rest against the state, and
//     then moves pointers. If it fails it has changed nothing.
//   - Answer runs on the caller's again: it copies what Apply found.
//
// What Apply has changed is settled next, on the owner's goroutine: see
// [store.State]'s Settle.
//
// A request is filled in by its exported fields and given to loopstore.Do. Its
// methods are for the loop; [Run] calls them for those who hold a
// [store.State] themselves.
package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// A Request is one of this package's requests, whose answer is an R. It names
// them all, so no other type can be one, not by embedding one either: the owner
// runs no code but this package's.
type Request[R any] interface {
	CommitSessionBoundary | AtomicApply | AtomicLifecycleCommit |
		PersistInputState | PersistRuntimeState |
		LoadInputStates | LoadInputState | LoadBoundaryReceipt |
		LoadSessionSnapshot | LoadSessionDocument | LoadRuntimeState |
		Commit | LoadSession | LoadView |
		DeleteRuntime | Prune | ListRuntimes | LoadImage | Import
	Kind() Kind
	Runtime() (id store.RuntimeID, one bool)
	answers() R
}

// answering tells the compiler what a request's answer is. Nothing calls its
// method.
type answering[R any] struct{}

func (answering[R]) answers() (_ R) { return }

// Steps are the three steps of an operation whose request is an O.
type Steps[R, O any] interface {
	*O
	Prepare() error
	Apply(state *store.State) error
	Answer() R
}

// A Looker is an operation whose Prepare has less to do when it knows the
// session documents that stand. The outcome is the same without them.
type Looker interface {
	// Look returns the request for the next document that it is worth asking
	// for, if there is one.
	Look() (LoadSessionDocument, bool)
	// Use hands that document in. It may be nil.
	Use(*session.Document)
}

// Run does the three steps of op on state, in the caller's goroutine. The
// error is the step's own, or that of a limit.
func Run[R any, O Request[R], P Steps[R, O]](state *store.State, op O) (R, error) {
	p := P(&op)
	if heavy, ok := any(p).(Weigher); ok && state.Limits != (store.Limits{}) {
		if err := heavy.Weigh().Check(state.Limits); err != nil {
			var none R
			return none, err
		}
	}
	if l, ok := any(p).(Looker); ok {
		for look, wants := l.Look(); wants; look, wants = l.Look() {
			standing, _ := Run(state, look) // it cannot fail
			l.Use(standing)
		}
	}
	err := p.Prepare()
	if err == nil {
		err = Apply(state, p)
	}
	state.Settle().Wake()
	if err != nil {
		var none R
		return none, err
	}
	return p.Answer(), nil
}

// Apply does the second step of an operation under the state's limits, with
// what its retention lets go.
func Apply(state *store.State, op interface{ Apply(*store.State) error }) error {
	return state.Do(func() error { return op.Apply(state) })
}

// Error returns the error of an operation that failed with err.
func Error(op interface {
	Kind() Kind
	Runtime() (id store.RuntimeID, one bool)
}, err error) *store.OpError {
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

// A Kind tells the operations apart.
type Kind uint8

// The operations.
const (
	KindCommitSessionBoundary Kind = iota
	KindAtomicApply
	KindLoadInputStates
	KindLoadInputState
	KindLoadBoundaryReceipt
	KindLoadSessionSnapshot
	KindLoadRuntimeState
	KindPersistInputState
	KindPersistRuntimeState
	KindAtomicLifecycleCommit
	KindLoadSessionDocument
	KindCommit
	KindLoadSession
	KindLoadView
	KindDeleteRuntime
	KindPrune
	KindListRuntimes
	KindLoadImage
	KindImport
	NumKinds // how many there are
)

var kindNames = [NumKinds]string{
	"commit_session_boundary",
	"atomic_apply",
	"load_input_states",
	"load_input_state",
	"load_boundary_receipt",
	"load_session_snapshot",
	"load_runtime_state",
	"persist_input_state",
	"persist_runtime_state",
	"atomic_lifecycle_commit",
	"load_session_document",
	"commit",
	"load_session",
	"load_view",
	"delete_runtime",
	"prune",
	"list_runtimes",
	"load_image",
	"import",
}

// ReadOnly reports whether the operation only looks at the state.
func (k Kind) ReadOnly() bool {
	switch k {
	case KindLoadInputStates, KindLoadInputState, KindLoadBoundaryReceipt, KindLoadSessionSnapshot, KindLoadRuntimeState,
		KindLoadSessionDocument, KindLoadSession, KindLoadView, KindListRuntimes, KindLoadImage:
		return true
	}
	return false
}

// String returns the operation's name, as Meerkat spells it where it has it.
func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "unknown operation"
}

// MarshalText returns the operation's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// validRuntime refuses an id that is not text. Only writes ask: a read finds
// nothing under such an id.
func validRuntime(id store.RuntimeID) error {
	return store.InField("runtime_id", id.Validate())
}
