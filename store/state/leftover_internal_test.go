package state

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// A standing is a State, and what stands in its journal.
type standing struct {
	t      *testing.T
	state  *State
	values map[string][]byte
}

func newStanding(t *testing.T) *standing {
	return &standing{t, &State{BatchBytes: 4 << 10}, map[string][]byte{}}
}

// round does what a round does. What stands then must be a journal of what is held.
func (s *standing) round(name string, do func(s *State)) {
	s.t.Helper()
	s.state.Begin()
	do(s.state)
	s.state.Settle()
	for _, c := range s.state.Changes() {
		if c.Delete {
			delete(s.values, string(c.Key))
		} else {
			s.values[string(c.Key)] = c.Value
		}
	}
	s.state.Commit()
	require.Equal(s.t, slices.Collect(s.state.Records()), slices.Collect(s.reopened(name).Records()), name)
}

// reopened returns what the journal has.
func (s *standing) reopened(name string) *State {
	s.t.Helper()
	var all []journal.Change
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		all = append(all, journal.Change{Key: []byte(key), Value: s.values[key]})
	}
	if len(all) == 0 {
		return new(State)
	}
	again, err := replay(all)
	require.NoError(s.t, err, name)
	require.Equal(s.t, s.state.LeftOvers(), again.LeftOvers(), name)
	return again
}

// clear does all that is to be cleared, a round each.
func (s *standing) clear(name string, clearing []iter.Seq[Piece]) {
	s.t.Helper()
	for _, pieces := range clearing {
		for piece := range pieces {
			s.round(name, func(s *State) { _ = s.StorePiece(piece) })
		}
	}
}

// What is left of texts is told from what is held, however much of it is cleared, and
// in whatever order.
func TestTextsAreClearedPieceByPiece(t *testing.T) {
	s := newStanding(t)
	s.round("fill", func(s *State) { s.PutSnapshot("a", new(lines(300_000)), nil) })
	for n := range 4 {
		s.round("fork", func(s *State) {
			require.NoError(t, s.Fork("a", 1, "b"))
			s.PutSnapshot("b", new(lines(300_000+20_000*n)), nil)
			require.NoError(t, s.Fork("b", 2, store.RuntimeID(fmt.Sprint(n))))
			s.PutSnapshot(store.RuntimeID(fmt.Sprint(n)), new(lines(150_000+20_000*n)), nil)
			s.DeleteRuntime("b")
		})
	}
	s.round("delete", func(s *State) { s.DeleteRuntime("a"); s.DeleteRuntime("b") })
	require.NotZero(t, s.state.LeftOvers())
	clearing := s.state.Clearing()
	s.round("delete what has some of it too", func(s *State) {
		for n := range 4 {
			s.DeleteRuntime(store.RuntimeID(fmt.Sprint(n)))
		}
	})
	s.clear("clearing", clearing)
	s.clear("clearing", s.state.Clearing())
	require.Zero(t, s.state.LeftOvers())
}
