package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal"
)

// A keeper is a partition that this member holds, or is giving up. It belongs to
// the controller. A goroutine of its own opens the loop, waits for its end and
// closes it, so that none of this delays a beat.
type keeper struct {
	partition int
	state     State // Opening, Open, Closing or Waiting
	loop      *loopstore.Loop
	stop      context.CancelFunc
	changed   chan struct{} // closed when Opening is over

	err    error         // why it is Waiting
	delay  time.Duration // before the next opening
	due    time.Time     // of the next opening
	opened time.Time
}

// news is what a keeper's goroutine tells the controller.
type news struct {
	keeper *keeper
	loop   *loopstore.Loop // that is open now; nil if it has ended
	err    error
}

// keep is the goroutine of a keeper. Its last news has no loop.
func (n *Node) keep(ctx context.Context, k *keeper) {
	loop, over, err := n.open(ctx, k.partition)
	if err == nil {
		n.news <- news{keeper: k, loop: loop}
		select {
		case <-ctx.Done():
		case <-over:
		}
		if err = loop.Close(); err != nil {
			n.log(slog.LevelWarn, "partition lost", slog.Int("partition", k.partition), slog.String("error", err.Error()))
		} else {
			n.log(slog.LevelInfo, "partition closed", slog.Int("partition", k.partition))
		}
	}
	n.news <- news{keeper: k, err: err}
}

// open opens a partition's loop when it is its turn. over is closed when the loop
// ends, for whatever reason.
func (n *Node) open(ctx context.Context, partition int) (loop *loopstore.Loop, over <-chan struct{}, err error) {
	select {
	case n.turns <- struct{}{}:
		defer func() { <-n.turns }()
	case <-ctx.Done():
		return nil, nil, ended(ctx)
	}
	began, engine := time.Now(), endings{n.opts.Engine, make(chan struct{})}
	if loop, err = loopstore.Open(ctx, engine, PartitionName(n.opts.Cluster, partition), n.opts.Loop); err != nil {
		n.log(slog.LevelWarn, "partition not opened", slog.Int("partition", partition), slog.String("error", err.Error()))
		return nil, nil, err
	}
	n.log(slog.LevelInfo, "partition opened", slog.Int("partition", partition), slog.Duration("took", time.Since(began)))
	return loop, engine.over, nil
}

// endings is an engine that closes over when the one journal that it opens is
// closed.
type endings struct {
	journal.Engine
	over chan struct{}
}

func (e endings) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	if err != nil {
		return nil, err
	}
	return &ending{Journal: j, tell: sync.OnceFunc(func() { close(e.over) })}, nil
}

// An ending is a journal that tells when it is closed. A loop closes its journal
// when it ends.
type ending struct {
	journal.Journal
	tell func()
}

func (j *ending) Close(ctx context.Context) error {
	defer j.tell()
	return j.Journal.Close(ctx)
}

// start opens a partition, for the first time or again.
func (c *controller) start(p int) {
	k := c.keepers[p]
	if k == nil {
		k = &keeper{partition: p}
		c.keepers[p] = k
	}
	ctx, stop := context.WithCancel(c.ctx)
	k.state, k.stop, k.changed, k.err = Opening, stop, make(chan struct{}), nil
	go c.node.keep(ctx, k)
}

// stop closes a partition's loop. The claim is given up once that is closed.
func (c *controller) stop(k *keeper) {
	switch k.state {
	case Waiting:
		c.forget(k)
	case Opening, Open:
		k.stop()
		c.become(k, Closing)
	}
}

// become brings a keeper to a state other than Opening: calls no longer wait for it.
func (c *controller) become(k *keeper, to State) {
	if k.state == Opening {
		changed := k.changed
		c.after = append(c.after, func() { close(changed) })
	}
	k.state, k.loop = to, nil
	if to == Open {
		k.opened = time.Now()
	}
}

// forget forgets a keeper whose loop is closed.
func (c *controller) forget(k *keeper) {
	delete(c.keepers, k.partition)
	if c.mine(k.partition) {
		c.giveUp[k.partition] = true
		c.hasten()
	}
}

// hear takes note of a keeper's news.
func (c *controller) hear(n news) {
	k := n.keeper
	switch {
	case n.loop != nil && k.state == Opening:
		c.become(k, Open)
		k.loop = n.loop
	case n.loop != nil: // it was told to close meanwhile
	case k.state == Closing:
		k.stop()
		if c.closing && n.err != nil && !errors.Is(n.err, context.Canceled) && !errors.Is(n.err, journal.ErrFenced) {
			c.closeErrors = append(c.closeErrors, n.err)
		}
		c.forget(k)
	default:
		c.retry(k, n.err)
	}
}

// retry lets a keeper wait for its next opening: a third of a lease, and after each
// failure twice as long, up to 32 times that. So two members that take a partition from
// each other do so less and less often.
func (c *controller) retry(k *keeper, err error) {
	k.stop()
	shortest := c.node.opts.Lease / 3
	longest := 32 * shortest
	if k.state == Open && time.Since(k.opened) > 2*longest {
		k.delay = 0
	}
	k.delay = min(max(2*k.delay, shortest), longest)
	k.due = time.Now().Add(k.delay)
	c.become(k, Waiting)
	k.err = err
	switch {
	case c.node.opts.Directory == nil:
		c.reconcile() // which sets the timer
	case errors.Is(err, journal.ErrFenced):
		c.hasten() // to see who holds it
	}
}
