package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

var (
	aQueue  = state.Queue{Ready: []store.InputLifecycleState{store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged}}
	another = state.Queue{Ready: []store.InputLifecycleState{store.InputAccepted}, Busy: []store.InputLifecycleState{store.InputQueued}}
)

// followed is a State with a queue, of which somebody follows the changes.
func followed(t *testing.T, queue state.Queue) *state.State {
	t.Helper()
	s := &state.State{Queue: queue, Now: store.TimeOf(time.Unix(9, 0))}
	_, err := ops.Run(s, ops.LoadChanges{Skip: true})
	require.NoError(t, err)
	for n := range 200 {
		input := store.NewInputState(store.InputIDOf(fmt.Sprint(n)), s.Now)
		input.CurrentState = store.InputQueued
		_, err := ops.Run(s, ops.PersistInputState{RuntimeID: store.RuntimeID(fmt.Sprint("agent-", n%20)), State: input})
		require.NoError(t, err)
	}
	for n := range 10 {
		_, err := ops.Run(s, ops.DeleteRuntime{RuntimeID: store.RuntimeID(fmt.Sprint("agent-", n))})
		require.NoError(t, err)
	}
	return s
}

// A State that had its own queue and followers is imported: what it has is claimed by the
// queue of the one that takes it, and followers of that learn of it.
func TestImportOfWhatWasFollowed(t *testing.T) {
	for _, queue := range []state.Queue{aQueue, another, {}} {
		for _, taken := range []bool{false, true} {
			s, k := &state.State{Queue: aQueue, BatchBytes: 20 << 10, Now: store.TimeOf(time.Unix(9, 0))}, kept{}
			before, err := ops.Run(s, ops.LoadChanges{Skip: true})
			require.NoError(t, err)
			in := stagedIn(t, k, s, followed(t, queue))
			adopt := func() {
				s.Begin()
				_, err := s.EndImport(in)
				require.NoError(t, err)
				s.Settle()
				_, err = ops.Run(s, ops.ClaimNext{Claim: store.Claim{To: store.InputStaged}})
				require.NoError(t, err)
			}
			if taken { // the journal rejects it once
				adopt()
				s.Rollback()
				_, err := ops.Run(s, ops.ClaimNext{Claim: store.Claim{To: store.InputStaged}})
				require.ErrorIs(t, err, ops.ErrNothingReady)
			}
			adopt()
			k.apply(s.Changes())
			s.Commit()
			_, err = k.replay()
			require.NoError(t, err)
			all, err := ops.Run(s, ops.LoadChanges{After: before.Next()})
			require.NoError(t, err)
			n := 0
			for c := range all.All() {
				assert.False(t, c.What.Has(state.RuntimeDeleted))
				n++
			}
			assert.Equal(t, 10, n)
			claimed := map[store.RuntimeID]bool{}
			for range 9 {
				c, err := ops.Run(s, ops.ClaimNext{Claim: store.Claim{To: store.InputStaged}})
				require.NoError(t, err)
				claimed[c.RuntimeID] = true
			}
			assert.Len(t, claimed, 9)
			_, err = ops.Run(s, ops.ClaimNext{Claim: store.Claim{To: store.InputStaged}})
			require.ErrorIs(t, err, ops.ErrNothingReady)
		}
	}
}
