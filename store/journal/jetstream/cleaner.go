package jetstream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// A cleaner is one compaction. It reads the entries from the horizon on, and writes again
// what stands in them, a copy at a time. When all of an entry that stands is copied the
// horizon moves behind it, with the next entry that is stored, and what is before a stored
// horizon is removed. So it needs room for a copy and the largest entry, and wherever it
// ends, everything stands.
type cleaner struct {
	p       *partition
	pending []pending // to be copied next
	size    int       // bytes of these
	most    int       // bytes of a copy
	cleaned uint64    // once they are copied, nothing before this sequence is needed
	read    int64     // bytes since room was given back
	give    int64     // bytes after which it is
}

// A pending change is to be copied, if it still stands in the entry at the sequence then.
type pending struct {
	sequence uint64
	journal.Change
}

const mostGive = 8 << 20

// clean makes a compaction, if it is worth it.
func (p *partition) clean(ctx context.Context, worth worth) (err error) {
	defer func() {
		p.turn <- struct{}{}
		if p.failed = err != nil && ctx.Err() == nil; p.failed {
			p.again = time.Now().Add(cleanPause)
		}
		<-p.turn
	}()
	if err := p.removeUnneeded(ctx); err != nil { // nothing is copied where nothing can be removed
		return err
	}
	c := &cleaner{p: p}
	h := history{whole: func(sequence uint64, changes []journal.Change, size int) error {
		return c.take(ctx, sequence, changes, size)
	}}
	if !c.begin(&h, worth) {
		return nil
	}
	if err := p.read(ctx, &h); err != nil {
		return err
	}
	if err := c.giveBack(ctx); err != nil {
		return err
	}
	p.turn <- struct{}{}
	p.space.largest = p.space.latest
	<-p.turn
	return nil
}

// begin says which entries are read, and reports whether that is worth it.
func (c *cleaner) begin(h *history, worth worth) bool {
	p := c.p
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	h.next, h.end = p.horizon, p.last
	c.cleaned, c.most, c.give = p.horizon, p.space.copySize(), min(mostGive, p.space.limits().bytes/16)
	standing := p.standing.bytes()
	if !worth(p.space.waste(standing), standing) {
		return false
	}
	p.space.latest = 0
	return true
}

// take takes from an entry what stands in it.
func (c *cleaner) take(ctx context.Context, sequence uint64, changes []journal.Change, size int) error {
	for _, change := range c.p.standing.in(sequence, changes) {
		n := changeSize(change)
		if len(c.pending) > 0 && c.size+n > c.most {
			if err := c.copy(ctx); err != nil {
				return err
			}
		}
		change.Key, change.Value = bytes.Clone(change.Key), bytes.Clone(change.Value)
		c.pending = append(c.pending, pending{sequence, change})
		c.size += n
	}
	c.cleaned = sequence + 1
	if c.read += int64(size) + c.p.entrySize(); c.read < c.give {
		return nil
	}
	return c.giveBack(ctx)
}

// copy copies what is pending, and moves the horizon. If there is no room it first gives
// some back.
func (c *cleaner) copy(ctx context.Context) error {
	err := c.copyOnce(ctx)
	if full, ok := errors.AsType[*FullError](err); ok && full.cause == nil {
		if err := c.p.removeUnneeded(ctx); err != nil {
			return err
		}
		err = c.copyOnce(ctx)
	}
	return err
}

// copyOnce has the turn from where it looks what still stands until that is copied, so a
// copy never brings back what was replaced or deleted.
func (c *cleaner) copyOnce(ctx context.Context) error {
	p := c.p
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if err := cmp.Or(context.Cause(ctx), p.finished()); err != nil {
		return err
	}
	if changes := c.standing(); len(changes) > 0 {
		r := entry{kind: kindCopy, position: p.Position, id: newID(), body: encodeChanges(changes)}
		a, err := p.attempt(r)
		if err == nil {
			err = p.admitCopy(ctx, a)
		}
		if err == nil {
			err = p.store(p.open, a, r) // no end of a call leaves it open
		}
		if err != nil {
			return err
		}
		p.standing.apply(p.last, changes)
	}
	p.horizon = max(p.horizon, c.cleaned)
	clear(c.pending)
	c.pending, c.size = c.pending[:0], 0
	return nil
}

// standing returns which pending changes still stand where they were read.
func (c *cleaner) standing() (changes []journal.Change) {
	for _, change := range c.pending {
		if c.p.standing.holds(change.Key, change.sequence) {
			changes = append(changes, change.Change)
		}
	}
	return changes
}

// giveBack copies what is pending, and gives back the room of all that was copied.
func (c *cleaner) giveBack(ctx context.Context) error {
	c.read = 0
	if err := c.copy(ctx); err != nil {
		return err
	}
	return c.p.removeUnneeded(ctx)
}

// removeUnneeded lets the servers remove what is before the horizon, once that is stored,
// and asks how much room there is then.
func (p *partition) removeUnneeded(ctx context.Context) error {
	unneeded, horizon, err := p.storeHorizon(ctx)
	if err != nil || !unneeded {
		return err
	}
	if err := p.purge(ctx, horizon); err != nil {
		return err
	}
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	return p.askSpace(ctx)
}

// storeHorizon stores the horizon if the last entry has an earlier one. It reports whether
// the stream has something before it.
func (p *partition) storeHorizon(ctx context.Context) (unneeded bool, horizon uint64, err error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if err := p.finished(); err != nil {
		return false, 0, err
	}
	if p.stored < p.horizon {
		err = p.write(p.open, entry{kind: kindHorizon, position: p.Position, id: newID()})
	}
	if err == nil {
		err = p.askSpace(ctx)
	}
	return p.space.first < p.horizon, p.horizon, err
}

// purge lets the servers remove what is before a horizon that is stored.
func (p *partition) purge(ctx context.Context, horizon uint64) error {
	_, err := persist(ctx, p.engine, func(ctx context.Context) (any, error) {
		return nil, p.stream.Purge(ctx, js.WithPurgeSequence(horizon))
	})
	if err != nil {
		return fmt.Errorf("removing what is no longer needed: %w", err)
	}
	return nil
}
