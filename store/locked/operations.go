package locked

import (
	"context"
	"errors"
	"iter"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// CommitSessionBoundary stores a session snapshot, the receipt that it mints, and
// input updates that it stamps.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	op := ops.CommitSessionBoundary{RuntimeID: id, Commit: commit}
	if err := s.look(ctx, &op); err != nil {
		return store.RunBoundaryReceipt{}, ops.Error(op, errors.Unwrap(err))
	}
	return run(ctx, s, op)
}

// AtomicApply stores a receipt of the caller's, with any snapshot and input
// updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := run(ctx, s, ops.AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

// LoadInputStates returns all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return run(ctx, s, ops.LoadInputStates{RuntimeID: id})
}

// LoadInputState returns the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := run(ctx, s, ops.LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, runID store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := run(ctx, s, ops.LoadBoundaryReceipt{RuntimeID: id, RunID: runID, Sequence: sequence})
	return found.Value, found.OK, err
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := run(ctx, s, ops.LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := run(ctx, s, ops.LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := run(ctx, s, ops.PersistInputState{RuntimeID: id, State: state})
	return err
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := run(ctx, s, ops.PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := run(ctx, s, ops.AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}

// Commit applies a batch: all of its writes, in order, or none.
func (s *Store) Commit(ctx context.Context, batch store.Batch) (store.BatchResult, error) {
	op := ops.Commit{Batch: batch}
	if err := s.look(ctx, &op); err != nil {
		return store.BatchResult{}, ops.Error(op, errors.Unwrap(err))
	}
	return run(ctx, s, op)
}

// View returns all that a runtime holds at one moment.
func (s *Store) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return run(ctx, s, ops.LoadView{RuntimeID: id})
}

// Watch yields the newest view whenever its version is another than that of the
// one before, at first than after.
func (s *Store) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*store.View, error] {
	return func(yield func(*store.View, error) bool) {
		for version := after; ; {
			v, err := s.View(ctx, id)
			if err != nil {
				yield(nil, err)
				return
			}
			if v.Version() != version {
				version = v.Version()
				if !yield(v, nil) {
					return
				}
			}
			select {
			case <-v.Changed():
			case <-ctx.Done():
			}
		}
	}
}
