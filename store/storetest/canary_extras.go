package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// extraCanaries are wrong in what a Loop has besides the ten operations.
func extraCanaries() []Canary {
	return []Canary{
		{"leaves half of a refused batch", "batches", "a batch of which a later write is refused changes nothing",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return leavesHalf{l} })},
		{"checks conditions before the batch", "batches", "an input is claimed once, whoever else wants it",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return checksBefore{l} })},
	}
}

func faultyExtra(spoil func(*loopstore.Loop) store.RuntimeStore) Factory {
	return Factory{Open: func(testing.TB) store.RuntimeStore { return spoil(loopstore.New(loopstore.Options{})) }}
}

// leavesHalf does the writes that come before the one that it refuses.
type leavesHalf struct{ *loopstore.Loop }

func (s leavesHalf) Commit(ctx context.Context, b store.Batch) (store.BatchResult, error) {
	result, err := s.Loop.Commit(ctx, b)
	if err != nil && !errors.Is(err, store.ErrConflict) {
		for _, w := range b.Then {
			if _, failed := s.Loop.Commit(ctx, store.Batch{If: b.If, Then: []store.Write{w}}); failed != nil {
				break
			}
		}
	}
	return result, err
}

// checksBefore checks, and then acts.
type checksBefore struct{ *loopstore.Loop }

func (s checksBefore) Commit(ctx context.Context, b store.Batch) (store.BatchResult, error) {
	if result, err := s.Loop.Commit(ctx, store.Batch{If: b.If}); err != nil {
		return result, err
	}
	if len(b.If) > 0 {
		time.Sleep(time.Millisecond) // the window for another call
	}
	return s.Loop.Commit(ctx, store.Batch{Then: b.Then})
}
