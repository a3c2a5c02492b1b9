package sqlite

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// A transaction that fails or panics is rolled back, and the connection is free for the
// next call.
func TestWhatFailsIsTakenBack(t *testing.T) {
	s := open(t)
	failure := errors.New("no")
	write := func(ctx context.Context) error {
		return exec(ctx, s.putState, []byte("a"), string(store.RuntimeIdle))
	}
	require.ErrorIs(t, s.update(t.Context(), func(ctx context.Context) error {
		require.NoError(t, write(ctx))
		return failure
	}), failure)
	require.PanicsWithValue(t, "no", func() {
		_ = s.update(t.Context(), func(ctx context.Context) error {
			require.NoError(t, write(ctx))
			panic("no")
		})
	})
	_, ok, err := s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, s.update(t.Context(), write))
	_, ok, err = s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, ok)
}

// A call that waits for the connection ends with its context.
func TestAWaitForTheConnectionEndsWithTheContext(t *testing.T) {
	s := open(t)
	_, err := s.enter(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- s.PersistRuntimeState(ctx, "a", store.RuntimeIdle) }()
	cancel()
	assert.ErrorIs(t, <-waiting, context.Canceled)
	s.leave()
	_, ok, err := s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, ok)
}
