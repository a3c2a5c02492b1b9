package storetest_test

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// givesTwice answers a claim with what another caller has, if there are several.
type givesTwice struct {
	*loopstore.Loop
	callers atomic.Int64
	last    atomic.Pointer[state.Claimed]
}

func (s *givesTwice) ClaimNext(ctx context.Context, c store.Claim) (state.Claimed, error) {
	s.callers.Add(1)
	defer s.callers.Add(-1)
	got, err := s.Loop.ClaimNext(ctx, c)
	if err == nil {
		if last := s.last.Swap(&got); last != nil && s.callers.Load() > 1 {
			return *last, nil
		}
	}
	return got, err
}

// favours claims from the runtime that was served last, as long as an input of it is queued:
// before its turn, or during one that it has.
type favours struct {
	*loopstore.Loop
	during bool
	last   atomic.Pointer[store.RuntimeID]
}

func (s *favours) ClaimNext(ctx context.Context, c store.Claim) (state.Claimed, error) {
	if last := s.last.Load(); last != nil {
		if got, ok := s.again(ctx, c, *last); ok {
			return got, nil
		}
	}
	got, err := s.Loop.ClaimNext(ctx, c)
	if err == nil {
		s.last.Store(&got.RuntimeID)
	}
	return got, err
}

func (s *favours) again(ctx context.Context, c store.Claim, id store.RuntimeID) (got state.Claimed, ok bool) {
	v, err := s.View(ctx, id)
	if err != nil {
		return got, false
	}
	counts := v.CountInputStates()
	if s.during != (counts[store.InputStaged]+counts[store.InputAppliedPendingConsumption] > 0) {
		return got, false
	}
	for in := range v.Inputs() {
		moved := in.State
		if moved.CurrentState != store.InputQueued || moved.Move(c.To, store.TimeOf(time.Now()), "") != nil {
			continue
		}
		result, err := s.Commit(ctx, batch.Batch{
			If:   []batch.Condition{batch.InputVersionIs{RuntimeID: id, InputID: moved.InputID, Version: in.Version}},
			Then: []batch.Write{batch.PutInputState{RuntimeID: id, State: moved}},
		})
		return state.Claimed{RuntimeID: id, Input: state.Input{State: moved, Version: result.Revision}}, err == nil
	}
	return got, false
}

// losesClaims has claims go on that their callers gave up.
type losesClaims struct{ *loopstore.Loop }

func (s losesClaims) ClaimNext(ctx context.Context, c store.Claim) (state.Claimed, error) {
	if ctx.Err() != nil {
		return state.Claimed{}, ctx.Err()
	}
	var got state.Claimed
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = s.Loop.ClaimNext(context.WithoutCancel(ctx), c)
	}()
	select {
	case <-done:
		return got, err
	case <-ctx.Done():
		return state.Claimed{}, ctx.Err()
	}
}

// losesClaimsSoon spends less time on waiting for what does not come.
func losesClaimsSoon() storetest.Factory {
	f := faultyWith(false, func(l *loopstore.Loop) store.RuntimeStore { return losesClaims{l} })
	f.Timeout = 4 * time.Second
	return f
}

// A spoilt feed follows what a Loop loads, and has a fault.
type spoiltFeed struct {
	*loopstore.Loop
	looksAway bool                                                                // from what changes while it yields
	spoil     func(c *state.Change, before, last state.ChangeCursor) (shown bool) // before stands before c, and last after all that were loaded
}

func (s spoiltFeed) Changes(ctx context.Context, after state.ChangeCursor) iter.Seq2[state.Change, error] {
	return func(yield func(state.Change, error) bool) {
		for {
			found, err := loopstore.Do(ctx, s.Loop, ops.LoadChanges{After: after})
			for c := range found.All() {
				own := c.Cursor
				if s.spoil(&c, after, found.Next()) && !yield(c, nil) {
					return
				}
				after = own
			}
			if after = found.Next(); s.looksAway && err == nil {
				after, err = s.ChangesCursor(ctx)
			}
			if err != nil {
				yield(state.Change{}, err)
				return
			}
			select {
			case <-found.More():
			case <-ctx.Done():
			}
		}
	}
}

func onAFeed(looksAway bool, spoil func(c *state.Change, before, last state.ChangeCursor) (shown bool)) storetest.Factory {
	f := faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return spoiltFeed{l, looksAway, spoil} })
	f.Timeout = 4 * time.Second // part of which is spent on waiting for what does not come
	return f
}

func feedCanaries() []canary {
	return []canary{
		{"misses the last change", "following", "a change that comes while the caller holds another is seen next",
			onAFeed(true, func(*state.Change, state.ChangeCursor, state.ChangeCursor) bool { return true })},
		{"misses a deletion", "following", "a deletion comes, and a runtime that was deleted and made again is made",
			onAFeed(false, func(c *state.Change, _, _ state.ChangeCursor) bool { return c.What != state.RuntimeDeleted })},
		{"yields cursors that skip", "following", "a cursor goes on after its change, and misses none",
			onAFeed(false, func(c *state.Change, _, last state.ChangeCursor) bool { c.Cursor = last; return true })},
		{"shows a change after its cursor", "following", "a cursor goes on after its change, and misses none",
			onAFeed(false, func(c *state.Change, before, _ state.ChangeCursor) bool { c.Cursor = before; return true })},
		{"says that all has changed", "following", "a change says what has changed",
			onAFeed(false, func(c *state.Change, _, _ state.ChangeCursor) bool {
				if c.What != state.RuntimeDeleted {
					c.What = state.RuntimeMade | state.StateChanged | state.SessionChanged | state.InputsChanged | state.ReceiptsChanged | state.LabelsChanged
				}
				return true
			})},
	}
}

func queueCanaries() []canary {
	return []canary{
		{"gives an input twice", "claiming", "of many claims each input is claimed by one",
			faultyWith(false, func(l *loopstore.Loop) store.RuntimeStore { return &givesTwice{Loop: l} })},
		{"gives a second turn", "claiming", "a runtime has one turn at a time",
			faultyWith(false, func(l *loopstore.Loop) store.RuntimeStore { return &favours{Loop: l, during: true} })},
		{"starves a runtime", "claiming", "no runtime waits while another has two turns",
			faultyWith(false, func(l *loopstore.Loop) store.RuntimeStore { return &favours{Loop: l} })},
		{"loses a claim to a waiter that has gone", "claiming", "a claim that its caller gave up takes nothing", losesClaimsSoon()},
	}
}
