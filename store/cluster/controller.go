package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"
)

// A controller is a local of the goroutine behind a Node: what that knows of the
// other members, and what it holds itself. It never waits for an engine or a
// directory. Other goroutines call these, the directory one at a time, and answer
// over channels.
type controller struct {
	node *Node
	ctx  context.Context // of the openings
	quit <-chan struct{}

	self     entry
	known    document // as it was last read or written
	joined   bool     // a beat was written
	observer observer
	gone     []Departure
	until    time.Time // when this member stops serving if it does not beat

	keepers map[int]*keeper
	giveUp  map[int]bool // claims whose loops are closed
	after   []func()     // to be called once the next table is in place

	replies   chan reply // of the directory
	flying    int        // calls of it that have not replied, abandoned ones too
	calling   *call      // the one under way
	looking   *call      // a second one, when that does not answer
	looked    bool       // what is read was read beside a call that did not answer
	hasty     bool       // a beat is wanted before its time
	conflicts int        // in a row
	directory error      // of the last call
	timer     *time.Timer

	closing     bool
	left        bool
	leaveBy     time.Time // set when the loops are closed
	heirs       document  // as it will be when this member has left
	closeErrors []error
}

func newController(ctx context.Context, n *Node, quit <-chan struct{}) *controller {
	opts := &n.opts
	c := &controller{
		node: n, ctx: ctx, quit: quit, self: entry{ID: rand.Text(), Member: opts.Self},
		known:    newDocument(opts.Cluster, opts.Partitions),
		observer: observer{patience: opts.patience(), gap: opts.blind()},
		keepers:  map[int]*keeper{}, giveUp: map[int]bool{}, replies: make(chan reply),
	}
	if opts.Assign != nil {
		c.known, c.self = assigned(opts)
	}
	return c
}

// run is the goroutine. It ends when the member has left.
func (c *controller) run() {
	defer close(c.node.done)
	c.timer = time.NewTimer(c.node.opts.Lease)
	c.timer.Stop() // until there is something to wait for
	defer c.timer.Stop()
	if c.node.opts.Directory == nil {
		c.reconcile()
		c.tell(nil)
		c.publish()
	} else {
		c.beat()
	}
	for !c.left {
		c.wait()
		c.publish()
		c.leave()
	}
	abandon(&c.looking)
	for ; c.flying > 0; c.flying-- {
		<-c.replies
	}
	if err := errors.Join(c.closeErrors...); err != nil {
		c.node.closed = fmt.Errorf("cluster: leaving: %w", err)
	}
}

// wait waits for what comes next, and handles it.
func (c *controller) wait() {
	select {
	case n := <-c.node.news:
		c.hear(n)
	case r := <-c.replies:
		c.hearBack(r)
	case <-c.timer.C:
		c.due()
	case <-c.quit:
		c.quit, c.closing = nil, true
		c.heirs = turn{self: c.self, leave: true, heirs: c.observer.well(c.self.ID)}.take(c.known)
		c.publish() // before a loop ends, so that its callers are told the next holder
		for _, k := range c.keepers {
			c.stop(k)
		}
	}
	if c.hasty && c.calling == nil && !c.left {
		c.due()
	}
}

// due does what it is time for.
func (c *controller) due() {
	c.hasty = false
	switch {
	case c.node.opts.Directory == nil:
		c.reconcile()
	case c.calling != nil:
		c.look()
	default:
		c.beat()
	}
}

// hasten asks for a beat before its time.
func (c *controller) hasten() { c.hasty = c.node.opts.Directory != nil && !c.closing }

func (c *controller) mine(partition int) bool {
	m, ok := c.known.holder(partition)
	return ok && m.ID == c.self.ID
}

// learn takes note of the document, and of the members that are no longer in it.
func (c *controller) learn(d document) {
	for _, m := range c.known.Members {
		if d.index(m.ID) >= 0 {
			continue
		}
		silent := c.observer.silence(m.ID)
		if m.ID == c.self.ID {
			silent = time.Since(c.lastBeat())
		}
		c.gone = append(c.gone, Departure{m.Member, time.Now(), len(c.known.claims(m.ID)), silent})
	}
	c.gone = c.gone[max(0, len(c.gone)-maxGone):]
	c.known = d
}

