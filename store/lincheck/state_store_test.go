package lincheck_test

import (
	"context"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A stateStore is a State as a store for one goroutine.
type stateStore struct{ state store.State }

// run does one operation, unless ctx has ended.
func run[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, s *stateStore, op O) (R, error) {
	if err := ctx.Err(); err != nil {
		var none R
		return none, err
	}
	return ops.Run[R, O, P](&s.state, op)
}

func (s *stateStore) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return run(ctx, s, ops.CommitSessionBoundary{RuntimeID: id, Commit: commit})
}

func (s *stateStore) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := run(ctx, s, ops.AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

func (s *stateStore) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return run(ctx, s, ops.LoadInputStates{RuntimeID: id})
}

func (s *stateStore) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := run(ctx, s, ops.LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

func (s *stateStore) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, runID store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := run(ctx, s, ops.LoadBoundaryReceipt{RuntimeID: id, RunID: runID, Sequence: sequence})
	return found.Value, found.OK, err
}

func (s *stateStore) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := run(ctx, s, ops.LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

func (s *stateStore) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := run(ctx, s, ops.LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

func (s *stateStore) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := run(ctx, s, ops.PersistInputState{RuntimeID: id, State: state})
	return err
}

func (s *stateStore) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := run(ctx, s, ops.PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

func (s *stateStore) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := run(ctx, s, ops.AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}

func (s *stateStore) Commit(ctx context.Context, batch store.Batch) (store.BatchResult, error) {
	return run(ctx, s, ops.Commit{Batch: batch})
}

func (s *stateStore) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return run(ctx, s, ops.LoadView{RuntimeID: id})
}
