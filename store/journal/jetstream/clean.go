package jetstream

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// A cleaning is what a partition knows of its compactions. One is under way at most, on a
// goroutine of its own, which ends with it.
type cleaning struct {
	one    chan struct{} // full while one is under way, and when the journal is closed
	open   context.Context
	close  context.CancelFunc
	again  time.Time // not by itself before; of whoever has the turn
	failed bool      // the last one; of whoever has the turn
}

func newCleaning() cleaning {
	open, cancel := context.WithCancel(context.Background())
	return cleaning{one: make(chan struct{}, 1), open: open, close: cancel}
}

// stopCleaning ends the one that is under way, and lets no other begin.
func (p *partition) stopCleaning() {
	if p.open.Err() == nil {
		p.close()
		p.one <- struct{}{}
	}
}

// What makes a compaction worthwhile by itself is that more is waste than stands, and at
// least leastWaste, or a quarter of what the stream may have. Who asks for one need not
// have as much.
const (
	leastWaste = 8 << 20
	askedWaste = 4 << 10
	cleanPause = time.Minute // after one that failed, and after one for want of room
)

// cleanIfWorth begins a compaction if there is enough waste. Where a stream has little
// room it begins sooner, but once a minute, unless a batch has only deleted. It needs the
// turn.
func (p *partition) cleanIfWorth(changes []journal.Change) {
	least := min(leastWaste, p.space.limits().bytes/4)
	worth := func(waste, standing int64) bool { return waste > standing && waste > least }
	standing := p.standing.bytes()
	waste := p.space.waste(standing)
	switch {
	case !worth(waste, standing) || p.failed && time.Now().Before(p.again):
	case waste > leastWaste || onlyDeletes(changes):
		p.startCleaning(worth)
	default:
		p.cleanIfFull()
	}
}

// cleanIfFull begins a compaction for want of room. It needs the turn.
func (p *partition) cleanIfFull() {
	least := max(askedWaste, p.space.limits().bytes/16)
	worth := func(waste, _ int64) bool { return waste > least }
	if worth(p.space.waste(p.standing.bytes()), 0) && time.Now().After(p.again) {
		p.again = time.Now().Add(cleanPause)
		p.startCleaning(worth)
	}
}

// startCleaning begins a compaction, unless one is under way.
func (p *partition) startCleaning(worth func(waste, standing int64) bool) {
	select {
	case p.one <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-p.one }()
		if err := p.clean(p.open, worth); err != nil && p.open.Err() == nil {
			p.engine.log(slog.LevelWarn, "journal: the stream was not compacted, what stands has not changed", "stream", p.name, "err", err)
		}
	}()
}

// Compact implements [journal.Journal]. It is CompactBeside.
func (p *partition) Compact(ctx context.Context, _ iter.Seq[journal.Change]) error {
	return p.CompactBeside(ctx)
}

// CompactBeside implements [journal.Beside], if at least a fifth of the stream is waste. If
// it ends early, only room is lost.
func (p *partition) CompactBeside(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case p.one <- struct{}{}:
	case <-p.open.Done():
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	done := make(chan error, 1)
	work, cancel := context.WithCancel(p.open)
	defer cancel()
	go func() {
		defer func() { <-p.one }()
		done <- p.clean(work, func(waste, standing int64) bool { return waste > askedWaste && 4*waste > standing })
	}()
	select {
	case err := <-done:
		if p.open.Err() != nil {
			return errClosed
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
