package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"time"
)

// An owner is what the goroutine behind a Node has: what it knows of the others,
// and what it keeps itself. It never waits for an engine or a directory: these
// are called by goroutines of their own, one at a time for the directory, and
// their answers come over channels.
type owner struct {
	node *Node
	ctx  context.Context // of the openings
	quit <-chan struct{}

	self     entry
	known    document // as it was read or written last
	joined   bool     // a beat was written
	observer observer
	until    time.Time // when the lease ends

	keepers map[int]*keeper
	giveUp  map[int]bool // claims whose loops are closed
	after   []func()     // to be called when the next table is there

	answers   chan answer // of the directory; has room for one
	calling   bool        // one is on its way
	hasty     bool        // a beat is wanted before its time
	conflicts int         // in a row
	directory error       // of the last call
	timer     *time.Timer

	closing     bool
	left        bool
	leaveBy     time.Time
	closeErrors []error
}

func newOwner(ctx context.Context, n *Node, quit <-chan struct{}) *owner {
	opts := &n.opts
	o := &owner{
		node: n, ctx: ctx, quit: quit, self: entry{ID: rand.Text(), Member: opts.Self},
		known:    newDocument(opts.Cluster, opts.Partitions),
		observer: observer{patience: opts.patience(), gap: 2 * opts.beat()},
		keepers:  map[int]*keeper{}, giveUp: map[int]bool{}, answers: make(chan answer, 1),
	}
	if opts.Assign != nil {
		o.known, o.self = assigned(o.known, o.self, opts.Assign)
	}
	return o
}

// run is the owner's goroutine. It ends when the member has left.
func (o *owner) run() {
	defer close(o.node.done)
	o.timer = time.NewTimer(o.node.opts.Lease)
	o.timer.Stop() // until there is something to wait for
	defer o.timer.Stop()
	if o.node.opts.Directory == nil {
		o.settle()
		o.tell(nil)
		o.publish()
	} else {
		o.beat()
	}
	for !o.left {
		o.wait()
		o.publish()
		o.leave()
	}
	o.node.closed = closing(o.closeErrors)
}

// wait waits for what comes next, and does what that asks for.
func (o *owner) wait() {
	select {
	case n := <-o.node.news:
		o.hear(n)
	case a := <-o.answers:
		o.calling = false
		a.take(o)
	case <-o.timer.C:
		o.due()
	case <-o.quit:
		o.quit, o.closing = nil, true
		o.publish() // so that nobody is told of another owner by a loop that ends
		for _, k := range o.keepers {
			o.stop(k)
		}
	}
	if o.hasty && !o.calling && !o.left {
		o.due()
	}
}

// due does what the time has come for.
func (o *owner) due() {
	o.hasty = false
	if o.node.opts.Directory != nil {
		o.beat()
	} else if !o.closing {
		o.settle()
	}
}

// hasten asks for a beat before its time.
func (o *owner) hasten() { o.hasty = o.node.opts.Directory != nil && !o.closing }

func (o *owner) mine(partition int) bool {
	e, ok := o.known.owner(partition)
	return ok && e.ID == o.self.ID
}

// settle makes what is kept what is claimed, when that is sure.
func (o *owner) settle() {
	if o.closing {
		return
	}
	now, next := time.Now(), time.Time{}
	for p := range o.known.Owners {
		k := o.keepers[p]
		switch {
		case !o.mine(p) && k != nil:
			o.stop(k)
		case !o.mine(p) || o.giveUp[p]:
		case k == nil || k.state == Waiting && !now.Before(k.due):
			o.start(p)
		case k.state == Waiting && (next.IsZero() || k.due.Before(next)):
			next = k.due
		}
	}
	if o.node.opts.Directory != nil {
		o.release()
	} else if !next.IsZero() {
		o.timer.Reset(next.Sub(now))
	}
}

// release begins to close what is beyond this member's share, first what serves
// nobody. Only a few partitions may be between two members at a time.
func (o *owner) release() {
	var kept []*keeper
	between := 0
	for _, owner := range o.known.Owners {
		if owner == nobody {
			between++
		}
	}
	for _, p := range o.known.claims(o.self.ID) {
		if k := o.keepers[p]; k != nil && k.state != Closing {
			kept = append(kept, k)
		} else {
			between++
		}
	}
	slices.SortStableFunc(kept, func(a, b *keeper) int {
		serves := func(k *keeper) int {
			if k.state == Open {
				return 1
			}
			return 0
		}
		return cmp.Or(serves(a)-serves(b), b.partition-a.partition)
	})
	excess := len(kept) - o.known.share(o.self.ID, false)
	for _, k := range kept[:max(0, min(excess, o.node.opts.Opens-between))] {
		o.stop(k)
	}
}

// leave takes the member out of the directory when its loops are closed.
func (o *owner) leave() {
	if !o.closing || o.calling || len(o.keepers) > 0 || !o.leaveBy.IsZero() {
		return
	}
	o.leaveBy = time.Now().Add(o.node.opts.Lease)
	if o.node.opts.Directory == nil {
		o.left = true
		return
	}
	o.beat()
}

// publish puts a new table in place, and wakes those who wait for one.
func (o *owner) publish() {
	t := &table{slots: make([]slot, len(o.known.Owners)), directory: o.directory, closed: o.closing}
	if o.node.opts.Directory != nil {
		t.until = o.until
		if t.until.IsZero() {
			t.until = time.Now() // it has none yet
		}
	}
	for _, m := range o.known.Members {
		t.members = append(t.members, m.Member)
	}
	for p := range t.slots {
		t.slots[p] = o.slot(p)
	}
	o.node.table.Store(t)
	for _, do := range o.after {
		do()
	}
	o.after = nil
}

func (o *owner) slot(p int) slot {
	e, ok := o.known.owner(p)
	s := slot{state: Elsewhere, owner: e.Member}
	switch k := o.keepers[p]; {
	case !ok:
		s.state = Unclaimed
	case e.ID != o.self.ID:
	case k == nil && o.giveUp[p]:
		s.state = Closing
	case k == nil: // claimed, and not settled yet
		s.state = Waiting
	default:
		s.state, s.loop, s.changed, s.err = k.state, k.loop, k.changed, k.err
	}
	return s
}

// jitter is some time up to d, so that members which have met do not meet again.
func jitter(d time.Duration) time.Duration { return mathrand.N(max(d, 1)) }
