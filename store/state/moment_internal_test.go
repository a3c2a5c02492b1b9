package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// End ends all views: of changes that are not settled, of what is not there, and of
// what a group has changed.
func TestEndEndsAll(t *testing.T) {
	for name, change := range map[string]func(*State){
		"nothing":                    func(*State) {},
		"a deletion, not settled":    func(s *State) { s.DeleteRuntime("a") },
		"a new runtime, not settled": func(s *State) { s.PutRuntimeState("none", store.RuntimeIdle) },
		"a group": func(s *State) {
			s.Begin()
			s.PutRuntimeState("a", store.RuntimeRunning)
			s.PutRuntimeState("none", store.RuntimeIdle)
			s.Settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			s.PutRuntimeState("a", store.RuntimeIdle)
			s.PutRuntimeState("b", store.RuntimeIdle)
			s.Settle()
			var views []*View
			for _, id := range []store.RuntimeID{"a", "b", "none"} {
				views = append(views, s.View(id))
				views[len(views)-1].Changed()
			}
			change(&s)
			assert.Len(t, s.End(), len(views))
			for _, v := range views {
				assert.False(t, v.Current(), "of %s", v.RuntimeID())
			}
			assert.Empty(t, s.End(), "nobody is woken twice")
		})
	}
}

// So it does with views of what an import has made, if it is not settled.
func TestEndEndsWhatAnImportDropped(t *testing.T) {
	var s, other State
	v := s.View("a")
	other.PutRuntimeState("a", store.RuntimeIdle)
	other.Settle()
	require.NoError(t, s.Adopt(&other))
	s.End()
	assert.False(t, v.Current())
}

// Who waits for a runtime to be made goes on to wait, or looks again, after a group
// that had made it is taken back.
func TestAbsenceEndsAfterRollback(t *testing.T) {
	var s State
	v := s.View("a")
	s.Begin()
	s.PutRuntimeState("a", store.RuntimeIdle)
	s.Settle()
	s.Rollback()
	s.PutRuntimeState("a", store.RuntimeIdle)
	s.Settle()
	assert.False(t, v.Current())
}

// Whoever knows of the end of one view finds each other that ends with it to be over,
// also if he asks for its channel while they end.
func TestAllAreOverBeforeOneEnds(t *testing.T) {
	for range 10 { // the goroutine may come too late
		moments := make([]*moment, 50_000)
		for i := range moments {
			moments[i] = new(moment)
		}
		first, last := moments[0], moments[len(moments)-1]
		over := make(chan bool)
		go func() {
			for !first.over.Load() { // without a rest, to come at once
			}
			<-first.ended()
			over <- last.over.Load()
		}()
		finish(moments).Wake()
		assert.True(t, <-over)
	}
}
