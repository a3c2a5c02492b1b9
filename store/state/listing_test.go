package state_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// listed returns the runtimes of a list, page by page.
func listed(page func(state.Listing) state.Page[state.RuntimeSummary], l state.Listing) (ids []store.RuntimeID) {
	for more := true; more; {
		p := page(l)
		for _, sum := range p.Items {
			ids = append(ids, sum.RuntimeID)
		}
		l.From, more = p.Next, p.More
	}
	return ids
}

// A list has what matches all that it asks for, in the State and in an Image, whole and in
// pages.
func TestListings(t *testing.T) {
	var s state.State
	do(t, &s, 30, func() {
		s.PutRuntimeState("agent/1", store.RuntimeIdle)
		s.PutLabels("agent/1", map[string]string{"team": "a", "zone": "x"})
	})
	do(t, &s, 10, func() {
		s.PutRuntimeState("agent/2", store.RuntimeRunning)
		s.PutLabels("agent/2", map[string]string{"team": "a", "zone": ""})
		s.PutInputState("agent/2", inputState(1, store.InputQueued))
		s.PutInputState("agent/2", inputState(2, store.InputConsumed))
	})
	do(t, &s, 20, func() {
		s.PutInputState("other", inputState(1, store.InputStaged))
		s.PutLabels("other", map[string]string{"team": "b"})
	})
	for name, test := range map[string]struct {
		listing state.Listing
		want    []store.RuntimeID
	}{
		"all":                 {state.Listing{}, []store.RuntimeID{"agent/1", "agent/2", "other"}},
		"prefix":              {state.Listing{Prefix: "agent/"}, []store.RuntimeID{"agent/1", "agent/2"}},
		"no such prefix":      {state.Listing{Prefix: "agent/10"}, nil},
		"label":               {state.Listing{Labels: map[string]string{"team": "a"}}, []store.RuntimeID{"agent/1", "agent/2"}},
		"two labels":          {state.Listing{Labels: map[string]string{"team": "a", "zone": "x"}}, []store.RuntimeID{"agent/1"}},
		"an empty value":      {state.Listing{Labels: map[string]string{"zone": ""}}, []store.RuntimeID{"agent/2"}},
		"state":               {state.Listing{States: []store.RuntimeState{store.RuntimeRunning, store.RuntimeStopped}}, []store.RuntimeID{"agent/2"}},
		"state of an input":   {state.Listing{Inputs: []store.InputLifecycleState{store.InputStaged}}, []store.RuntimeID{"other"}},
		"either of an input":  {state.Listing{Inputs: []store.InputLifecycleState{store.InputStaged, store.InputConsumed}}, []store.RuntimeID{"agent/2", "other"}},
		"all must hold":       {state.Listing{Prefix: "agent", Inputs: []store.InputLifecycleState{store.InputQueued}, Labels: map[string]string{"team": "b"}}, nil},
		"by activity":         {state.Listing{ByActivity: true}, []store.RuntimeID{"agent/1", "other", "agent/2"}},
		"by activity, filter": {state.Listing{ByActivity: true, Labels: map[string]string{"team": "a"}}, []store.RuntimeID{"agent/1", "agent/2"}},
	} {
		image := s.Image()
		for limit := range 4 {
			l := test.listing
			l.Limit = limit
			assert.Equal(t, test.want, listed(image.Page, l), "%s, %d at a time", name, limit)
			if !l.ByActivity {
				assert.Equal(t, test.want, listed(s.Runtimes, l), "%s, %d at a time", name, limit)
			}
		}
		var all []store.RuntimeID
		for sum := range image.Runtimes(test.listing) {
			all = append(all, sum.RuntimeID)
		}
		assert.Equal(t, test.want, all, name)
	}
	assert.NoError(t, state.Listing{}.Validate())
	assert.ErrorIs(t, state.Listing{States: []store.RuntimeState{"none"}}.Validate(), store.ErrInvalidValue)
	assert.ErrorIs(t, state.Listing{Inputs: []store.InputLifecycleState{"none"}}.Validate(), store.ErrInvalidValue)
}

