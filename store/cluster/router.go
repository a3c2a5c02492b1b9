package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
)

// A Router is a [store.RuntimeStore] over all partitions of a cluster. It takes each
// call to the loop that holds the runtime, here or at another member, and has
// batches, views and the past of sessions besides. Node.Router makes one. It outlives
// its node, see Node.Close, and so is never store.ErrClosed.
//
// Its errors are those of a loop, and *NotHolderError, within a *store.OpError. A
// call for a partition that is being opened here waits for that, under its context
// and for a lease at most.
//
// There is no LoadSession here: who asks for a session does not know the runtime.
type Router struct {
	ops.Forward

	node   *Node
	remote Remote
}

// A Remote returns a store that reaches another member. It is called for each call
// that goes there, so it should keep its connections. Its error means that nothing
// was applied. The caller gets it wrapped; if it wraps ErrNotHolder, callers treat a
// member that is gone like one that no longer holds the partition.
//
// The store must not send on what it is sent, or two members that each take the
// other for the holder never stop. So serve other members with a Router that has no
// Remote.
type Remote func(holder Member) (store.RuntimeStore, error)

// Router returns a router. If remote is nil, a call for another member's partition
// gets a *NotHolderError that names the member. A store that remote returns needs
// to be more than a store.RuntimeStore only for calls of Commit, View, LoadInput,
// LoadInputByKey, LoadSessionAt and Fork, which else get errors.ErrUnsupported. The
// conditions of a single commit must be about runtimes in its partition, or it is refused
// with a *SpanError.
func (n *Node) Router(remote Remote) *Router {
	r := &Router{node: n, remote: remote}
	r.Forward = func(ctx context.Context, call ops.Call) error {
		id, _ := call.Runtime()
		if conditions := call.About(); len(conditions) > 0 {
			if _, err := n.partitionOf(append(conditions, id)); err != nil {
				return ops.Error(call, cmp.Or(ended(ctx), err))
			}
		}
		return r.call(ctx, PartitionOf(id, n.opts.Partitions), call)
	}
	return r
}

// Commit applies a batch, as [loopstore.Loop.Commit] does. All runtimes that it
// names, in conditions too, must be in one partition, or it is refused with a
// *SpanError before anything else. A batch that names none goes to partition 0.
// Revisions are the partition's.
func (r *Router) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	b = b.Plain()
	return ops.Forward(func(ctx context.Context, call ops.Call) error {
		partition, err := r.node.partitionOf(append(call.About(), batchRuntimes(b)...))
		if err != nil {
			return ops.Error(call, cmp.Or(ended(ctx), err))
		}
		return r.call(ctx, partition, call)
	}).Commit(ctx, b)
}

// Fork implements [state.Historian]. Both runtimes must be in one partition, or it is
// refused with a *SpanError before anything else.
func (r *Router) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	if _, err := r.node.partitionOf([]store.RuntimeID{from, to}); err != nil {
		return ops.Error(ops.Fork{RuntimeID: from, Number: number, To: to}, cmp.Or(ended(ctx), err))
	}
	return r.Forward.Fork(ctx, from, number, to)
}

// call takes a call to the holder of its partition. The answer of a load counts
// only if this member still held the partition after it.
func (r *Router) call(ctx context.Context, partition int, call ops.Call) error {
	for {
		s, err := r.node.route(ctx, partition)
		if err != nil {
			return ops.Error(call, err)
		}
		if s.loop == nil {
			far, err := r.reach(partition, s.Holder)
			if err != nil {
				return ops.Error(call, err)
			}
			return call.On(ctx, far)
		}
		if err := call.On(ctx, s.loop); err != nil {
			return r.node.refine(partition, err)
		}
		if t := r.node.table.Load(); !call.Kind().ReadOnly() || t.slots[partition].loop == s.loop && !t.lapsed() {
			return nil
		}
	}
}

// route returns the slot of a partition that is open here, or another member's.
func (n *Node) route(ctx context.Context, partition int) (slot, error) {
	var patience <-chan time.Time
	for {
		if err := ended(ctx); err != nil {
			return slot{}, err
		}
		t := n.table.Load()
		s := t.slots[partition]
		switch {
		case s.State == Elsewhere, s.State == Open && !t.lapsed():
			return s, nil
		case s.State != Opening || t.lapsed():
			return slot{}, t.notHolder(partition)
		}
		if patience == nil {
			patience = time.After(n.opts.Lease)
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
		case <-patience:
			return slot{}, t.notHolder(partition)
		}
	}
}

// refine returns ErrNotHolder for the error of a loop that has ended and applied
// nothing.
func (n *Node) refine(partition int, err error) error {
	op, ok := errors.AsType[*store.OpError](err)
	if !ok || errors.Is(err, store.ErrOutcomeUnknown) {
		return err
	}
	failure, failed := errors.AsType[*store.JournalError](err)
	if !failed && !errors.Is(err, store.ErrClosed) {
		return err
	}
	reason := n.table.Load().notHolder(partition)
	if failed && (reason.Holder == Member{} || !errors.Is(failure, journal.ErrFenced)) {
		reason.Err = failure
	}
	return &store.OpError{Op: op.Op, RuntimeID: op.RuntimeID, OnRuntime: op.OnRuntime, Err: reason}
}

// reach returns a store that reaches the holder of a partition.
func (r *Router) reach(partition int, holder Member) (store.RuntimeStore, error) {
	if r.remote == nil {
		return nil, &NotHolderError{Partition: partition, Holder: holder}
	}
	far, err := r.remote(holder)
	if err != nil {
		return nil, fmt.Errorf("cluster: reaching %v: %w", holder, err)
	}
	return far, nil
}

// partitionOf returns the one partition of all runtimes.
func (n *Node) partitionOf(ids []store.RuntimeID) (partition int, err error) {
	for i, id := range ids {
		p := PartitionOf(id, n.opts.Partitions)
		if i > 0 && p != partition {
			return 0, &SpanError{RuntimeIDs: [2]store.RuntimeID{ids[0], id}, Partitions: [2]int{partition, p}}
		}
		partition = p
	}
	return partition, nil
}

// batchRuntimes returns the runtimes of all writes. It skips those that are not package
// batch's: a loop refuses them.
func batchRuntimes(b batch.Batch) (ids []store.RuntimeID) {
	home := reflect.TypeFor[batch.Batch]().PkgPath()
	for _, w := range b.Then {
		if v := reflect.ValueOf(w); v.Kind() == reflect.Struct && v.Type().PkgPath() == home {
			ids = append(ids, v.FieldByName("RuntimeID").Interface().(store.RuntimeID))
		}
	}
	return ids
}
