package bunt

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/buntdb"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// open returns a store whose goroutine has ended when the test ends. That takes up to a
// second after Close, and goleak.Find waits only half a second.
func open(t *testing.T) *Store {
	t.Helper()
	before := goleak.IgnoreCurrent()
	s, err := Open()
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
		err := goleak.Find(before)
		for range 10 {
			if err != nil {
				err = goleak.Find(before)
			}
		}
		assert.NoError(t, err)
	})
	return s
}

// A transaction that fails is rolled back. (One that panics keeps the library's lock for
// good.)
func TestWhatFailsIsTakenBack(t *testing.T) {
	s := open(t)
	failure := errors.New("no")
	require.ErrorIs(t, s.update(func(tx *buntdb.Tx) error {
		require.NoError(t, set(tx, keyOf(stateKind, "a"), string(store.RuntimeIdle)))
		return failure
	}), failure)
	_, ok, err := s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, ok)
}
