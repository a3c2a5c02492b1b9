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

// A keeper is a partition that this member has, or is giving up. It belongs to
// the node's owner; a goroutine of its own opens the loop, waits for its end and
// closes it, so that none of this holds up a beat.
type keeper struct {
	partition int
	state     State // Opening, Open, Closing or Waiting
	loop      *loopstore.Loop
	stop      context.CancelFunc
	changed   chan struct{} // closed when it is not Opening any more

	err    error         // why it is Waiting
	delay  time.Duration // that comes before the next opening
	due    time.Time     // of it
	opened time.Time
}

// news is what a keeper's goroutine tells the owner.
type news struct {
	keeper *keeper
	loop   *loopstore.Loop // that is open now, nil if it is over
	err    error
}

// keep is the goroutine of a keeper. It ends when it has told that it is over.
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
// has ended, for whatever reason.
func (n *Node) open(ctx context.Context, partition int) (loop *loopstore.Loop, over <-chan struct{}, err error) {
	select {
	case n.turns <- struct{}{}:
		defer func() { <-n.turns }()
	case <-ctx.Done():
		return nil, nil, ended(ctx)
	}
	began, engine := time.Now(), endings{n.opts.Engine, make(chan struct{})}
	opts := n.opts.Loop
	opts.Journal, opts.Partition = engine, PartitionName(n.opts.Cluster, partition)
	if loop, err = loopstore.Open(ctx, opts); err != nil {
		n.log(slog.LevelWarn, "partition not opened", slog.Int("partition", partition), slog.String("error", err.Error()))
		return nil, nil, err
	}
	n.log(slog.LevelInfo, "partition opened", slog.Int("partition", partition), slog.Duration("took", time.Since(began)))
	return loop, engine.over, nil
}

// endings is an engine that tells of the end of the one journal that it opens.
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

// An ending is a journal that tells when it is closed: a loop closes it when it
// ends.
type ending struct {
	journal.Journal
	tell func()
}

func (j *ending) Close(ctx context.Context) error {
	defer j.tell()
	return j.Journal.Close(ctx)
}

// start opens a partition, for the first time or again.
func (o *owner) start(p int) {
	k := o.keepers[p]
	if k == nil {
		k = &keeper{partition: p}
		o.keepers[p] = k
	}
	ctx, stop := context.WithCancel(o.ctx)
	k.state, k.stop, k.changed, k.err = Opening, stop, make(chan struct{}), nil
	go o.node.keep(ctx, k)
}

// stop closes a partition's loop. What it has claimed is given up when that is
// closed.
func (o *owner) stop(k *keeper) {
	switch k.state {
	case Waiting:
		o.gone(k)
	case Opening, Open:
		k.stop()
		o.leaving(k, Closing)
	}
}

// leaving brings a keeper to a state in which calls wait for it no more.
func (o *owner) leaving(k *keeper, to State) {
	if k.state == Opening {
		changed := k.changed
		o.after = append(o.after, func() { close(changed) })
	}
	k.state, k.loop = to, nil
	if to == Open {
		k.opened = time.Now()
	}
}

// gone forgets a keeper that has nothing open.
func (o *owner) gone(k *keeper) {
	delete(o.keepers, k.partition)
	if o.mine(k.partition) {
		o.giveUp[k.partition] = true
		o.hasten()
	}
}

// hear takes the news of a keeper.
func (o *owner) hear(n news) {
	k := n.keeper
	switch {
	case n.loop != nil && k.state == Opening:
		o.leaving(k, Open)
		k.loop = n.loop
	case n.loop != nil: // it is closed already
	case k.state == Closing:
		k.stop()
		if o.closing && n.err != nil && !errors.Is(n.err, context.Canceled) && !errors.Is(n.err, journal.ErrFenced) {
			o.closeErrors = append(o.closeErrors, n.err)
		}
		o.gone(k)
	default:
		o.retry(k, n.err)
	}
}

// longestDelay is how many beats there are, at most, between two openings of a
// partition that fails, or is taken away, again and again.
const longestDelay = 32

// retry lets a keeper wait for its next opening, the longer the more often it
// fails. So two members that take a partition away from each other do it ever
// more seldom.
func (o *owner) retry(k *keeper, err error) {
	k.stop()
	longest := longestDelay * o.node.opts.beat()
	if k.state == Open && time.Since(k.opened) > 2*longest {
		k.delay = 0
	}
	k.delay = min(max(2*k.delay, o.node.opts.beat()), longest)
	k.due = time.Now().Add(k.delay)
	o.leaving(k, Waiting)
	k.err = err
	switch {
	case o.node.opts.Directory == nil:
		o.settle() // and so set the timer
	case errors.Is(err, journal.ErrFenced):
		o.hasten() // to see who has it
	}
}
