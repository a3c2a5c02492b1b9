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

// keyed is an input that has a key, or none if that is empty.
func keyed(n byte, key string) *store.InputState {
	in := inputState(n, store.InputQueued)
	if key != "" {
		in.IdempotencyKey = &key
	}
	return in
}

// keysIn returns the keys that are kept of a runtime.
func keysIn(s *state.State, id store.RuntimeID) (keys []string) {
	for k := range s.View(id).Keys() {
		keys = append(keys, k.Key)
	}
	return keys
}

// A keysTest is a State with unique keys in which input 1 has key a, input 2 has b, input
// 3 has none, and key gone is kept of input 4.
func keysTest(t *testing.T) *state.State {
	s := &state.State{UniqueKeys: true, Retention: store.Retention{Keys: store.Keep{For: time.Hour}}, Tombstones: store.Keep{Last: 9}}
	do(t, s, 10, func() {
		s.PutInputState("rt", keyed(1, "a"))
		s.PutInputState("rt", keyed(2, "b"))
		s.PutInputState("rt", keyed(3, ""))
		s.PutInputState("rt", keyed(4, "gone"))
	})
	do(t, s, 20, func() { s.DeleteInputState("rt", store.InputID{4}) })
	require.Equal(t, []string{"gone"}, keysIn(s, "rt"))
	return s
}

// Of the inputs of a runtime one has a key, at the end of each operation.
func TestUniqueKeys(t *testing.T) {
	there, gone := &store.KeyError{RuntimeID: "rt", InputID: store.InputID{1}, There: true}, &store.KeyError{RuntimeID: "rt", InputID: store.InputID{4}}
	for name, test := range map[string]struct {
		changes func(s *state.State)
		refused *store.KeyError
		kept    []string
	}{
		"another has it":          {func(s *state.State) { s.PutInputState("rt", keyed(5, "a")) }, there, []string{"gone"}},
		"one that is replaced":    {func(s *state.State) { s.PutInputState("rt", keyed(3, "a")) }, there, []string{"gone"}},
		"it is kept":              {func(s *state.State) { s.PutInputState("rt", keyed(5, "gone")) }, gone, []string{"gone"}},
		"kept of the same":        {func(s *state.State) { s.PutInputState("rt", keyed(4, "gone")) }, gone, []string{"gone"}},
		"stored again":            {func(s *state.State) { s.PutInputState("rt", keyed(1, "a")) }, nil, []string{"gone"}},
		"in another runtime":      {func(s *state.State) { s.PutInputState("other", keyed(1, "gone")) }, nil, []string{"gone"}},
		"free":                    {func(s *state.State) { s.PutInputState("rt", keyed(5, "c")) }, nil, []string{"gone"}},
		"replaced by one without": {func(s *state.State) { s.PutInputState("rt", keyed(1, "")) }, nil, []string{"gone", "a"}},
		"replaced by another key": {func(s *state.State) { s.PutInputState("rt", keyed(1, "c")) }, nil, []string{"gone", "a"}},
		"moved on": {func(s *state.State) {
			s.PutInputState("rt", keyed(1, ""))
			s.PutInputState("rt", keyed(3, "a"))
		}, nil, []string{"gone"}},
		"moved on, the other way round": {func(s *state.State) {
			s.PutInputState("rt", keyed(3, "a"))
			s.PutInputState("rt", keyed(1, ""))
		}, nil, []string{"gone"}},
		"exchanged": {func(s *state.State) {
			s.PutInputState("rt", keyed(1, "b"))
			s.PutInputState("rt", keyed(2, "a"))
		}, nil, []string{"gone"}},
		"deleted and stored again": {func(s *state.State) {
			s.DeleteInputState("rt", store.InputID{1})
			s.PutInputState("rt", keyed(1, "a"))
		}, nil, []string{"gone"}},
		"of a runtime that goes too": {func(s *state.State) {
			s.PutInputState("rt", keyed(5, "a"))
			s.DeleteRuntime("rt")
		}, nil, nil},
		"brought back and taken": {func(s *state.State) {
			s.DeleteRuntime("rt")
			s.Revive("rt")
			s.PutInputState("rt", keyed(5, "gone"))
		}, gone, []string{"gone"}},
	} {
		s := keysTest(t)
		s.Now = at(30)
		version := s.Revision()
		err := s.Do(func() error { test.changes(s); return nil })
		s.Settle()
		if test.refused == nil {
			assert.NoError(t, err, name)
		} else {
			assert.Equal(t, test.refused, err, name)
			assert.ErrorIs(t, err, store.ErrKeyTaken, name)
			assert.Equal(t, version, s.Revision(), name)
		}
		assert.Equal(t, test.kept, keysIn(s, "rt"), name)
		assert.Equal(t, len(test.kept), s.Totals().Keys, name)
	}
}

