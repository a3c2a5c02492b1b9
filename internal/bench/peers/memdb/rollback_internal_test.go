package memdb

import (
	"errors"
	"testing"

	"github.com/hashicorp/go-memdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// A transaction that fails or panics leaves nothing that it has written, and the next one
// can begin.
func TestWhatFailsIsTakenBack(t *testing.T) {
	s, err := Open()
	require.NoError(t, err)
	failure := errors.New("no")
	write := func(txn *memdb.Txn) error { return txn.Insert(states, &stateRow{"a", store.RuntimeIdle}) }
	require.ErrorIs(t, s.update(func(txn *memdb.Txn) error {
		require.NoError(t, write(txn))
		return failure
	}), failure)
	require.PanicsWithValue(t, "no", func() {
		_ = s.update(func(txn *memdb.Txn) error {
			require.NoError(t, write(txn))
			panic("no")
		})
	})
	_, ok, err := s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, s.update(write))
	_, ok, err = s.LoadRuntimeState(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, ok)
}
