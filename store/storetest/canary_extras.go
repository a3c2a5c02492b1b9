package storetest

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
)

// extraCanaries are wrong in what a Loop has besides the ten operations.
func extraCanaries() []Canary {
	return []Canary{
		{"leaves half of a refused batch", "batches", "a batch of which a later write is refused changes nothing",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return leavesHalf{l} })},
		{"checks conditions before the batch", "batches", "an input is claimed once, whoever else wants it",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return checksBefore{l} })},
		{"answers with an old view", "views", "a view shows what the operations find",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return &answersWithAnOldView{Loop: l} })},
		{"returns a stale view", "readers", "a reader shows what the operations find", returnsAStaleView()},
		{"misses what changes meanwhile", "watching", "a watcher that takes its time delays no writer", missesChanges()},
	}
}

func faultyExtra(spoil func(*loopstore.Loop) store.RuntimeStore) Factory {
	return Factory{Open: func(testing.TB) store.RuntimeStore { return spoil(loopstore.New(loopstore.Options{})) }}
}

// leavesHalf does the writes that come before the one that it refuses.
type leavesHalf struct{ *loopstore.Loop }

func (s leavesHalf) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	if err != nil && !errors.Is(err, store.ErrConflict) {
		for _, w := range b.Then {
			if _, failed := s.Loop.Commit(ctx, batch.Batch{If: b.If, Then: []batch.Write{w}}); failed != nil {
				break
			}
		}
	}
	return result, err
}

// checksBefore checks, and then acts.
type checksBefore struct{ *loopstore.Loop }

func (s checksBefore) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	if result, err := s.Loop.Commit(ctx, batch.Batch{If: b.If}); err != nil {
		return result, err
	}
	if len(b.If) > 0 {
		time.Sleep(time.Millisecond) // the window for another call
	}
	return s.Loop.Commit(ctx, batch.Batch{Then: b.Then})
}

// answersWithAnOldView takes a change of the runtime's state for none.
type answersWithAnOldView struct {
	*loopstore.Loop
	missed sync.Map // by the version that each stands for
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

// returnsAStaleView has readers that ask every second time only.
func returnsAStaleView() Factory {
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

// missesChanges has a watch that waits for the next change after a view was
// looked at, whatever has changed meanwhile.
func missesChanges() Factory {
	f := faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return looksAway{l} })
	f.Timeout = 4 * time.Second // of which what does not come takes a part
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
