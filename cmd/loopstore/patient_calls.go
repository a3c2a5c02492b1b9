package main

import (
	"context"
	"errors"

	"github.com/loopstore/loopstore/store"
)

// write makes a write that leaves the same when it is made twice.
func (p *patient) write(ctx context.Context, do func(store.RuntimeStore) error) error {
	return p.persist(ctx, func(s store.RuntimeStore, _ *error) error {
		err := do(s)
		if errors.Is(err, store.ErrOutcomeUnknown) {
			p.outcomes.repeated.Add(1)
		}
		return err
	})
}

func (p *patient) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	return p.write(ctx, func(s store.RuntimeStore) error { return s.AtomicApply(ctx, id, apply) })
}

func (p *patient) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	return p.write(ctx, func(s store.RuntimeStore) error { return s.PersistInputState(ctx, id, state) })
}

func (p *patient) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return p.write(ctx, func(s store.RuntimeStore) error { return s.PersistRuntimeState(ctx, id, state) })
}

func (p *patient) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	return p.write(ctx, func(s store.RuntimeStore) error { return s.AtomicLifecycleCommit(ctx, id, commit) })
}

// load makes a load. It changes nothing, so it may always be made again.
func load[T any](ctx context.Context, p *patient, do func(store.RuntimeStore) (T, bool, error)) (value T, ok bool, err error) {
	err = p.persist(ctx, func(s store.RuntimeStore, _ *error) (err error) {
		value, ok, err = do(s)
		return err
	})
	return value, ok, err
}

func (p *patient) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, _, err := load(ctx, p, func(s store.RuntimeStore) ([]store.InputState, bool, error) {
		states, err := s.LoadInputStates(ctx, id)
		return states, true, err
	})
	return states, err
}

func (p *patient) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	return load(ctx, p, func(s store.RuntimeStore) (store.InputState, bool, error) { return s.LoadInputState(ctx, id, input) })
}

func (p *patient) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	return load(ctx, p, func(s store.RuntimeStore) (store.RunBoundaryReceipt, bool, error) {
		return s.LoadBoundaryReceipt(ctx, id, run, sequence)
	})
}

func (p *patient) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	return load(ctx, p, func(s store.RuntimeStore) ([]byte, bool, error) { return s.LoadSessionSnapshot(ctx, id) })
}

func (p *patient) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return load(ctx, p, func(s store.RuntimeStore) (store.RuntimeState, bool, error) { return s.LoadRuntimeState(ctx, id) })
}
