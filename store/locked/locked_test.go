package locked_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A reopenable store is one whose State outlives it.
type reopenable struct {
	*locked.Store
	state *state.State
}

func open(state *state.State) store.RuntimeStore { return reopenable{locked.New(state), state} }

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Factory{
		Open:   func(testing.TB) store.RuntimeStore { return open(new(state.State)) },
		Reopen: func(_ testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(s.(reopenable).state) },
		OpenWith: func(_ testing.TB, o loopstore.Options) store.RuntimeStore {
			return open(&state.State{Limits: o.Limits, Retention: o.Retention, UniqueKeys: o.UniqueKeys, Tombstones: o.Tombstones})
		},
		Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
			return func(ctx context.Context) (*state.View, error) { return s.(reopenable).View(ctx, id) }
		},
	})
}

// What a Retention lets go goes with the change that made it too much, and what goes
// beyond the Limits is refused.
func TestStateIsKeptWithinItsBounds(t *testing.T) {
	s := locked.New(&state.State{
		Retention: store.Retention{Sessions: store.Keep{Last: 2, For: time.Hour}},
		Limits:    store.Limits{SnapshotBytes: 100, InputsPerRuntime: 1},
	})
	for range 3 {
		_, err := s.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: "a"}}})
		require.NoError(t, err)
	}
	_, ok, err := s.LoadSessionAt(t.Context(), "a", 1)
	assert.NoError(t, err)
	assert.False(t, ok)
	_, ok, err = s.LoadSessionAt(t.Context(), "a", 2)
	assert.NoError(t, err)
	assert.True(t, ok)

	_, err = s.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: "a", Snapshot: make([]byte, 101)}}})
	assert.ErrorIs(t, err, store.ErrLimit)
	input := store.NewInputState(store.InputID{1}, store.TimeOf(time.Now()))
	assert.NoError(t, s.PersistInputState(t.Context(), "a", input))
	input.InputID[0]++
	assert.ErrorIs(t, s.PersistInputState(t.Context(), "a", input), store.ErrLimit)
}

func TestNothingIsServedAfterAPanic(t *testing.T) {
	s := locked.New(nil)
	assert.Panics(t, func() { _ = s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) })
	err := s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle)
	assert.ErrorIs(t, err, store.ErrFailed)
	assert.ErrorContains(t, err, "persist_runtime_state")
}
