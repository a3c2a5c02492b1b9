package lincheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A follower reads the changes of a store while others call it. It stops at times, and goes on
// from its last cursor. What it must know in the end the audits show.
type follower struct {
	store  store.RuntimeStore
	rng    *rand.Rand
	cursor state.ChangeCursor
	last   uint64 // version of the last change
	known  map[store.RuntimeID]followed
	shown  int // changes so far
}

// A followed runtime is what a follower knows of one.
type followed struct {
	version uint64     // of its last change
	gone    bool       // that was its deletion
	seen    *model     // it, at a version that a view has shown; nothing if it was not there
	what    state.What // has changed since
}

// followerOf returns a follower of a history's store, nil if there is none: every other history
// has one, since it costs as much as a caller. An import makes cursors those of another store.
func followerOf(s store.RuntimeStore, cfg Config, can abilities, n int) *follower {
	if !can.follows || !cfg.spans || cfg.imports || n%2 > 0 {
		return nil
	}
	return &follower{store: s, rng: rand.New(rand.NewPCG(cfg.Seed, uint64(n))), known: make(map[store.RuntimeID]followed)}
}

// start follows the changes until stop is called, which returns what was wrong.
func (f *follower) start(ctx context.Context) (stop func() error) {
	if f == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f.follow(ctx, nil) }()
	return func() error {
		cancel()
		return <-done
	}
}

// follow reads changes until ctx ends, or it knows all that it must.
func (f *follower) follow(ctx context.Context, must map[store.RuntimeID]*state.View) error {
	for ctx.Err() == nil {
		if must != nil && f.missing(must) == nil {
			return nil
		}
		for change, err := range f.store.(state.Follower).Changes(ctx, f.cursor) {
			if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			if err == nil {
				err = f.take(ctx, change)
			}
			if err != nil {
				return fmt.Errorf("changes from cursor %q: %w", f.cursor, err)
			}
			if f.rng.IntN(4) == 0 || must != nil && f.missing(must) == nil {
				break
			}
		}
	}
	return nil
}

// take takes notice of a change. Its error is what is wrong with it.
func (f *follower) take(ctx context.Context, change state.Change) error {
	f.shown++
	f.cursor = change.Cursor
	at := f.known[change.RuntimeID]
	there := at.version > 0 && !at.gone
	switch {
	case change.Version < f.last || change.Version <= at.version:
		return fmt.Errorf("version %d of %s (%v) comes after version %d of it, and after version %d of another", change.Version, change.RuntimeID, change.What, at.version, f.last)
	case change.What == 0 || change.What.Has(state.RuntimeDeleted) && change.What != state.RuntimeDeleted:
		return fmt.Errorf("%q cannot be what has changed of %s", change.What, change.RuntimeID)
	case !there && !change.What.Has(state.RuntimeMade|state.RuntimeDeleted):
		return fmt.Errorf("version %d of %s (%v) comes without its being made", change.Version, change.RuntimeID, change.What)
	}
	f.last, at.version, at.gone = change.Version, change.Version, change.What == state.RuntimeDeleted
	at.what |= change.What
	if change.What.Has(state.RuntimeMade | state.RuntimeDeleted) {
		at.seen, at.what = nothing, change.What
	}
	f.known[change.RuntimeID] = at
	view, err := f.store.(state.Viewer).View(context.WithoutCancel(ctx), change.RuntimeID)
	if err != nil {
		return err
	}
	if view.Exists() && view.Version() < change.Version {
		return fmt.Errorf("version %d of %s (%v) comes before it is there: a view shows version %d", change.Version, change.RuntimeID, change.What, view.Version())
	}
	return f.see(view)
}

// see compares a runtime, as a view shows it, with what it was and what has changed since. It
// does nothing if the follower does not know of that version.
func (f *follower) see(view *state.View) error {
	id := view.RuntimeID()
	at := f.known[id]
	if at.gone || !view.Exists() || view.Version() != at.version {
		return nil
	}
	seen := stateOf(view)
	if at.seen != nil {
		if more := changed(at.seen, seen) &^ at.what; more != 0 {
			return fmt.Errorf("up to version %d of %s %q has changed, and not %q, which is\n\n\t%v\n\nand was\n\n\t%v", at.version, id, at.what, more, seen, at.seen)
		}
	}
	at.seen, at.what = seen, 0
	f.known[id] = at
	return nil
}

// changed returns what differs between two states of a runtime.
func changed(s, t *model) (what state.What) {
	same := func(a, b run) bool { return a.id == b.id && slices.Equal(a.receipts, b.receipts) }
	if s.status != t.status {
		what |= state.StateChanged
	}
	if !slices.EqualFunc(s.versions, t.versions, version.equal) {
		what |= state.SessionChanged
	}
	if !slices.Equal(s.inputs, t.inputs) || !slices.Equal(s.used, t.used) {
		what |= state.InputsChanged
	}
	if s.latest != t.latest || !slices.EqualFunc(s.runs, t.runs, same) {
		what |= state.ReceiptsChanged
	}
	return what
}

// audit reads on until the follower knows all that an audit shows. Its error is what it is not
// told. Then it goes on, or starts over.
func (f *follower) audit(ctx context.Context, audit []turn) error {
	if f == nil {
		return nil
	}
	must := make(map[store.RuntimeID]*state.View)
	for i := range audit {
		if t := &audit[i]; t.call.kind == ops.KindLoadView && t.call.by == byStore && t.err == nil {
			must[t.call.runtime] = t.reply.view
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := f.follow(ctx, must); err != nil {
		return err
	}
	if err := f.missing(must); err != nil {
		return fmt.Errorf("a follower of changes waits at cursor %q for %v, %w", f.cursor, limit, err)
	}
	for _, view := range must {
		if err := f.see(view); err != nil {
			return err
		}
	}
	switch f.rng.IntN(4) {
	case 0: // all that there is comes once more
		f.cursor, f.last = "", 0
		clear(f.known)
	case 1:
		var err error
		f.cursor, err = f.store.(state.Follower).ChangesCursor(ctx)
		return err
	}
	return nil
}

// missing says what the follower was not told of what there is.
func (f *follower) missing(must map[store.RuntimeID]*state.View) error {
	for _, id := range slices.Sorted(maps.Keys(must)) {
		at, is := f.known[id], must[id].Version()
		switch there := at.version > 0 && !at.gone; {
		case is == 0 && there:
			return fmt.Errorf("and misses that %s is deleted: it knows version %d", id, at.version)
		case is > 0 && (at.gone || at.version != is):
			return fmt.Errorf("and misses the last change of %s, version %d: it knows version %d", id, is, at.version)
		}
	}
	return nil
}
