package measure_test

import (
	"context"
	"io"
	"sync"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A seen is one call as a store has seen it.
type seen struct {
	method string
	id     store.RuntimeID
	arg    any
	found  any // what it loaded, nil if nothing
}

// A spy records the calls of a store. It has no batches.
type spy struct {
	store.RuntimeStore
	mu   sync.Mutex
	seen []seen
	err  map[string]error // by method
}

func newSpy() *spy { return &spy{RuntimeStore: loopstore.New(loopstore.Options{})} }

func (s *spy) open() (store.RuntimeStore, error) { return s, nil }

func (s *spy) note(method string, id store.RuntimeID, arg, found any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, seen{method, id, arg, found})
	return s.err[method]
}

func (s *spy) Close() error {
	return orErr(s.RuntimeStore.(io.Closer).Close(), s.note("Close", "", nil, nil))
}

func orErr(err, other error) error {
	if err == nil {
		err = other
	}
	return err
}

func loaded(found any, ok bool) any {
	if !ok {
		return nil
	}
	return found
}

func (s *spy) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.RuntimeStore.CommitSessionBoundary(ctx, id, commit)
	return receipt, orErr(err, s.note("CommitSessionBoundary", id, commit, receipt))
}

func (s *spy) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	return orErr(s.RuntimeStore.AtomicApply(ctx, id, apply), s.note("AtomicApply", id, apply, nil))
}

func (s *spy) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.RuntimeStore.LoadInputStates(ctx, id)
	return states, orErr(err, s.note("LoadInputStates", id, nil, len(states)))
}

func (s *spy) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	state, ok, err := s.RuntimeStore.LoadInputState(ctx, id, input)
	return state, ok, orErr(err, s.note("LoadInputState", id, input, loaded(state, ok)))
}

func (s *spy) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	receipt, ok, err := s.RuntimeStore.LoadBoundaryReceipt(ctx, id, run, sequence)
	return receipt, ok, orErr(err, s.note("LoadBoundaryReceipt", id, nil, loaded(receipt, ok)))
}

func (s *spy) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	snapshot, ok, err := s.RuntimeStore.LoadSessionSnapshot(ctx, id)
	return snapshot, ok, orErr(err, s.note("LoadSessionSnapshot", id, nil, loaded(snapshot, ok)))
}

func (s *spy) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	state, ok, err := s.RuntimeStore.LoadRuntimeState(ctx, id)
	return state, ok, orErr(err, s.note("LoadRuntimeState", id, nil, loaded(state, ok)))
}

func (s *spy) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	return orErr(s.RuntimeStore.PersistInputState(ctx, id, state), s.note("PersistInputState", id, state, nil))
}

func (s *spy) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return orErr(s.RuntimeStore.PersistRuntimeState(ctx, id, state), s.note("PersistRuntimeState", id, state, nil))
}

func (s *spy) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	return orErr(s.RuntimeStore.AtomicLifecycleCommit(ctx, id, commit), s.note("AtomicLifecycleCommit", id, commit, nil))
}

// A committer is a spy with batches.
type committer struct{ *spy }

func (c committer) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := c.RuntimeStore.(batch.Committer).Commit(ctx, b)
	return result, orErr(err, c.note("Commit", "", b, nil))
}
