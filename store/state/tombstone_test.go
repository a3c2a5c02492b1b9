package state_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// do does one operation at a time.
func do(t *testing.T, s *state.State, second int64, changes func()) {
	t.Helper()
	s.Now = at(second)
	require.NoError(t, s.Do(func() error { changes(); return nil }))
	s.Settle()
}

// tombstonesOf returns the runtimes that have tombstones, in their order.
func tombstonesOf(s *state.State) (ids []store.RuntimeID) {
	for t := range s.Image().Tombstones() {
		ids = append(ids, t.RuntimeID)
	}
	return ids
}

// Of the tombstones those stay that are both among the last and young enough, whether an
// Image has the others or not.
func TestTombstonesThatAreKept(t *testing.T) {
	id := func(n int) store.RuntimeID { return store.RuntimeID(fmt.Sprint(n)) }
	for name, test := range map[string]struct {
		keep store.Keep
		left []int // after ten deletions, in seconds 100 to 109
	}{
		"the last":     {store.Keep{Last: 2}, []int{8, 9}},
		"the young":    {store.Keep{For: 4 * time.Second}, []int{6, 7, 8, 9}},
		"both":         {store.Keep{Last: 3, For: 2 * time.Second}, []int{8, 9}},
		"all":          {store.Keep{Last: 100}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"just the one": {store.Keep{Last: 1}, []int{9}},
	} {
		for _, images := range []bool{false, true} {
			s := &state.State{Tombstones: test.keep}
			for n := range 10 {
				do(t, s, 1, func() { s.PutRuntimeState(id(n), store.RuntimeIdle) })
			}
			for n := range 10 {
				if images {
					s.Image()
				}
				do(t, s, int64(100+n), func() { s.DeleteRuntime(id(n)) })
			}
			var want []store.RuntimeID
			for _, n := range test.left {
				want = append(want, id(n))
			}
			assert.Equal(t, want, tombstonesOf(s), name)
			assert.Equal(t, len(want), s.Totals().Tombstones, name)
			for n := range 10 {
				assert.Equal(t, slices.Contains(test.left, n), s.CheckDeleted(id(n)) != nil, "%s: %d", name, n)
			}
		}
	}
}

// Several that have to go go with one operation.
func TestTombstonesGoTogether(t *testing.T) {
	s := &state.State{Tombstones: store.Keep{For: time.Hour}}
	do(t, s, 1, func() {
		for n := range 200 {
			s.PutRuntimeState(store.RuntimeID(fmt.Sprint(n)), store.RuntimeIdle)
		}
	})
	do(t, s, 2, func() {
		for n := range 199 {
			s.DeleteRuntime(store.RuntimeID(fmt.Sprint(n)))
		}
	})
	assert.Equal(t, 199, s.Totals().Tombstones)
	do(t, s, 4000, func() { s.PutRuntimeState("199", store.RuntimeRunning) })
	assert.Zero(t, s.Totals().Tombstones)
}
