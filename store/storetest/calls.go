package storetest

import (
	"context"

	"github.com/loopstore/loopstore/store"
)

// allWrites does every operation that writes, with arguments that are valid,
// and returns their errors by name.
func (tr *trial) allWrites(id store.RuntimeID, ctx context.Context) map[string]error {
	_, commit := tr.store.CommitSessionBoundary(ctx, id, committing(store.RunID{1}, accepted(11)))
	apply := applying(store.RunID{2}, 2, accepted(12))
	apply.Session = &store.SessionDelta{SessionSnapshot: []byte("applied")}
	return map[string]error{
		"CommitSessionBoundary": commit,
		"AtomicApply":           tr.store.AtomicApply(ctx, id, apply),
		"PersistInputState":     tr.store.PersistInputState(ctx, id, accepted(13)),
		"PersistRuntimeState":   tr.store.PersistRuntimeState(ctx, id, store.RuntimeStopped),
		"AtomicLifecycleCommit": tr.store.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{
			RuntimeState: store.RuntimeStopped, InputStates: []store.InputState{accepted(14)},
		}),
	}
}

// allBadWrites does every operation that writes, with arguments that are not
// valid, and returns their errors by name.
func (tr *trial) allBadWrites(id store.RuntimeID, ctx context.Context) map[string]error {
	_, commit := tr.store.CommitSessionBoundary(ctx, id, store.BoundaryCommit{})
	return map[string]error{
		"CommitSessionBoundary": commit,
		"AtomicApply":           tr.store.AtomicApply(ctx, id, store.BoundaryApply{}),
		"PersistInputState":     tr.store.PersistInputState(ctx, id, store.InputState{}),
		"PersistRuntimeState":   tr.store.PersistRuntimeState(ctx, id, ""),
		"AtomicLifecycleCommit": tr.store.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{}),
	}
}

// allReads does every operation that reads, and returns their errors by name.
func (tr *trial) allReads(id store.RuntimeID, ctx context.Context) map[string]error {
	_, all := tr.store.LoadInputStates(ctx, id)
	_, _, one := tr.store.LoadInputState(ctx, id, store.InputID{1})
	_, _, receipt := tr.store.LoadBoundaryReceipt(ctx, id, store.RunID{1}, 0)
	_, _, snapshot := tr.store.LoadSessionSnapshot(ctx, id)
	_, _, state := tr.store.LoadRuntimeState(ctx, id)
	return map[string]error{
		"LoadInputStates": all, "LoadInputState": one, "LoadBoundaryReceipt": receipt,
		"LoadSessionSnapshot": snapshot, "LoadRuntimeState": state,
	}
}
