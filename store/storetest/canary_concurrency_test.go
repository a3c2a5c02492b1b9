package storetest_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// losesUpdates reads all inputs, changes one, and writes all.
type losesUpdates struct{ *loopstore.Loop }

func (s losesUpdates) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	all, err := s.LoadInputStates(ctx, id)
	if err != nil {
		return err
	}
	runtime.Gosched() // another call may come between
	for _, state := range append(all, state) {
		if err := s.Loop.PersistInputState(ctx, id, state); err != nil {
			return err
		}
	}
	return nil
}

// mintsTwice gives two commits that overlap the same sequence.
type mintsTwice struct {
	*loopstore.Loop
	underWay atomic.Int32
}

func (s *mintsTwice) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	others := s.underWay.Add(1) - 1
	defer s.underWay.Add(-1)
	runtime.Gosched()
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err == nil && others > 0 && receipt.Sequence > 0 && c.Session.Format == store.FormatUnset {
		receipt.Sequence--
	}
	return receipt, err
}

// showsHalfABatch validates a batch, then stores its parts one by one.
type showsHalfABatch struct{ *loopstore.Loop }

func (s showsHalfABatch) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	if len(c.If) > 0 || slices.ContainsFunc(c.InputStates, func(s store.InputState) bool { return s.Validate() != nil }) {
		return s.Loop.AtomicLifecycleCommit(ctx, id, c) // which may refuse it
	}
	if err := s.PersistRuntimeState(ctx, id, c.RuntimeState); err != nil {
		return err
	}
	for _, state := range c.InputStates {
		for range 20 { // let others see one half
			runtime.Gosched()
		}
		if err := s.PersistInputState(context.WithoutCancel(ctx), id, state); err != nil {
			return err
		}
	}
	return nil
}

// showsPartsInTurn stores the runtime's state first, and then all inputs at once.
type showsPartsInTurn struct{ *loopstore.Loop }

func (s showsPartsInTurn) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	if len(c.If) > 0 || slices.ContainsFunc(c.InputStates, func(s store.InputState) bool { return s.Validate() != nil }) {
		return s.Loop.AtomicLifecycleCommit(ctx, id, c) // which may refuse it
	}
	if err := s.PersistRuntimeState(ctx, id, c.RuntimeState); err != nil {
		return err
	}
	for range 200 { // let others see one part
		runtime.Gosched()
	}
	return s.Loop.AtomicLifecycleCommit(context.WithoutCancel(ctx), id, c)
}
