package demo

import (
	"context"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A caller is one goroutine that calls a store. It is a store itself, which measures
// how long each call takes.
type caller struct {
	store     store.RuntimeStore
	tally     *tally
	latencies [ops.NumKinds]histogram
}

var _ store.RuntimeStore = (*caller)(nil)

// measure counts a call that began at a time and ends now.
func (c *caller) measure(kind ops.Kind, began time.Time) {
	c.latencies[kind].observe(time.Since(began))
	c.tally.operations.Add(1)
}

func (c *caller) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	defer c.measure(ops.KindCommitSessionBoundary, time.Now())
	return c.store.CommitSessionBoundary(ctx, id, commit)
}

func (c *caller) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	defer c.measure(ops.KindAtomicApply, time.Now())
	return c.store.AtomicApply(ctx, id, apply)
}

func (c *caller) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	defer c.measure(ops.KindLoadInputStates, time.Now())
	return c.store.LoadInputStates(ctx, id)
}

func (c *caller) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	defer c.measure(ops.KindLoadInputState, time.Now())
	return c.store.LoadInputState(ctx, id, input)
}

func (c *caller) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	defer c.measure(ops.KindLoadBoundaryReceipt, time.Now())
	return c.store.LoadBoundaryReceipt(ctx, id, run, sequence)
}

func (c *caller) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	defer c.measure(ops.KindLoadSessionSnapshot, time.Now())
	return c.store.LoadSessionSnapshot(ctx, id)
}

func (c *caller) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	defer c.measure(ops.KindLoadRuntimeState, time.Now())
	return c.store.LoadRuntimeState(ctx, id)
}

func (c *caller) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	defer c.measure(ops.KindPersistInputState, time.Now())
	return c.store.PersistInputState(ctx, id, state)
}

func (c *caller) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	defer c.measure(ops.KindPersistRuntimeState, time.Now())
	return c.store.PersistRuntimeState(ctx, id, state)
}

func (c *caller) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	defer c.measure(ops.KindAtomicLifecycleCommit, time.Now())
	return c.store.AtomicLifecycleCommit(ctx, id, commit)
}
