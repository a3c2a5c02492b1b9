package storetest_test

import (
	"context"
	"iter"
	"sync"
	"testing"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

// A mutexStore is a store.State behind a mutex: a second implementation of
// store.RuntimeStore that shares nothing with the loop but the operations.
type mutexStore struct {
	mu     sync.Mutex
	closed bool
	state  *store.State
}

func run[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, s *mutexStore, op O) (R, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none R
	switch {
	case ctx.Err() != nil:
		return none, ctx.Err()
	case s.closed:
		return none, store.ErrClosed
	}
	return ops.Run[R, O, P](s.state, op)
}

func (s *mutexStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.state.End().Wake()
	return nil
}

func (s *mutexStore) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return run(ctx, s, ops.CommitSessionBoundary{RuntimeID: id, Commit: commit})
}

func (s *mutexStore) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := run(ctx, s, ops.AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

func (s *mutexStore) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return run(ctx, s, ops.LoadInputStates{RuntimeID: id})
}

func (s *mutexStore) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := run(ctx, s, ops.LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

func (s *mutexStore) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, runID store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := run(ctx, s, ops.LoadBoundaryReceipt{RuntimeID: id, RunID: runID, Sequence: sequence})
	return found.Value, found.OK, err
}

func (s *mutexStore) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := run(ctx, s, ops.LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

func (s *mutexStore) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := run(ctx, s, ops.LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

func (s *mutexStore) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := run(ctx, s, ops.PersistInputState{RuntimeID: id, State: state})
	return err
}

func (s *mutexStore) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := run(ctx, s, ops.PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

func (s *mutexStore) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := run(ctx, s, ops.AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}

func (s *mutexStore) Commit(ctx context.Context, batch store.Batch) (store.BatchResult, error) {
	return run(ctx, s, ops.Commit{Batch: batch})
}

func (s *mutexStore) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return run(ctx, s, ops.LoadView{RuntimeID: id})
}

func (s *mutexStore) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*store.View, error] {
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

// The State outlives its store, so this one can be reopened.
func TestMutex(t *testing.T) {
	storetest.Run(t, storetest.Factory{
		Open: func(testing.TB) store.RuntimeStore { return &mutexStore{state: new(store.State)} },
		Reopen: func(_ testing.TB, s store.RuntimeStore) store.RuntimeStore {
			return &mutexStore{state: s.(*mutexStore).state}
		},
		Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*store.View, error) {
			return func(ctx context.Context) (*store.View, error) { return s.(*mutexStore).View(ctx, id) }
		},
	})
}
