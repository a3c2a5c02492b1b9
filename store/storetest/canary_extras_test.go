package storetest_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// faultyExtra makes stores that keep all that a Loop has besides the ten
// operations.
func faultyExtra(spoil func(*loopstore.Loop) store.RuntimeStore) storetest.Factory {
	return storetest.Factory{Open: func(testing.TB) store.RuntimeStore { return spoil(loopstore.New(loopstore.Options{})) }}
}

// leavesHalf applies the writes in front of the one that it refuses, if there are many.
type leavesHalf struct{ *loopstore.Loop }

func (s leavesHalf) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	if err != nil && !errors.Is(err, store.ErrConflict) && !formatted(b) && len(b.Then) > 4 {
		for _, w := range b.Then {
			if _, failed := s.Loop.Commit(ctx, batch.Batch{If: b.If, Then: []batch.Write{w}}); failed != nil {
				break
			}
		}
	}
	return result, err
}

// checksBefore checks the conditions in one step and applies the writes in another.
type checksBefore struct{ *loopstore.Loop }

func (s checksBefore) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	if formatted(b) {
		return s.Loop.Commit(ctx, b)
	}
	if result, err := s.Loop.Commit(ctx, batch.Batch{If: b.If}); err != nil {
		return result, err
	}
	if len(b.If) > 0 {
		time.Sleep(time.Millisecond) // another call may come between
	}
	return s.Loop.Commit(ctx, batch.Batch{Then: b.Then})
}

// answersWithAnOldView shows the view of before, after a change of the runtime's
// state.
type answersWithAnOldView struct {
	*loopstore.Loop
	missed sync.Map // old views, by the version of the view that they replace
}

func (s *answersWithAnOldView) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	old, _ := s.Loop.View(ctx, id)
	err := s.Loop.PersistRuntimeState(ctx, id, state)
	if v, failed := s.Loop.View(ctx, id); err == nil && failed == nil && old != nil {
		s.missed.Store(v.Version(), old)
	}
	return err
}

func (s *answersWithAnOldView) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	v, err := s.Loop.View(ctx, id)
	if err == nil {
		if old, ok := s.missed.Load(v.Version()); ok {
			return old.(*state.View), nil
		}
	}
	return v, err
}

// returnsAStaleView has readers that ask the store only every second time.
func returnsAStaleView() storetest.Factory {
	f := faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return l })
	f.Reader = func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
		var last atomic.Pointer[state.View]
		return func(ctx context.Context) (*state.View, error) {
			if v := last.Swap(nil); v != nil {
				return v, nil
			}
			v, err := s.(state.Viewer).View(ctx, id)
			last.Store(v)
			return v, err
		}
	}
	return f
}

// missesChanges has a watch that waits for the next change after each view. It
// misses what changed while the caller held the view.
func missesChanges() storetest.Factory {
	f := faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return looksAway{l} })
	f.Timeout = 4 * time.Second // part of which is spent on waiting for what does not come
	return f
}

type looksAway struct{ *loopstore.Loop }

func (s looksAway) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*state.View, error] {
	return func(yield func(*state.View, error) bool) {
		for {
			for v, err := range s.Loop.Watch(ctx, id, after) {
				if !yield(v, err) || err != nil {
					return
				}
				break
			}
			if v, err := s.View(ctx, id); err == nil {
				after = v.Version()
			}
		}
	}
}
