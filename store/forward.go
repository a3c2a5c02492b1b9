package store

import (
	"context"
	"errors"
)

// A Forward is a store without anything of its own: a function that gets each call,
// with its context, and makes it on a store of its choice, such as the one that has
// the runtimes now. It may make a call again, if that does no harm: call stores the
// answer of the last time. Its error is what the caller gets. Batches and views are
// errors.ErrUnsupported where that store has none.
type Forward func(ctx context.Context, call func(RuntimeStore) error) error

var (
	_ RuntimeStore = Forward(nil)
	_ Committer    = Forward(nil)
	_ Viewer       = Forward(nil)
)

func forward[R any](ctx context.Context, f Forward, call func(RuntimeStore) (R, error)) (answer R, err error) {
	err = f(ctx, func(s RuntimeStore) (err error) {
		answer, err = call(s)
		return err
	})
	if err != nil {
		var none R
		return none, err
	}
	return answer, nil
}

// A loaded value is what a load returns besides its error.
type loaded[T any] struct {
	value T
	ok    bool
}

func forwardLoad[T any](ctx context.Context, f Forward, call func(RuntimeStore) (T, bool, error)) (T, bool, error) {
	found, err := forward(ctx, f, func(s RuntimeStore) (loaded[T], error) {
		value, ok, err := call(s)
		return loaded[T]{value, ok}, err
	})
	return found.value, found.ok, err
}

func forwardWrite(ctx context.Context, f Forward, call func(RuntimeStore) error) error {
	_, err := forward(ctx, f, func(s RuntimeStore) (struct{}, error) { return struct{}{}, call(s) })
	return err
}

// CommitSessionBoundary is that of a [RuntimeStore].
func (f Forward) CommitSessionBoundary(ctx context.Context, id RuntimeID, c BoundaryCommit) (RunBoundaryReceipt, error) {
	return forward(ctx, f, func(s RuntimeStore) (RunBoundaryReceipt, error) { return s.CommitSessionBoundary(ctx, id, c) })
}

// AtomicApply is that of a [RuntimeStore].
func (f Forward) AtomicApply(ctx context.Context, id RuntimeID, a BoundaryApply) error {
	return forwardWrite(ctx, f, func(s RuntimeStore) error { return s.AtomicApply(ctx, id, a) })
}

// LoadInputStates is that of a [RuntimeStore].
func (f Forward) LoadInputStates(ctx context.Context, id RuntimeID) ([]InputState, error) {
	return forward(ctx, f, func(s RuntimeStore) ([]InputState, error) { return s.LoadInputStates(ctx, id) })
}

// LoadInputState is that of a [RuntimeStore].
func (f Forward) LoadInputState(ctx context.Context, id RuntimeID, input InputID) (InputState, bool, error) {
	return forwardLoad(ctx, f, func(s RuntimeStore) (InputState, bool, error) { return s.LoadInputState(ctx, id, input) })
}

// LoadBoundaryReceipt is that of a [RuntimeStore].
func (f Forward) LoadBoundaryReceipt(ctx context.Context, id RuntimeID, run RunID, sequence uint64) (RunBoundaryReceipt, bool, error) {
	return forwardLoad(ctx, f, func(s RuntimeStore) (RunBoundaryReceipt, bool, error) {
		return s.LoadBoundaryReceipt(ctx, id, run, sequence)
	})
}

// LoadSessionSnapshot is that of a [RuntimeStore].
func (f Forward) LoadSessionSnapshot(ctx context.Context, id RuntimeID) ([]byte, bool, error) {
	return forwardLoad(ctx, f, func(s RuntimeStore) ([]byte, bool, error) { return s.LoadSessionSnapshot(ctx, id) })
}

// LoadRuntimeState is that of a [RuntimeStore].
func (f Forward) LoadRuntimeState(ctx context.Context, id RuntimeID) (RuntimeState, bool, error) {
	return forwardLoad(ctx, f, func(s RuntimeStore) (RuntimeState, bool, error) { return s.LoadRuntimeState(ctx, id) })
}

// PersistInputState is that of a [RuntimeStore].
func (f Forward) PersistInputState(ctx context.Context, id RuntimeID, state InputState) error {
	return forwardWrite(ctx, f, func(s RuntimeStore) error { return s.PersistInputState(ctx, id, state) })
}

// PersistRuntimeState is that of a [RuntimeStore].
func (f Forward) PersistRuntimeState(ctx context.Context, id RuntimeID, state RuntimeState) error {
	return forwardWrite(ctx, f, func(s RuntimeStore) error { return s.PersistRuntimeState(ctx, id, state) })
}

// AtomicLifecycleCommit is that of a [RuntimeStore].
func (f Forward) AtomicLifecycleCommit(ctx context.Context, id RuntimeID, c LifecycleCommit) error {
	return forwardWrite(ctx, f, func(s RuntimeStore) error { return s.AtomicLifecycleCommit(ctx, id, c) })
}

// Commit is that of a [Committer].
func (f Forward) Commit(ctx context.Context, b Batch) (BatchResult, error) {
	return forward(ctx, f, func(s RuntimeStore) (BatchResult, error) {
		if c, ok := s.(Committer); ok {
			return c.Commit(ctx, b)
		}
		return BatchResult{}, &OpError{Op: "commit", Err: errors.ErrUnsupported}
	})
}

// View is that of a [Viewer].
func (f Forward) View(ctx context.Context, id RuntimeID) (*View, error) {
	return forward(ctx, f, func(s RuntimeStore) (*View, error) {
		if v, ok := s.(Viewer); ok {
			return v.View(ctx, id)
		}
		return nil, &OpError{Op: "view", RuntimeID: id, OnRuntime: true, Err: errors.ErrUnsupported}
	})
}