// Inputs that had one key before keys were unique have it, and are stored again, but with
// no other that is taken.
func TestSeveralInputsWithAKeyStay(t *testing.T) {
	s := new(state.State)
	for n := range byte(4) {
		s.PutInputState("rt", keyed(n, "a"))
	}
	s.Settle()
	s.UniqueKeys = true
	do(t, s, 1, func() { s.PutInputState("rt", keyed(2, "a")) })
	do(t, s, 1, func() { s.DeleteInputState("rt", store.InputID{0}) })
	first, version := s.InputByKey("rt", "a")
	assert.Equal(t, store.InputID{1}, first.InputID)
	assert.EqualValues(t, 1, version)
	do(t, s, 1, func() { s.PutInputState("rt", keyed(1, "b")) })
	first, version = s.InputByKey("rt", "a")
	assert.Equal(t, store.InputID{2}, first.InputID)
	assert.EqualValues(t, 2, version)
	assert.ErrorIs(t, s.Do(func() error { s.PutInputState("rt", keyed(1, "a")); return nil }), store.ErrKeyTaken, "it had it once")
	do(t, s, 1, func() { s.DeleteInputState("rt", store.InputID{2}) })
	do(t, s, 1, func() { s.DeleteInputState("rt", store.InputID{3}) })
	assert.False(t, s.HasKey("rt", "a"))
}

// A key that no input has any more is kept as long as the Retention says, and is not free
// meanwhile.
func TestKeysThatAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		keep store.Keep
		want []string // after inputs with keys a to e have gone in seconds 1 to 5
		free []string // of these ten seconds later
	}{
		"none":      {store.Keep{}, nil, []string{"a", "b", "c", "d", "e"}},
		"the last":  {store.Keep{Last: 2}, []string{"d", "e"}, []string{"a", "b", "c"}},
		"the young": {store.Keep{For: 3 * time.Second}, []string{"c", "d", "e"}, []string{"a", "b", "c", "d", "e"}},
		"both":      {store.Keep{Last: 3, For: 11 * time.Second}, []string{"c", "d", "e"}, []string{"a", "b", "c", "d"}},
	} {
		s := &state.State{Retention: store.Retention{Keys: test.keep}}
		do(t, s, 0, func() {
			for n := range byte(5) {
				s.PutInputState("rt", keyed(n, string(rune('a'+n))))
			}
		})
		for n := range byte(5) {
			do(t, s, int64(n)+1, func() { s.DeleteInputState("rt", store.InputID{n}) })
		}
		assert.Equal(t, test.want, keysIn(s, "rt"), name)
		s.Now = at(15)
		var free []string
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if !s.HasKey("rt", key) {
				free = append(free, key)
			}
		}
		assert.Equal(t, test.free, free, name)
	}
}

// A key that another input has taken is no longer kept, and is kept anew when that goes.
func TestAKeyIsKeptOrAnInputs(t *testing.T) {
	s := &state.State{Retention: store.Retention{Keys: store.Keep{Last: 9}}, Tombstones: store.Keep{Last: 9}}
	do(t, s, 1, func() { s.PutInputState("rt", keyed(1, "a")) })
	do(t, s, 2, func() { s.DeleteInputState("rt", store.InputID{1}) })
	do(t, s, 3, func() { s.PutInputState("rt", keyed(2, "a")) })
	assert.Empty(t, keysIn(s, "rt"))
	assert.True(t, s.HasKey("rt", "a"))
	do(t, s, 4, func() { s.PutInputState("rt", keyed(3, "b")) })
	do(t, s, 5, func() { s.DeleteInputState("rt", store.InputID{3}) })
	do(t, s, 6, func() { s.DeleteInputState("rt", store.InputID{2}) })
	want := []state.Key{{Key: "b", InputID: store.InputID{3}, Since: at(5)}, {Key: "a", InputID: store.InputID{2}, Since: at(6)}}
	assert.Equal(t, want, slices.Collect(s.View("rt").Keys()))
	do(t, s, 7, func() { s.PutInputState("rt", keyed(4, "b")) })
	do(t, s, 8, func() { s.DeleteRuntime("rt") })
	do(t, s, 9, func() { s.Revive("rt") })
	want = []state.Key{want[1], {Key: "b", InputID: store.InputID{4}, Since: at(8)}}
	assert.Equal(t, want, slices.Collect(s.View("rt").Keys()), "each once")
	_, err := keptOf(s).replay()
	require.NoError(t, err)
}

// A Prune forgets keys that the State's Retention keeps.
func TestPruningKeys(t *testing.T) {
	s := keysTest(t)
	keep := store.Retention{Keys: store.Keep{For: 5 * time.Second}}
	would := s.View("rt").WouldPrune(keep, at(26))
	assert.Equal(t, 1, would.Keys)
	assert.Zero(t, s.View("rt").WouldPrune(keep, at(24)))
	assert.Zero(t, s.View("rt").WouldPrune(store.Retention{}, at(26)))
	before := s.Totals()
	removed, more := s.Prune("rt", keep, at(26))
	assert.Equal(t, would, removed)
	assert.False(t, more)
	assert.Equal(t, before.RuntimeBytes-s.Totals().RuntimeBytes, removed.RuntimeBytes)
	s.Settle()
	assert.Empty(t, keysIn(s, "rt"))
	assert.False(t, s.HasKey("rt", "gone"))
}

// What one operation prunes of inputs and of their keys is what two would.
func TestInputsAndTheirKeysGoTogether(t *testing.T) {
	s := &state.State{Retention: store.Retention{Inputs: store.Keep{Last: 2}, Keys: store.Keep{Last: 3}}}
	do(t, s, 1, func() {
		for n := range byte(9) {
			in := keyed(n, string(rune('a'+n)))
			in.CurrentState = store.InputConsumed
			s.PutInputState("rt", in)
		}
	})
	assert.Equal(t, []string{"e", "f", "g"}, keysIn(s, "rt"))
	assert.Equal(t, 2, s.Totals().InputStates)
	assert.Equal(t, 3, s.Totals().Keys)
}
