package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// on makes a call of one runtime.
func on[R any](ctx context.Context, r *Router, op operation, do func(store.RuntimeStore) (R, error)) (R, error) {
	id, _ := op.Runtime()
	return call(ctx, r, PartitionOf(id, r.node.opts.Partitions), op, do)
}

// A found is what a load returns besides its error.
type found[T any] struct {
	value T
	ok    bool
}

func load[T any](ctx context.Context, r *Router, op operation, do func(store.RuntimeStore) (T, bool, error)) (T, bool, error) {
	f, err := on(ctx, r, op, func(s store.RuntimeStore) (f found[T], err error) {
		f.value, f.ok, err = do(s)
		return f, err
	})
	return f.value, f.ok, err
}

func write(ctx context.Context, r *Router, op operation, do func(store.RuntimeStore) error) error {
	_, err := on(ctx, r, op, func(s store.RuntimeStore) (struct{}, error) { return struct{}{}, do(s) })
	return err
}

// CommitSessionBoundary implements [store.RuntimeStore].
func (r *Router) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return on(ctx, r, ops.CommitSessionBoundary{RuntimeID: id}, func(s store.RuntimeStore) (store.RunBoundaryReceipt, error) {
		return s.CommitSessionBoundary(ctx, id, commit)
	})
}

// AtomicApply implements [store.RuntimeStore]. A Router has no LoadSession: a
// session's id does not say which partition it is in.
func (r *Router) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	return write(ctx, r, ops.AtomicApply{RuntimeID: id}, func(s store.RuntimeStore) error { return s.AtomicApply(ctx, id, apply) })
}

// LoadInputStates implements [store.RuntimeStore].
func (r *Router) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return on(ctx, r, ops.LoadInputStates{RuntimeID: id}, func(s store.RuntimeStore) ([]store.InputState, error) {
		return s.LoadInputStates(ctx, id)
	})
}

// LoadInputState implements [store.RuntimeStore].
func (r *Router) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	return load(ctx, r, ops.LoadInputState{RuntimeID: id}, func(s store.RuntimeStore) (store.InputState, bool, error) {
		return s.LoadInputState(ctx, id, input)
	})
}

// LoadBoundaryReceipt implements [store.RuntimeStore].
func (r *Router) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	return load(ctx, r, ops.LoadBoundaryReceipt{RuntimeID: id}, func(s store.RuntimeStore) (store.RunBoundaryReceipt, bool, error) {
		return s.LoadBoundaryReceipt(ctx, id, run, sequence)
	})
}

// LoadSessionSnapshot implements [store.RuntimeStore].
func (r *Router) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	return load(ctx, r, ops.LoadSessionSnapshot{RuntimeID: id}, func(s store.RuntimeStore) ([]byte, bool, error) {
		return s.LoadSessionSnapshot(ctx, id)
	})
}

// LoadRuntimeState implements [store.RuntimeStore].
func (r *Router) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return load(ctx, r, ops.LoadRuntimeState{RuntimeID: id}, func(s store.RuntimeStore) (store.RuntimeState, bool, error) {
		return s.LoadRuntimeState(ctx, id)
	})
}

// PersistInputState implements [store.RuntimeStore].
func (r *Router) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	return write(ctx, r, ops.PersistInputState{RuntimeID: id}, func(s store.RuntimeStore) error { return s.PersistInputState(ctx, id, state) })
}

// PersistRuntimeState implements [store.RuntimeStore].
func (r *Router) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return write(ctx, r, ops.PersistRuntimeState{RuntimeID: id}, func(s store.RuntimeStore) error { return s.PersistRuntimeState(ctx, id, state) })
}

// AtomicLifecycleCommit implements [store.RuntimeStore].
func (r *Router) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	return write(ctx, r, ops.AtomicLifecycleCommit{RuntimeID: id}, func(s store.RuntimeStore) error { return s.AtomicLifecycleCommit(ctx, id, commit) })
}

// View returns all that a runtime holds at one moment of the call, as
// [loopstore.Loop.View] does. After a take-over a view that is kept does not show
// that it is out of date. A store that a Remote returns must be a [store.Viewer],
// or the error is errors.ErrUnsupported.
func (r *Router) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return on(ctx, r, ops.LoadView{RuntimeID: id}, func(s store.RuntimeStore) (*store.View, error) {
		viewer, ok := s.(store.Viewer)
		if !ok {
			return nil, ops.Error(ops.LoadView{RuntimeID: id}, unsupported("View"))
		}
		return viewer.View(ctx, id)
	})
}

// Commit applies a batch, as [loopstore.Loop.Commit] does. All runtimes that it
// names, in conditions too, must be in one partition, or it is refused with a
// *SpanError before anything else. A batch that names none goes to partition 0. A
// store that a Remote returns must be a [store.Committer], or the error is
// errors.ErrUnsupported. Revisions are the partition's.
func (r *Router) Commit(ctx context.Context, batch store.Batch) (store.BatchResult, error) {
	op := ops.Commit{Batch: batch}
	partition, err := r.node.partitionOf(batch)
	if err != nil {
		return store.BatchResult{}, ops.Error(op, cmp.Or(r.node.table.Load().refuses(ctx), err))
	}
	return call(ctx, r, partition, op, func(s store.RuntimeStore) (store.BatchResult, error) {
		committer, ok := s.(store.Committer)
		if !ok {
			return store.BatchResult{}, ops.Error(op, unsupported("Commit"))
		}
		return committer.Commit(ctx, batch)
	})
}

func unsupported(method string) error {
	return fmt.Errorf("cluster: the other member's store has no %s: %w", method, errors.ErrUnsupported)
}

// partitionOf returns the one partition of a batch.
func (n *Node) partitionOf(batch store.Batch) (partition int, err error) {
	ids := batchRuntimes(batch)
	for i, id := range ids {
		p := PartitionOf(id, n.opts.Partitions)
		if i > 0 && p != partition {
			return 0, &SpanError{RuntimeIDs: [2]store.RuntimeID{ids[0], id}, Partitions: [2]int{partition, p}}
		}
		partition = p
	}
	return partition, nil
}

// batchRuntimes returns the runtimes of all conditions and writes. It skips those
// that are not package store's: a loop refuses them.
func batchRuntimes(batch store.Batch) (ids []store.RuntimeID) {
	home := reflect.TypeFor[store.Batch]().PkgPath()
	add := func(part any) {
		if v := reflect.ValueOf(part); v.Kind() == reflect.Struct && v.Type().PkgPath() == home {
			ids = append(ids, v.FieldByName("RuntimeID").Interface().(store.RuntimeID))
		}
	}
	for _, c := range batch.If {
		add(c)
	}
	for _, w := range batch.Then {
		add(w)
	}
	return ids
}