// While runtimes come, are written to and go, all that are there throughout are met once
// each, but for those that a list by activity has passed.
func TestPagesGoOnWhileRuntimesDo(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 8))
		var s state.State
		id := func() store.RuntimeID { return store.RuntimeID(fmt.Sprint(r.IntN(60))) }
		step := func(now int64) {
			if r.IntN(3) == 0 {
				do(t, &s, now, func() { s.DeleteRuntime(id()) })
			} else {
				do(t, &s, now, func() { s.PutRuntimeState(id(), store.RuntimeIdle) })
			}
		}
		for n := range 100 {
			step(int64(100 + n/3))
		}
		l := state.Listing{Paging: state.Paging{Limit: 3}, ByActivity: seed%2 == 0}
		page := s.Runtimes
		was := make(map[store.RuntimeID]state.RuntimeSummary)
		for sum := range s.Image().Runtimes(state.Listing{}) {
			was[sum.RuntimeID] = sum
		}
		met := make(map[store.RuntimeID]int)
		for now, more := int64(200), true; more; now++ {
			if l.ByActivity {
				page = s.Image().Page
			}
			p := page(l)
			for _, sum := range p.Items {
				met[sum.RuntimeID]++
			}
			for range r.IntN(4) {
				step(now)
			}
			l.From, more = p.Next, p.More
		}
		for sum := range s.Image().Runtimes(state.Listing{}) {
			before, there := was[sum.RuntimeID]
			switch {
			case !there || sum.Made != before.Made:
			case l.ByActivity && sum.Active != before.Active:
				require.LessOrEqual(t, met[sum.RuntimeID], 1, "seed %d", seed)
			default:
				require.Equal(t, 1, met[sum.RuntimeID], "seed %d", seed)
			}
		}
	}
}

// The owner looks at some thousand runtimes for a page, and the page says that the list
// goes on.
func TestAPageLooksAtSomeRuntimes(t *testing.T) {
	const many = 4*state.MaxPage + 500
	var s state.State
	for n := range many {
		s.PutRuntimeState(store.RuntimeID(fmt.Sprint(n)), store.RuntimeIdle)
	}
	s.PutRuntimeState("wanted", store.RuntimeRunning)
	s.Settle()
	l := state.Listing{Prefix: "wanted"}
	page := s.Runtimes(l)
	assert.Empty(t, page.Items)
	require.True(t, page.More)
	l.From = page.Next
	page = s.Runtimes(l)
	require.Len(t, page.Items, 1)
	assert.False(t, page.More)
	assert.Equal(t, []store.RuntimeID{"wanted"}, listed(s.Image().Page, state.Listing{Prefix: "wanted"}))
}

// The Next of a last page is where what is made later begins, in the State and in an Image.
func TestWhatIsMadeLaterIsOnTheNextPage(t *testing.T) {
	var s state.State
	do(t, &s, 1, func() { s.PutRuntimeState("a", store.RuntimeIdle) })
	for _, page := range []state.Page[state.RuntimeSummary]{s.Runtimes(state.Listing{}), s.Image().Page(state.Listing{})} {
		require.Len(t, page.Items, 1)
		assert.Empty(t, s.Runtimes(state.Listing{Paging: state.Paging{From: page.Next}}).Items)
		assert.Empty(t, s.Image().Page(state.Listing{Paging: state.Paging{From: page.Next}}).Items)
	}
}

// To write to a runtime is activity, and to prune it is not, nor what it loses to a session
// that another one files.
func TestActivity(t *testing.T) {
	s := &state.State{Retention: store.Retention{Inputs: store.Keep{Last: 2}}}
	active := func() (made, active store.Time) {
		sum := s.View("rt").Summary()
		return sum.Made, sum.Active
	}
	done := func(n byte) *store.InputState { return inputState(n, store.InputConsumed) }
	now := int64(10)
	for name, write := range map[string]func(){
		"an input":     func() { s.PutInputState("rt", done(1)) },
		"another one":  func() { s.PutInputState("rt", inputState(2, store.InputQueued)) },
		"a state":      func() { s.PutRuntimeState("rt", store.RuntimeIdle) },
		"labels":       func() { s.PutLabels("rt", nil) },
		"a session":    func() { s.PutSnapshot("rt", new(store.SnapshotOf([]byte("1"))), nil) },
		"a filed one":  func() { s.PutSession("rt", sessionIDs[0], new(store.SnapshotOf([]byte("1")))) },
		"a receipt":    func() { s.PutReceipt("rt", state.NewReceipt(&store.RunBoundaryReceipt{Boundary: store.RunStart})) },
		"what is gone": func() { s.PutInputState("rt", done(3)); s.DeleteInputState("rt", store.InputID{3}) },
	} {
		now++
		do(t, s, now, write)
		made, last := active()
		assert.Equal(t, at(11), made, name)
		assert.Equal(t, at(now), last, name)
	}
	do(t, s, 49, func() { s.PutInputState("rt", inputState(9, store.InputQueued)) })
	do(t, s, 50, func() { s.DeleteInputState("rt", store.InputID{9}) })
	_, last := active()
	assert.Equal(t, at(50), last, "to delete an input")
	version := s.Version("rt")
	do(t, s, 60, func() { s.Prune("rt", store.Retention{Inputs: store.Keep{For: 1}}, at(1<<40)) })
	require.NotEqual(t, version, s.Version("rt"))
	_, last = active()
	assert.Equal(t, at(50), last, "to prune it")
	do(t, s, 70, func() {
		s.PutSession("other", sessionIDs[0], new(store.SnapshotOf([]byte("2"))))
		s.DeleteInputState("rt", store.InputID{77})
	})
	_, last = active()
	assert.Equal(t, at(50), last, "what another does, and nothing")
	s.Now = store.Time{}
	require.NoError(t, s.Do(func() error { s.PutRuntimeState("rt", store.RuntimeRunning); return nil }))
	s.Settle()
	_, last = active()
	assert.Equal(t, at(50), last, "when nobody knows")
}

