package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestForwardIsAStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{Open: func(testing.TB) store.RuntimeStore {
		l := loopstore.New(loopstore.Options{})
		return closing{func(_ context.Context, call func(store.RuntimeStore) error) error { return call(l) }, l.Close}
	}})
}

// closing is a Forward with a Close.
type closing struct {
	store.Forward
	close func() error
}

func (c closing) Close() error { return c.close() }

func TestForwardToAStoreWithoutBatchesAndViews(t *testing.T) {
	l := storetest.New(t)
	f := store.Forward(func(_ context.Context, call func(store.RuntimeStore) error) error {
		return call(struct{ store.RuntimeStore }{l})
	})
	_, err := f.Commit(t.Context(), store.Batch{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = f.View(t.Context(), "a")
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// If the Forward fails after the call succeeded, the call's answer is not returned.
func TestForwardReturnsNothingWithAnError(t *testing.T) {
	l, refused := storetest.New(t), errors.New("refused")
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	f := store.Forward(func(_ context.Context, call func(store.RuntimeStore) error) error {
		return errors.Join(call(l), refused)
	})
	state, ok, err := f.LoadRuntimeState(t.Context(), "a")
	require.ErrorIs(t, err, refused)
	require.False(t, ok)
	require.Empty(t, state)
}
