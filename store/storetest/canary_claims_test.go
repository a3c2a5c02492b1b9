package storetest_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// faultyWith makes stores of which those are spoilt that have tombstones, or those that have
// none.
func faultyWith(tombstones bool, spoil func(*loopstore.Loop) store.RuntimeStore) storetest.Factory {
	f := faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return l })
	f.OpenWith = func(_ testing.TB, opts loopstore.Options) store.RuntimeStore {
		l := loopstore.New(opts)
		if opts.Tombstones.IsZero() == tombstones {
			return l
		}
		return spoil(l)
	}
	return f
}

// passesOverConditions applies a lifecycle commit whatever its conditions say.
type passesOverConditions struct{ *loopstore.Loop }

func (s passesOverConditions) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	c.If = nil
	return s.Loop.AtomicLifecycleCommit(ctx, id, c)
}

// takesAnyClaim takes a fence for the condition that the input is claimed, by anybody.
type takesAnyClaim struct{ *loopstore.Loop }

func (s takesAnyClaim) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	if !errors.Is(err, store.ErrConflict) || len(b.If) != 1 {
		return result, err
	}
	fence, ok := b.If[0].(batch.InputVersionIs)
	if !ok || fence.Version == 0 || len(b.Then) == 0 {
		return result, err
	}
	claimed := batch.InputIn(fence.RuntimeID, fence.InputID, store.InputStaged)
	if again, failed := s.Loop.Commit(ctx, batch.Batch{If: []batch.Condition{claimed}, Then: b.Then}); failed == nil {
		return again, nil
	}
	return result, err
}

// importsVersionsAnew numbers the inputs of an import by the revisions of the import.
type importsVersionsAnew struct{ *loopstore.Loop }

func (s importsVersionsAnew) LoadInput(ctx context.Context, id store.RuntimeID, input store.InputID) (state.Input, bool, error) {
	in, ok, err := s.Loop.LoadInput(ctx, id, input)
	in.Version &= 1<<32 - 1
	return in, ok, err
}

// forgetsAKey does not keep the key of an input that is deleted.
type forgetsAKey struct{ *loopstore.Loop }

func (s forgetsAKey) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	if err != nil || len(b.Then) != 1 {
		return result, err
	}
	if removes, ok := b.Then[0].(batch.DeleteInputState); ok {
		_, _ = s.Prune(context.WithoutCancel(ctx), removes.RuntimeID, store.Retention{Keys: store.Keep{For: time.Nanosecond}})
	}
	return result, err
}

// revives makes a runtime again that was deleted.
type revives struct{ *loopstore.Loop }

func (s revives) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	err := s.Loop.PersistRuntimeState(ctx, id, state)
	if errors.Is(err, store.ErrDeleted) {
		_, err = s.Commit(ctx, batch.Batch{Then: []batch.Write{batch.ReviveRuntime{RuntimeID: id}, batch.PutRuntimeState{RuntimeID: id, State: state}}})
	}
	return err
}

// startsAgain begins runs at 0 that a revived runtime had before.
type startsAgain struct{ *loopstore.Loop }

func (s startsAgain) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	v, err := s.View(ctx, id)
	if err != nil {
		return store.RunBoundaryReceipt{}, err
	}
	if _, revived := v.SequenceFloor(); revived {
		if _, had := v.HighestSequence(c.RunID); !had {
			receipt := store.RunBoundaryReceipt{RunID: c.RunID, Boundary: c.Boundary, MessageCount: 1}
			return receipt, s.AtomicApply(ctx, id, store.BoundaryApply{Session: &c.Session, Receipt: receipt, InputUpdates: c.InputUpdates})
		}
	}
	return s.Loop.CommitSessionBoundary(ctx, id, c)
}

// countsPages begins a page where as many are before it as were listed, whatever has gone
// since.
type countsPages struct{ *loopstore.Loop }

func (s countsPages) Runtimes(ctx context.Context, l state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	limit := l.Limit
	if l.ByActivity || limit <= 0 || limit > state.MaxPage {
		return s.Loop.Runtimes(ctx, l)
	}
	return func(yield func(state.RuntimeSummary, error) bool) {
		for listed := 0; ; listed += limit {
			var page []state.RuntimeSummary
			before := 0
			for summary, err := range s.Loop.Runtimes(ctx, l) {
				if err != nil {
					yield(summary, err)
					return
				}
				if before++; before > listed && len(page) < limit {
					page = append(page, summary)
				}
			}
			for _, summary := range page {
				if !yield(summary, nil) {
					return
				}
			}
			if len(page) < limit {
				return
			}
		}
	}
}

// addsLabels leaves the labels that are not replaced.
type addsLabels struct{ *loopstore.Loop }

func (s addsLabels) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	if len(b.Then) == 1 {
		if put, ok := b.Then[0].(batch.PutLabels); ok && len(put.Labels) == 0 {
			v, err := s.View(ctx, put.RuntimeID)
			if err != nil {
				return batch.Result{}, err
			}
			put.Labels = v.Summary().Labels
			return s.Loop.Commit(ctx, batch.Batch{If: b.If, Then: []batch.Write{put}})
		}
	}
	return s.Loop.Commit(ctx, b)
}
