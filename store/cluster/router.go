package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// A Router is a [store.RuntimeStore] over all partitions of a cluster: it takes
// each call to the loop that has the runtime, here or at another member. It has
// batches and views besides. Node.Router makes one; it ends with its node.
//
// Its errors are those of a loop, and *NotOwnerError, within a *store.OpError. A
// call for a partition that is being opened here waits for that, under its
// context and for a lease at most.
type Router struct {
	node   *Node
	remote Remote
}

// A Remote returns a store that reaches another member. Its error means that nothing
// was applied, and comes back wrapped, without ErrNotOwner: one that wraps that itself
// lets callers treat a member that is gone like one that owns nothing any more. It is called for each
// call that goes there, so it should keep its connections. What it returns must
// not send on what it is sent, or two members that each think that the other one
// is the owner never stop: serve others by a Router without a Remote.
type Remote func(owner Member) (store.RuntimeStore, error)

var (
	_ store.RuntimeStore = (*Router)(nil)
	_ batch.Committer    = (*Router)(nil)
	_ state.Viewer       = (*Router)(nil)
)

// Router returns a router. Without a remote, nil, a call for another member's
// partition gets a *NotOwnerError that names the member.
func (n *Node) Router(remote Remote) *Router { return &Router{n, remote} }

// operation is what a Router must know of a request of package ops.
type operation interface {
	Kind() ops.Kind
	Runtime() (id store.RuntimeID, one bool)
}

// call takes a call to where its partition is. The answer of a load counts only
// if the partition was surely this member's after it.
func call[R any](ctx context.Context, r *Router, partition int, op operation, do func(store.RuntimeStore) (R, error)) (none R, err error) {
	for {
		s, err := r.node.route(ctx, partition)
		if err != nil {
			return none, ops.Error(op, err)
		}
		if s.loop == nil {
			far, err := r.reach(partition, s.owner)
			if err != nil {
				return none, ops.Error(op, err)
			}
			return do(far)
		}
		answer, err := do(s.loop)
		if err != nil {
			return none, r.node.refine(partition, err)
		}
		if !op.Kind().ReadOnly() || r.node.serves(partition, s.loop) {
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
		case s.state == Elsewhere, s.state == Open && !t.lapsed():
			return s, nil
		case s.state != Opening || t.lapsed():
			return slot{}, t.notOwner(partition)
		}
		if patience == nil {
			timer := time.NewTimer(n.opts.Lease)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
		case <-patience:
			return slot{}, t.notOwner(partition)
		}
	}
}

// serves reports whether a loop is still what answers for a partition.
func (n *Node) serves(partition int, loop *loopstore.Loop) bool {
	t := n.table.Load()
	return t.slots[partition].loop == loop && !t.lapsed()
}

// refine says ErrNotOwner where a loop says that it is at its end and that
// nothing was applied, unless that is because the node is.
func (n *Node) refine(partition int, err error) error {
	op, ok := errors.AsType[*store.OpError](err)
	if !ok || errors.Is(err, store.ErrOutcomeUnknown) {
		return err
	}
	failure, failed := errors.AsType[*store.JournalError](err)
	if !failed && !errors.Is(err, store.ErrClosed) {
		return err
	}
	t := n.table.Load()
	if t.closed {
		return &store.OpError{Op: op.Op, RuntimeID: op.RuntimeID, OnRuntime: op.OnRuntime, Err: store.ErrClosed}
	}
	reason := t.notOwner(partition)
	if failed && !errors.Is(failure, journal.ErrFenced) {
		reason.Err = failure
	}
	return &store.OpError{Op: op.Op, RuntimeID: op.RuntimeID, OnRuntime: op.OnRuntime, Err: reason}
}

// reach returns a store that reaches a partition's owner.
func (r *Router) reach(partition int, owner Member) (store.RuntimeStore, error) {
	if r.remote == nil {
		return nil, &NotOwnerError{Partition: partition, Owner: owner}
	}
	far, err := r.remote(owner)
	if err != nil {
		return nil, fmt.Errorf("cluster: reaching %v: %w", owner, err)
	}
	return far, nil
}
