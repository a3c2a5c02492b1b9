package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Whoever begins before everything may stop after any change, and go on from there: nothing
// is forgotten that the first cursor of a store could miss.
func TestFirstCursorsAreOfUse(t *testing.T) {
	var s state.State
	for _, id := range []store.RuntimeID{"a", "b", "c"} {
		s.PutRuntimeState(id, store.RuntimeIdle)
		s.Settle()
	}
	var told []store.RuntimeID
	for after := state.ChangeCursor(""); len(told) < 3; {
		found, err := s.ChangesAfter(after, 1)
		require.NoError(t, err)
		for change := range found.All() {
			told, after = append(told, change.RuntimeID), change.Cursor
			break
		}
	}
	assert.Equal(t, []store.RuntimeID{"a", "b", "c"}, told)
}
