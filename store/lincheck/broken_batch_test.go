package lincheck_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// A lazy reader keeps a view for a millisecond.
func lazyReader(s store.RuntimeStore, id store.RuntimeID) lincheck.Look {
	type kept struct {
		view  *state.View
		until time.Time
	}
	var last atomic.Pointer[kept]
	inner := reader(s, id)
	return func(ctx context.Context) (*state.View, error) {
		if k := last.Load(); k != nil && time.Now().Before(k.until) {
			return k.view, nil
		}
		v, err := inner(ctx)
		if err == nil {
			last.Store(&kept{v, time.Now().Add(time.Millisecond)})
		}
		return v, err
	}
}

func TestStaleViewsAreCaught(t *testing.T) {
	l := &listener{T: t}
	said := said(l, l, plain, lincheck.Config{Histories: 2, Reader: lazyReader})
	assert.Contains(t, said, "not linearizable")
	assert.Regexp(t, `load_view\(runtime-\d, (shared|own) reader\)`, said)
}

// A halving store commits the last write of a batch in a step of its own, if that is on
// a runtime which the others do not write.
type halving struct{ *loopstore.Loop }

func (s halving) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	n := len(b.Then)
	if n < 2 || !plainWrite(b.Then[n-1]) {
		return s.Loop.Commit(ctx, b)
	}
	last := b.Then[n-1].(batch.PutSnapshot).RuntimeID
	for _, w := range b.Then[:n-1] {
		if !plainWrite(w) || w.(batch.PutSnapshot).RuntimeID == last {
			return s.Loop.Commit(ctx, b)
		}
	}
	if _, err := s.Loop.Commit(ctx, batch.Batch{If: b.If, Then: b.Then[:n-1]}); err != nil {
		return batch.Result{}, err
	}
	runtime.Gosched()
	return s.Loop.Commit(context.WithoutCancel(ctx), batch.Batch{Then: b.Then[n-1:]})
}

// plainWrite is true for a write that is never refused.
func plainWrite(w batch.Write) bool {
	put, ok := w.(batch.PutSnapshot)
	return ok && put.Format == store.FormatUnset && !put.Append
}

func TestHalfSeenBatchIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return halving{l} })
}

// A checking store checks the conditions in one step and applies the writes in another.
// It does so only where no write can be refused: otherwise the order of the errors would
// give it away.
type checking struct{ *loopstore.Loop }

func (s checking) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	refusable := slices.ContainsFunc(b.Then, func(w batch.Write) bool {
		switch w.(type) {
		case batch.DeleteRuntime, batch.DeleteInputState, batch.PutReceipt:
			return false
		}
		return !plainWrite(w)
	})
	if refusable {
		return s.Loop.Commit(ctx, b)
	}
	if _, err := s.Loop.Commit(ctx, batch.Batch{If: b.If}); err != nil {
		return batch.Result{}, err
	}
	runtime.Gosched()
	return s.Loop.Commit(ctx, batch.Batch{Then: b.Then})
}

func TestCheckThenActIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return checking{l} })
}

// A leaving store keeps the writes in front of one that is refused.
type leaving struct{ *loopstore.Loop }

func (s leaving) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	if write, ok := errors.AsType[*batch.WriteError](err); ok {
		_, _ = s.Loop.Commit(context.WithoutCancel(ctx), batch.Batch{Then: b.Then[:write.Index]})
	}
	return result, err
}

func TestLeftWritesAreCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return leaving{l} })
}
