package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// A Router is a [store.RuntimeStore] over all partitions of a cluster. It takes each
// call to the loop that holds the runtime, here or at another member, and has
// batches and views besides. Node.Router makes one. It ends with its node.
//
// Its errors are those of a loop, and *NotHolderError, within a *store.OpError. A
// call for a partition that is being opened here waits for that, under its context
// and for a lease at most.
type Router struct {
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

var (
	_ store.RuntimeStore = (*Router)(nil)
	_ store.Committer    = (*Router)(nil)
	_ store.Viewer       = (*Router)(nil)
)

// Router returns a router. If remote is nil, a call for another member's partition
// gets a *NotHolderError that names the member.
func (n *Node) Router(remote Remote) *Router { return &Router{n, remote} }

// An operation is what a Router must know of a request.
type operation interface {
	Kind() ops.Kind
	Runtime() (id store.RuntimeID, one bool)
}

// call takes a call to the holder of its partition. The answer of a load counts
// only if this member still held the partition after it.
func call[R any](ctx context.Context, r *Router, partition int, op operation, do func(store.RuntimeStore) (R, error)) (none R, err error) {
	for {
		s, err := r.node.route(ctx, partition)
		if err != nil {
			return none, ops.Error(op, err)
		}
		if s.loop == nil {
			far, err := r.reach(partition, s.Holder)
			if err != nil {
				return none, ops.Error(op, err)
			}
			return do(far)
		}
		answer, err := do(s.loop)
		if err != nil {
			return none, r.node.refine(partition, err)
		}
		if t := r.node.table.Load(); !op.Kind().ReadOnly() || t.slots[partition].loop == s.loop && !t.lapsed() {
			return answer, nil
		}
	}
}

// route returns the slot of a partition that is open here, or another member's.
func (n *Node) route(ctx context.Context, partition int) (slot, error) {
	var patience <-chan time.Time
	for {
		t := n.table.Load()
		if err := t.refuses(ctx); err != nil {
			return slot{}, err
		}
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
// nothing. If the node itself is closed it returns store.ErrClosed.
func (n *Node) refine(partition int, err error) error {
	op, ok := errors.AsType[*store.OpError](err)
	if !ok || errors.Is(err, store.ErrOutcomeUnknown) {
		return err
	}
	failure, failed := errors.AsType[*store.JournalError](err)
	if !failed && !errors.Is(err, store.ErrClosed) {
		return err
	}
	reason := store.ErrClosed
	if t := n.table.Load(); !t.closed {
		e := t.notHolder(partition)
		if failed && !errors.Is(failure, journal.ErrFenced) {
			e.Err = failure
		}
		reason = e
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
