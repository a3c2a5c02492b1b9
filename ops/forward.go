package ops

import (
	"context"
	"errors"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Call is a call of a store's method, as a value. It can be made On any store,
// more than once if that does no harm: the answer of the last time counts. Or it
// is made in steps, by who holds a state.
type Call interface {
	Operation
	// About returns the runtimes of the conditions that the call has. Some may be of no
	// package batch.
	About() []store.RuntimeID
	// On makes the call on a store. Batches and views are
	// errors.ErrUnsupported where that store has none.
	On(ctx context.Context, s store.RuntimeStore) error
	// Weigh, Prepare and Apply are those of the request.
	Weigh() Weight
	Prepare(standing Standing) error
	Step
}

// A Forward is a store without anything of its own: a function that gets each
// call and makes it where it chooses, such as on the store that has the runtimes
// now. Its error is what the caller gets.
type Forward func(ctx context.Context, call Call) error

var (
	_ store.RuntimeStore = Forward(nil)
	_ batch.Committer    = Forward(nil)
	_ state.Viewer       = Forward(nil)
	_ state.InputLoader  = Forward(nil)
	_ state.Historian    = Forward(nil)
)

// A call is a [Call] with a request whose on method makes it on any store.
type call[R any, O Request[R], P interface {
	Steps[R, O]
	on(context.Context, store.RuntimeStore) (R, error)
}] struct {
	op     O
	answer R
	made   bool // On a store, which has answered
}

func (c *call[R, O, P]) Kind() Kind                       { return c.op.Kind() }
func (c *call[R, O, P]) Runtime() (store.RuntimeID, bool) { return c.op.Runtime() }
func (c *call[R, O, P]) About() []store.RuntimeID         { return about(any(&c.op)) }
func (c *call[R, O, P]) Weigh() Weight                    { return P(&c.op).Weigh() }
func (c *call[R, O, P]) Prepare(d Standing) error         { return P(&c.op).Prepare(d) }
func (c *call[R, O, P]) asked() Step                      { return P(&c.op) }
func (c *call[R, O, P]) Apply(s *state.State) error {
	c.made = false
	return P(&c.op).Apply(s)
}

func (c *call[R, O, P]) On(ctx context.Context, s store.RuntimeStore) (err error) {
	c.answer, err = P(&c.op).on(ctx, s)
	c.made = err == nil
	return err
}

// asked returns the request of a call, or what else a step is of.
func asked(op Step) Step {
	if c, ok := op.(interface{ asked() Step }); ok {
		return c.asked()
	}
	return op
}

func forward[R any, O Request[R], P interface {
	Steps[R, O]
	on(context.Context, store.RuntimeStore) (R, error)
}](ctx context.Context, f Forward, op O) (answer R, err error) {
	c := &call[R, O, P]{op: op}
	switch err = f(ctx, c); {
	case err != nil:
		return answer, err
	case c.made:
		return c.answer, nil
	}
	return P(&c.op).Answer(), nil
}

func unsupported(op Operation) error { return Error(op, errors.ErrUnsupported) }

func found[T any](value T, ok bool, err error) (Found[T], error) { return Found[T]{value, ok}, err }

// CommitSessionBoundary implements [store.RuntimeStore].
func (f Forward) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return forward(ctx, f, CommitSessionBoundary{RuntimeID: id, Commit: commit})
}

// AtomicApply implements [store.RuntimeStore].
func (f Forward) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := forward(ctx, f, AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

// LoadInputStates implements [store.RuntimeStore].
func (f Forward) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return forward(ctx, f, LoadInputStates{RuntimeID: id})
}

// LoadInputState implements [store.RuntimeStore].
func (f Forward) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := forward(ctx, f, LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadBoundaryReceipt implements [store.RuntimeStore].
func (f Forward) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := forward(ctx, f, LoadBoundaryReceipt{RuntimeID: id, RunID: run, Sequence: sequence})
	return found.Value, found.OK, err
}

// LoadSessionSnapshot implements [store.RuntimeStore].
func (f Forward) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := forward(ctx, f, LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

// LoadRuntimeState implements [store.RuntimeStore].
func (f Forward) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := forward(ctx, f, LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

// PersistInputState implements [store.RuntimeStore].
func (f Forward) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := forward(ctx, f, PersistInputState{RuntimeID: id, State: state})
	return err
}

// PersistRuntimeState implements [store.RuntimeStore].
func (f Forward) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := forward(ctx, f, PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

// AtomicLifecycleCommit implements [store.RuntimeStore].
func (f Forward) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := forward(ctx, f, AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}

// Commit implements [batch.Committer].
func (f Forward) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	return forward(ctx, f, Commit{Batch: b})
}

// View implements [state.Viewer].
func (f Forward) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	return forward(ctx, f, LoadView{RuntimeID: id})
}

// LoadInput implements [state.InputLoader].
func (f Forward) LoadInput(ctx context.Context, id store.RuntimeID, input store.InputID) (state.Input, bool, error) {
	found, err := forward(ctx, f, LoadInput{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadInputByKey implements [state.InputLoader].
func (f Forward) LoadInputByKey(ctx context.Context, id store.RuntimeID, key string) (state.Input, bool, error) {
	found, err := forward(ctx, f, LoadInput{RuntimeID: id, Key: &key})
	return found.Value, found.OK, err
}

// LoadSessionAt implements [state.Historian].
func (f Forward) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	found, err := forward(ctx, f, LoadSessionAt{RuntimeID: id, Number: number})
	return found.Value, found.OK, err
}

// Fork implements [state.Historian].
func (f Forward) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	_, err := forward(ctx, f, Fork{RuntimeID: from, Number: number, To: to})
	return err
}
