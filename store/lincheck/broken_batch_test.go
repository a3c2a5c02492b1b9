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

// A halving store commits what a batch writes on its first runtime, and then
// what it writes on others.
type halving struct{ *loopstore.Loop }

func (s halving) Commit(ctx context.Context, batch batch.Batch) (batch.Result, error) {
	n := len(batch.Then)
	if n < 2 || !plainWrite(batch.Then[n-1]) {
		return s.Loop.Commit(ctx, batch)
	}
	last := batch.Then[n-1].(batch.PutSnapshot).RuntimeID
	for _, w := range batch.Then[:n-1] {
		if !plainWrite(w) || w.(batch.PutSnapshot).RuntimeID == last {
			return s.Loop.Commit(ctx, batch)
		}
	}
	if _, err := s.Loop.Commit(ctx, batch.Batch{If: batch.If, Then: batch.Then[:n-1]}); err != nil {
		return batch.Result{}, err
	}
	runtime.Gosched()
	return s.Loop.Commit(context.WithoutCancel(ctx), batch.Batch{Then: batch.Then[n-1:]})
}

// plainWrite is true for a write that is always done.
func plainWrite(w batch.Write) bool {
	_, ok := w.(batch.PutSnapshot)
	return ok
}

func TestHalfSeenBatchIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return halving{l} })
}

// A checking store checks the conditions, and then applies the writes. It leaves
// batches alone that could be refused for their writes, or it would be found out
// by the order of the errors.
type checking struct{ *loopstore.Loop }

func (s checking) Commit(ctx context.Context, batch batch.Batch) (batch.Result, error) {
	refusable := slices.ContainsFunc(batch.Then, func(w batch.Write) bool {
		switch w.(type) {
		case batch.DeleteRuntime, batch.DeleteInputState, batch.PutSnapshot, batch.PutReceipt:
			return false
		}
		return true
	})
	if refusable {
		return s.Loop.Commit(ctx, batch)
	}
	if _, err := s.Loop.Commit(ctx, batch.Batch{If: batch.If}); err != nil {
		return batch.Result{}, err
	}
	runtime.Gosched()
	return s.Loop.Commit(ctx, batch.Batch{Then: batch.Then})
}

func TestCheckThenActIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return checking{l} })
}

// A leaving store leaves the writes before one that cannot be done.
type leaving struct{ *loopstore.Loop }

func (s leaving) Commit(ctx context.Context, batch batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, batch)
	if write, ok := errors.AsType[*batch.WriteError](err); ok {
		_, _ = s.Loop.Commit(context.WithoutCancel(ctx), batch.Batch{Then: batch.Then[:write.Index]})
	}
	return result, err
}

func TestLeftWritesAreCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return leaving{l} })
}
