package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore"
)

// A Node is a member of a cluster. Its methods may be called from any number of
// goroutines. Join makes one, and Close ends it; the zero value is of no use.
type Node struct {
	opts  Options
	table atomic.Pointer[table] // the owner's to replace

	turns  chan struct{} // of keepers to open a loop
	news   chan news     // of keepers, to the owner
	joined chan error    // what came of the first beat; has room for one
	quit   func()        // asks the owner to end, once
	done   chan struct{} // closed when it has
	closed error         // of Close; before done is closed it is the owner's
}

// Join makes this process a member. It finds out, or records, how many partitions
// there are, and returns when the first beat has been written: the member is in
// the directory then, and has claimed its share of what is free, which it goes on
// to open. With Assign it returns before anything is open, too.
//
// ctx is for the joining alone; its values stay with the openings. The error is an
// *OptionError, a *CountError, a *DocumentError, or wraps what the engine or the
// directory says, or ctx's. Nothing is left open then, and the directory holds
// nothing of this member, unless it cannot be reached: others wait for a lease
// then.
func Join(ctx context.Context, opts Options) (*Node, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if err := agree(ctx, &opts); err != nil {
		return nil, fmt.Errorf("cluster: joining %q: %w", opts.Cluster, err)
	}
	quit := make(chan struct{})
	n := &Node{
		opts: opts, turns: make(chan struct{}, opts.Opens), news: make(chan news), joined: make(chan error, 1),
		quit: sync.OnceFunc(func() { close(quit) }), done: make(chan struct{}),
	}
	o := newOwner(context.WithoutCancel(ctx), n, quit)
	o.publish()
	go o.run()
	var err error
	select {
	case err = <-n.joined:
	case <-ctx.Done():
		err = ended(ctx)
	}
	if err != nil {
		_ = n.Close() // it says no more of why
		return nil, fmt.Errorf("cluster: joining %q: %w", opts.Cluster, err)
	}
	return n, nil
}

// Close leaves the cluster: it closes the loops of all partitions, which answers
// the calls that they have taken, gives the claims up so that others take over at
// once, and returns when nothing is left behind. It waits for an engine or a
// directory that is under way. It may be called at any time, from anywhere and
// more than once. The error says that a journal did not close well, or that the
// directory could not be told: the others wait for a lease then.
func (n *Node) Close() error {
	n.quit()
	<-n.done
	return n.closed
}

// Local returns the loop of a partition that is open here, for what a Router does
// not offer. Its calls are those of a loop: that another member has taken the
// partition over is journal.ErrFenced there, that it was given up is
// store.ErrClosed, and a load does not ask again whether the lease has lapsed. It
// must not be closed.
func (n *Node) Local(partition int) (*loopstore.Loop, bool) {
	t := n.table.Load()
	if partition < 0 || partition >= len(t.slots) || t.slots[partition].loop == nil || t.lapsed() {
		return nil, false
	}
	return t.slots[partition].loop, true
}

// closing is the error of Close.
func closing(errs []error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cluster: leaving: %w", err)
	}
	return nil
}