// lastBeat is when this member's last beat was sent; the zero time if there was none.
func (c *controller) lastBeat() time.Time {
	if c.until.IsZero() {
		return c.until
	}
	return c.until.Add(-c.node.opts.term())
}

// maxGone is how many members that have gone are remembered.
const maxGone = 16

// reconcile opens what this member has claimed and closes what it has not. It is
// called when the claims are known for certain.
func (c *controller) reconcile() {
	if c.closing {
		return
	}
	now, next := time.Now(), time.Time{}
	for p := range c.known.Holders {
		k := c.keepers[p]
		switch {
		case !c.mine(p) && k != nil:
			c.stop(k)
		case !c.mine(p) || c.giveUp[p]:
		case k == nil || k.state == Waiting && !now.Before(k.due):
			c.start(p)
		case k.state == Waiting && (next.IsZero() || k.due.Before(next)):
			next = k.due
		}
	}
	if c.node.opts.Directory != nil {
		c.release()
	} else if !next.IsZero() {
		c.timer.Reset(next.Sub(now))
	}
}

// release begins to close what is beyond this member's share: first what is not
// open, and of that the last partitions first. Only a few partitions may be on
// their way between two members at a time, and none as long as one is silent that
// would have to claim its share of them.
func (c *controller) release() {
	if len(c.observer.well(c.self.ID)) < len(c.known.Members)-1 {
		return
	}
	var idle, open []*keeper
	moving := 0
	for _, holder := range c.known.Holders {
		if holder == nobody {
			moving++
		}
	}
	for _, p := range slices.Backward(c.known.claims(c.self.ID)) {
		switch k := c.keepers[p]; {
		case k == nil || k.state == Closing:
			moving++
		case k.state == Open:
			open = append(open, k)
		default:
			idle = append(idle, k)
		}
	}
	kept := append(idle, open...)
	excess := len(kept) - c.known.share(c.self.ID, false)
	for _, k := range kept[:max(0, min(excess, c.node.opts.Opens-moving))] {
		c.stop(k)
	}
}

// leave takes the member out of the directory once its loops are closed.
func (c *controller) leave() {
	if !c.closing || c.calling != nil || len(c.keepers) > 0 || c.leaving() {
		return
	}
	c.leaveBy = time.Now().Add(c.node.opts.Lease)
	if c.node.opts.Directory == nil {
		c.left = true
		return
	}
	c.beat()
}

// leaving reports whether the loops are closed.
func (c *controller) leaving() bool { return !c.leaveBy.IsZero() }

// publish puts a new table in place, and wakes those who wait for one.
func (c *controller) publish() {
	t, before, now := &table{directory: c.directory, gone: c.gone}, c.node.table.Load(), time.Now()
	if c.node.opts.Directory != nil {
		t.until = c.until
		if t.until.IsZero() {
			t.until = now // there was no beat yet
		}
	}
	for _, m := range c.known.Members {
		beat := c.observer.seen[m.ID].at
		if m.ID == c.self.ID {
			beat = c.lastBeat()
		}
		t.members = append(t.members, MemberStatus{m.Member, beat})
	}
	for p := range c.known.Holders {
		s := c.slot(p)
		if s.Since = now; before != nil {
			s.follow(before.slots[p], now)
		}
		t.slots = append(t.slots, s)
	}
	c.node.table.Store(t)
	for _, do := range c.after {
		do()
	}
	c.after = nil
}

func (c *controller) slot(p int) slot {
	m, ok := c.known.holder(p)
	s := slot{PartitionStatus: PartitionStatus{State: Elsewhere, Holder: m.Member}, holder: m.ID, last: m}
	switch k := c.keepers[p]; {
	case !ok:
		s.State = Unclaimed
	case m.ID != c.self.ID:
	case k == nil && c.giveUp[p]:
		s.State = Closing
	case k == nil: // claimed, and not reconciled yet
		s.State = Waiting
	default:
		s.State, s.Err, s.loop, s.changed = k.state, k.err, k.loop, k.changed
	}
	if ok && c.mine(p) && len(c.heirs.Members) > 0 {
		heir, _ := c.heirs.holder(p)
		s.next = heir.Member
	}
	return s
}

// jitter returns a random time up to d, so that members which have collided do not
// collide again.
func jitter(d time.Duration) time.Duration { return mathrand.N(max(d, 1)) }
