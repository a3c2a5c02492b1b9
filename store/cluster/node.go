package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore"
)

// A Node is a member of a cluster. Its methods may be called from any number of
// goroutines. Join makes one, and Close ends it. The zero value is of no use.
type Node struct {
	opts  Options
	table atomic.Pointer[table] // only the controller replaces it

	turns  chan struct{} // to open a loop: room for as many as may open at once
	news   chan news     // from keepers to the controller
	joined chan error    // what came of the first beat; has room for one
	quit   func()        // asks the controller to end, once
	done   chan struct{} // closed when it has
	closed error         // of Close; the controller's until done is closed
}

// Join makes this process a member. It writes down the number of partitions, or
// finds the same number, and returns when the first beat is written: the member is
// in the directory by then, and has claimed its share of what is free. It opens
// these partitions after that. With Assign, too, it returns before any is open.
//
// ctx limits the joining alone, but its values stay with the openings. The error is
// an *OptionError, a *CountError, a *DocumentError, or wraps the error of the
// engine, of the directory or of ctx. After an error nothing is left open, and
// nothing of this member is left in the directory, unless that cannot be reached:
// then others wait for a lease and a half.
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
	c := newController(context.WithoutCancel(ctx), n, quit)
	c.publish()
	go c.run()
	var err error
	select {
	case err = <-n.joined:
	case <-ctx.Done():
		err = ended(ctx)
	}
	if err != nil {
		_ = n.Close() // err says why already
		return nil, fmt.Errorf("cluster: joining %q: %w", opts.Cluster, err)
	}
	return n, nil
}

// Close leaves the cluster. It closes the loops of all partitions, which answers
// the calls that they have accepted, and beats meanwhile. Then it gives the claims to
// the other members that are seen to live, which open them with their next beats. It
// waits for calls of the engine and the directory that are under way, and leaves no
// goroutine behind. It may be called at any time, from anywhere and more than once.
// The error means that a journal did not close well, or that the directory may not
// have been told: then the others may wait for a lease and a half.
//
// Routers go on during Close and after it, and are not closed by it: what was held
// here is ErrNotHolder with the member that gets it, and a Remote is asked as before.
// After Close they hear of no later change.
func (n *Node) Close() error {
	n.quit()
	<-n.done
	return n.closed
}

// Local returns the loop of a partition that is open here, for what a Router does
// not offer. The caller must not close it. Its errors are a loop's:
// journal.ErrFenced when another member has taken over the partition, and
// store.ErrClosed when it was given up or its node was closed. Its loads do not check
// the lease.
func (n *Node) Local(partition int) (*loopstore.Loop, bool) {
	t := n.table.Load()
	if partition < 0 || partition >= len(t.slots) || t.slots[partition].loop == nil || t.lapsed() {
		return nil, false
	}
	return t.slots[partition].loop, true
}

// log logs, on a goroutine that nobody waits for, and drops a panic of the logger.
func (n *Node) log(level slog.Level, message string, attrs ...slog.Attr) {
	if n.opts.Logger == nil {
		return
	}
	defer func() { _ = recover() }()
	attrs = append(attrs, slog.String("cluster", n.opts.Cluster), slog.String("member", n.opts.Self.Name))
	n.opts.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
