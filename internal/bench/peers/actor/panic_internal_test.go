package actor

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

type step func(*state.State) error

func (s step) Apply(state *state.State) error { return s(state) }

func TestNothingIsServedAfterAPanic(t *testing.T) {
	s := Open()
	err := s.ask(t.Context(), step(func(*state.State) error { panic("no") }))
	failure, ok := errors.AsType[*store.PanicError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "no", failure.Value)
	require.ErrorIs(t, s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrFailed)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrClosed)
}
