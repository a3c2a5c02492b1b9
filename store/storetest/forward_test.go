package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestForwardIsAStore(t *testing.T) {
	with := func(_ testing.TB, opts loopstore.Options) store.RuntimeStore {
		l := loopstore.New(opts)
		return closing{func(ctx context.Context, call ops.Call) error { return call.On(ctx, l) }, l.Close}
	}
	storetest.Run(t, storetest.Factory{
		Open:     func(t testing.TB) store.RuntimeStore { return with(t, loopstore.Options{}) },
		OpenWith: with,
	})
}

// closing is a Forward with a Close.
type closing struct {
	ops.Forward
	close func() error
}

func (c closing) Close() error { return c.close() }

func TestForwardToAStoreWithoutBatchesAndViews(t *testing.T) {
	l := storetest.New(t)
	f := ops.Forward(func(ctx context.Context, call ops.Call) error {
		return call.On(ctx, struct{ store.RuntimeStore }{l})
	})
	_, err := f.Commit(t.Context(), batch.Batch{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = f.View(t.Context(), "a")
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// If the Forward fails after the call succeeded, the call's answer is not returned.
func TestForwardReturnsNothingWithAnError(t *testing.T) {
	l, refused := storetest.New(t), errors.New("refused")
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	f := ops.Forward(func(ctx context.Context, call ops.Call) error {
		return errors.Join(call.On(ctx, l), refused)
	})
	loaded, ok, err := f.LoadRuntimeState(t.Context(), "a")
	require.ErrorIs(t, err, refused)
	require.False(t, ok)
	require.Empty(t, loaded)
}

// A call that fails On one store, and is then made in steps.
func TestForwardInStepsAfterAFailedCall(t *testing.T) {
	s := new(state.State)
	s.PutRuntimeState("a", store.RuntimeIdle)
	s.Settle()
	far := loopstore.New(loopstore.Options{})
	require.NoError(t, far.Close())
	f := ops.Forward(func(ctx context.Context, c ops.Call) error {
		if err := c.On(ctx, far); !errors.Is(err, store.ErrClosed) {
			return err
		}
		if err := c.Prepare(s); err != nil {
			return err
		}
		return c.Apply(s)
	})
	got, ok, err := f.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, store.RuntimeIdle, got)
}