// What is idle goes, in as many steps as it takes, and a dry run says as much.
func TestExpire(t *testing.T) {
	open, done := inputState(1, store.InputQueued), inputState(2, store.InputConsumed)
	fresh := func() *state.State {
		s := &state.State{BatchBytes: 4 * 48 * 20} // room for 20 removals
		for n, in := range map[int]*store.InputState{10: nil, 20: open, 30: done, 40: nil} {
			do(t, s, int64(n), func() {
				for i := range 3 {
					id := store.RuntimeID(fmt.Sprint(n, "/", i))
					s.PutRuntimeState(id, store.RuntimeIdle)
					if in != nil {
						s.PutInputState(id, in)
					}
				}
			})
		}
		s.Now = store.Time{}
		s.PutRuntimeState("of no time", store.RuntimeIdle)
		s.Settle()
		return s
	}
	for name, test := range map[string]struct {
		idle state.Idle
		gone []string // prefixes
	}{
		"none so old":       {state.Idle{Since: at(9)}, nil},
		"to the second":     {state.Idle{Since: at(10)}, []string{"10/"}},
		"but for open ones": {state.Idle{Since: at(35)}, []string{"10/", "30/"}},
		"that matter": {state.Idle{Since: at(35), Inputs: []store.InputLifecycleState{
			store.InputQueued, store.InputQueued, store.InputConsumed}}, []string{"10/", "20/", "30/"}},
		"another state": {state.Idle{Since: at(35), Inputs: []store.InputLifecycleState{store.InputStaged}}, []string{"10/", "30/"}},
		"all of a time": {state.Idle{Since: at(1 << 30), Inputs: []store.InputLifecycleState{store.InputQueued}}, []string{"10/", "20/", "30/", "40/"}},
	} {
		s := fresh()
		before := s.Totals()
		removed := map[bool]state.Removed{}
		for _, dry := range []bool{true, false} {
			idle := test.idle
			idle.DryRun = dry
			for more := true; more; {
				var step state.Removed
				step, idle.From, more = s.Expire(idle)
				s.Settle()
				assert.LessOrEqual(t, step.Runtimes, 3, name)
				removed[dry] = removed[dry].Plus(step)
			}
			if dry {
				assert.Equal(t, before, s.Totals(), name)
			}
		}
		assert.Equal(t, removed[true], removed[false], name)
		assert.Equal(t, 3*len(test.gone), removed[false].Runtimes, name)
		for _, id := range listed(s.Runtimes, state.Listing{}) {
			assert.False(t, slices.ContainsFunc(test.gone, func(p string) bool { return strings.HasPrefix(string(id), p) }), "%s: %q", name, id)
		}
	}
}

// A step takes no more than a batch of the journal, with the keys that go into tombstones.
func TestExpireWithKeysGoesInSteps(t *testing.T) {
	s := &state.State{BatchBytes: 16 << 10, Tombstones: store.Keep{Last: 100}, Retention: store.Retention{Keys: store.Keep{Last: 100}}}
	do(t, s, 1, func() {
		for n := range 20 {
			for i := range byte(30) {
				s.PutInputState(store.RuntimeID(fmt.Sprint(n)), keyed(i, strings.Repeat("long key ", 10)+fmt.Sprint(i)))
			}
		}
	})
	for idle, more := (state.Idle{Since: at(2), Inputs: []store.InputLifecycleState{store.InputQueued}}), true; more; {
		s.Begin()
		_, idle.From, more = s.Expire(idle)
		s.Settle()
		bytes := 0
		for _, c := range s.Changes() {
			bytes += len(c.Key) + len(c.Value)
		}
		assert.LessOrEqual(t, bytes, 16<<10)
		s.Commit()
	}
	assert.Equal(t, 20, s.Totals().Tombstones)
}
