package locked_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store"
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
		Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
			return func(ctx context.Context) (*state.View, error) { return s.(reopenable).View(ctx, id) }
		},
	})
}

func TestNothingIsServedAfterAPanic(t *testing.T) {
	s := locked.New(nil)
	assert.Panics(t, func() { _ = s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) })
	err := s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle)
	assert.ErrorIs(t, err, store.ErrFailed)
	assert.ErrorContains(t, err, "persist_runtime_state")
}
