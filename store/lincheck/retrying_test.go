package lincheck_test

import (
	"context"

	"github.com/loopstore/loopstore/store"
)

// A target is what a call is made of.
type target interface {
	store.RuntimeStore
	store.Committer
	store.Viewer
}

// A retrying store is a function that makes a call, of whatever has the runtimes
// at that time, until its outcome is that of the call itself.
type retrying func(call func(target) error) error

func do[R any](s retrying, call func(target) (R, error)) (answer R, err error) {
	err = s(func(t target) (err error) {
		answer, err = call(t)
		return err
	})
	return answer, err
}

// A found value is what a load returns besides its error.
type found[T any] struct {
	value T
	ok    bool
}

func load[T any](s retrying, call func(target) (T, bool, error)) (T, bool, error) {
	f, err := do(s, func(l target) (found[T], error) {
		value, ok, err := call(l)
		return found[T]{value, ok}, err
	})
	return f.value, f.ok, err
}

func write(s retrying, call func(target) error) error {
	_, err := do(s, func(l target) (struct{}, error) { return struct{}{}, call(l) })
	return err
}

func (s retrying) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return do(s, func(l target) (store.RunBoundaryReceipt, error) { return l.CommitSessionBoundary(ctx, id, c) })
}

func (s retrying) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	return write(s, func(l target) error { return l.AtomicApply(ctx, id, a) })
}

func (s retrying) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return do(s, func(l target) ([]store.InputState, error) { return l.LoadInputStates(ctx, id) })
}

func (s retrying) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	return load(s, func(l target) (store.InputState, bool, error) { return l.LoadInputState(ctx, id, input) })
}

func (s retrying) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	return load(s, func(l target) (store.RunBoundaryReceipt, bool, error) {
		return l.LoadBoundaryReceipt(ctx, id, run, sequence)
	})
}

func (s retrying) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	return load(s, func(l target) ([]byte, bool, error) { return l.LoadSessionSnapshot(ctx, id) })
}

func (s retrying) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return load(s, func(l target) (store.RuntimeState, bool, error) { return l.LoadRuntimeState(ctx, id) })
}

func (s retrying) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	return write(s, func(l target) error { return l.PersistInputState(ctx, id, state) })
}

func (s retrying) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return write(s, func(l target) error { return l.PersistRuntimeState(ctx, id, state) })
}

func (s retrying) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	return write(s, func(l target) error { return l.AtomicLifecycleCommit(ctx, id, c) })
}

func (s retrying) Commit(ctx context.Context, b store.Batch) (store.BatchResult, error) {
	return do(s, func(l target) (store.BatchResult, error) { return l.Commit(ctx, b) })
}

func (s retrying) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return do(s, func(l target) (*store.View, error) { return l.View(ctx, id) })
}
