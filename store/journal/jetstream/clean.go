package jetstream

import (
	"context"
	"errors"
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

// A worth says whether a compaction is worth it: for what it would give back, and the bytes
// that stand.
type worth func(waste amount, standing int64) bool

const (
	leastWaste  = 8 << 20 // bytes, for a compaction by itself
	leastWasted = 1 << 16 // messages
	askedWaste  = 4 << 10 // bytes, for one that is asked for
	cleanPause  = time.Minute
)

// cleanIfWorth begins a compaction by itself, if more is waste than stands. After one that
// has failed it waits for a minute. It needs the turn.
func (p *partition) cleanIfWorth(changes []journal.Change) {
	standing := p.standing.bytes()
	waste := p.space.waste(standing)
	switch {
	case p.failed && time.Now().Before(p.again):
	case p.worthOf(1)(waste, standing):
		p.startCleaning(p.worthOf(1))
	case !p.worthOf(4)(waste, standing):
	case onlyDeletes(changes):
		p.startCleaning(p.worthOf(4))
	default:
		p.cleanAtTimes(p.worthOf(4))
	}
}

// worthOf is worth it if more is waste than stands, and as much as makes it worthwhile at
// any time; or that part of the stream's limits, in a small stream.
func (p *partition) worthOf(part int64) worth {
	limits := p.space.limits()
	least := amount{min(leastWaste, limits.bytes/part), min(leastWasted, limits.messages/part)}
	return func(waste amount, standing int64) bool {
		return waste.bytes > standing && waste.bytes > least.bytes || limits.messages < endless && waste.messages > least.messages
	}
}

// cleanIfFull begins a compaction because a batch was refused for want of room. It needs
// the turn.
func (p *partition) cleanIfFull() {
	limits := p.space.limits()
	some := func(waste amount, _ int64) bool {
		return waste.bytes > max(askedWaste, limits.bytes/16) || waste.messages > limits.messages/16
	}
	if some(p.space.waste(p.standing.bytes()), 0) {
		p.cleanAtTimes(some)
	}
}

// cleanOpened begins a compaction that earlier holders had reason for, or have given it
// with the entries of their epochs.
func (p *partition) cleanOpened() {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.cleanIfWorth(nil); !p.space.kept().within(p.space.left()) {
		p.cleanIfFull()
	}
}

// cleanAtTimes begins a compaction, at most once a minute.
func (p *partition) cleanAtTimes(worth worth) {
	if time.Now().After(p.again) {
		p.again = time.Now().Add(cleanPause)
		p.startCleaning(worth)
	}
}

// startCleaning begins a compaction, unless one is under way.
func (p *partition) startCleaning(worth worth) {
	select {
	case p.one <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-p.one }()
		if err := p.clean(p.open, worth); err != nil && p.open.Err() == nil && !errors.Is(err, journal.ErrFenced) {
			p.engine.log(slog.LevelWarn, "journal: the stream was not compacted, what stands has not changed", slog.String("stream", p.name), slog.Any("err", err))
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
		done <- p.clean(work, func(waste amount, standing int64) bool {
			return waste.bytes > askedWaste && 4*waste.bytes > standing || waste.messages > p.space.limits().messages/16
		})
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
