package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Of each open state the input comes that has been in it longest, wherever it stands, and
// ids and times that mean nothing elsewhere mean nothing here.
func TestOpenInputsSayWhatWaitsLongest(t *testing.T) {
	s := new(state.State)
	at := func(minute int) store.Time {
		return store.TimeOf(time.Date(2026, 11, 23, 12, minute, 0, 0, time.UTC))
	}
	put := func(n byte, current store.InputLifecycleState, minute int) {
		in := store.NewInputState(store.InputID{15: n}, at(minute))
		in.CurrentState = current
		s.PutInputState("a", &in)
	}
	for n := range byte(200) {
		put(n, store.InputConsumed, 0)
	}
	put(0, store.InputQueued, 30)
	put(7, store.InputQueued, 10)
	put(150, store.InputQueued, 20)
	put(99, store.InputStaged, 5)
	put(100, store.InputAppliedPendingConsumption, 50)
	put(199, store.InputAppliedPendingConsumption, 50)
	s.Settle()
	want := []state.OpenInputs{
		{State: store.InputQueued, Count: 3, Longest: store.InputID{15: 7}, Since: at(10)},
		{State: store.InputStaged, Count: 1, Longest: store.InputID{15: 99}, Since: at(5)},
		{State: store.InputAppliedPendingConsumption, Count: 2, Longest: store.InputID{15: 100}, Since: at(50)},
	}
	view := s.View("a")
	listed := slices.Collect(s.Image().Runtimes(state.Listing{ByActivity: true}))[0]
	put(7, store.InputConsumed, 1) // which they do not see
	s.Settle()
	all, ok := listed.OpenInputs()
	require.True(t, ok)
	assert.Equal(t, want, all)
	assert.Equal(t, want, view.OpenInputs())
	assert.Equal(t, state.OpenInputs{State: store.InputQueued, Count: 2, Longest: store.InputID{15: 150}, Since: at(20)}, s.View("a").OpenInputs()[0])
	of := s.Runtimes(state.Listing{}).Items[0]
	_, ok = of.OpenInputs()
	assert.False(t, ok, "they may change while it is looked at")
	assert.Empty(t, s.View("nobody").OpenInputs())
}
