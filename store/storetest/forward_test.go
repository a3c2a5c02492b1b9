package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestForwardIsAStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{Open: func(testing.TB) store.RuntimeStore {
		l := loopstore.New(loopstore.Options{})
		return closing{func(ctx context.Context, call ops.Call) error { return call.On(ctx, l) }, l.Close}
	}})
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
