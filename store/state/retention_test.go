package state_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func at(second int64) store.Time { return store.TimeOf(time.Unix(second, 0)) }

// lived returns a runtime with three runs of three receipts, and eight inputs,
// of which the odd ones have ended, each a second after the one before it.
func lived() *state.State {
	s := new(state.State)
	for i := range 9 {
		s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{
			RunID: store.RunID{byte(i / 3)}, Boundary: store.RunStart, Sequence: uint64(i % 3),
			ContributingInputIDs: []store.InputID{{1}, {2}},
		}))
	}
	for i := range 8 {
		state := inputState(byte(i), []store.InputLifecycleState{store.InputQueued, store.InputConsumed}[i%2])
		state.PersistedInput, state.UpdatedAt = jsontext.Value(`"four"`), at(int64(i))
		s.PutInputState("a", state)
	}
	s.Settle()
	return s
}

func TestPrune(t *testing.T) {
	type left struct {
		receipts []int // of each run
		inputs   []byte
		payloads []byte
	}
	const second = time.Second
	everything := left{[]int{3, 3, 3}, []byte{0, 1, 2, 3, 4, 5, 6, 7}, []byte{0, 1, 2, 3, 4, 5, 6, 7}}
	for name, c := range map[string]struct {
		keep store.Retention
		want left
	}{
		"everything":       {store.Retention{}, everything},
		"room for more":    {store.Retention{ReceiptsPerRun: 3, Runs: 3, Inputs: store.Keep{Last: 4, For: 9 * second}, Payloads: store.Keep{Last: 4}}, everything},
		"receipts":         {store.Retention{ReceiptsPerRun: 1}, left{[]int{1, 1, 1}, everything.inputs, everything.payloads}},
		"runs":             {store.Retention{Runs: 1}, left{[]int{0, 0, 3}, everything.inputs, everything.payloads}},
		"inputs by count":  {store.Retention{Inputs: store.Keep{Last: 2}}, left{[]int{3, 3, 3}, []byte{0, 2, 4, 5, 6, 7}, []byte{0, 2, 4, 5, 6, 7}}},
		"inputs by age":    {store.Retention{Inputs: store.Keep{For: 5 * second}}, left{[]int{3, 3, 3}, []byte{0, 2, 4, 5, 6, 7}, []byte{0, 2, 4, 5, 6, 7}}},
		"both":             {store.Retention{Inputs: store.Keep{Last: 3, For: 3 * second}}, left{[]int{3, 3, 3}, []byte{0, 2, 4, 6, 7}, []byte{0, 2, 4, 6, 7}}},
		"payloads":         {store.Retention{Payloads: store.Keep{Last: 1}}, left{[]int{3, 3, 3}, everything.inputs, []byte{0, 2, 4, 6, 7}}},
		"inputs, payloads": {store.Retention{Inputs: store.Keep{Last: 3}, Payloads: store.Keep{Last: 1}}, left{[]int{3, 3, 3}, []byte{0, 2, 3, 4, 5, 6, 7}, []byte{0, 2, 4, 6, 7}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := lived()
			before, view := s.Totals(), s.View("a")
			would := view.WouldPrune(c.keep, at(9))
			removed, _ := s.Prune("a", c.keep, at(9))
			assert.Equal(t, removed, would)
			after := s.Totals()
			assert.Equal(t, before.InputStates-after.InputStates, removed.InputStates)
			assert.Equal(t, before.Receipts-after.Receipts, removed.Receipts)
			assert.Equal(t, before.Runs-after.Runs, removed.Runs)
			assert.Equal(t, before.Bytes()-after.Bytes(), removed.Bytes())
			s.Settle()
			assert.Equal(t, removed == state.Removed{}, view.Current(), "a version of its own only if something went")

			var got left
			for run := range byte(3) {
				kept := slices.Collect(s.View("a").Receipts(store.RunID{run}))
				got.receipts = append(got.receipts, len(kept))
				if len(kept) > 0 {
					assert.EqualValues(t, 2, kept[len(kept)-1].Sequence, "the last ones stay")
				}
				next, err := s.NextSequence("a", store.RunID{run})
				require.NoError(t, err)
				assert.EqualValues(t, 3, next, "no sequence is minted twice")
			}
			for state := range s.InputStates("a").All() {
				got.inputs = append(got.inputs, state.InputID[0])
				if state.PersistedInput != nil {
					got.payloads = append(got.payloads, state.InputID[0])
				}
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, before.InputStates-len(c.want.inputs), removed.InputStates)
			assert.Equal(t, len(c.want.inputs)-len(c.want.payloads), removed.Payloads)
			assert.Equal(t, 8, view.NumInputStates(), "what was seen stays seen")
		})
	}
}

// The receipt that was stored last stays, and its run, though others are newer.
func TestPruneKeepsTheLatest(t *testing.T) {
	s := lived()
	old := state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{0}, Boundary: store.RunStart, Sequence: 1})
	s.PutReceipt("a", old)
	removed, _ := s.Prune("a", store.Retention{ReceiptsPerRun: 1, Runs: 1}, at(9))
	assert.Equal(t, 1, removed.Runs)
	assert.Equal(t, 3+1+2, removed.Receipts)
	assert.Same(t, old, s.Receipt("a", store.RunID{0}, 1))
	assert.NotNil(t, s.Receipt("a", store.RunID{0}, 2))
	assert.NotNil(t, s.Receipt("a", store.RunID{2}, 2))
	s.Settle()
	latest, ok := s.View("a").LatestReceipt()
	assert.True(t, ok)
	assert.Equal(t, old.Value(), latest)
}

// A run that was dropped goes on where it was, also after it was dropped again.
func TestDroppedRunsGoOn(t *testing.T) {
	s := lived()
	mint := func(run byte, want uint64) {
		t.Helper()
		next, err := s.NextSequence("a", store.RunID{run})
		require.NoError(t, err)
		require.Equal(t, want, next)
		s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{run}, Boundary: store.RunStart, Sequence: next}))
		s.Prune("a", store.Retention{Runs: 1}, at(0))
		s.Settle()
	}
	mint(0, 3)
	mint(1, 3)
	mint(0, 4)
	mint(9, 0)
	mint(1, 4)
	v := s.View("a")
	assert.Equal(t, []store.RunID{{1}}, slices.Collect(v.Runs()))
	assert.Equal(t, map[store.RunID]uint64{{0}: 4, {2}: 2, {9}: 0}, maps.Collect(v.DroppedRuns()))
	for run, want := range map[store.RunID]uint64{{0}: 4, {1}: 4} {
		sequence, ok := v.HighestSequence(run)
		assert.True(t, ok)
		assert.Equal(t, want, sequence)
	}
	_, ok := v.HighestSequence(store.RunID{8})
	assert.False(t, ok)
	s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{0}, Boundary: store.RunStart, Sequence: 1}))
	mint(0, 5)
	s.UseSequences("a", store.RunID{0}, 2)
	mint(0, 6)
	s.UseSequences("a", store.RunID{0}, 9)
	mint(0, 10)
	s.DeleteRuntime("a")
	mint(1, 0)
}

// A State with a Retention is at each moment what a plain one is that is pruned
// after each operation.
func TestRetentionIsPruneAfterEachOperation(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		keep := someRetention(r)
		var kept, pruned state.State
		kept.Retention, kept.Now, pruned.Now = keep, at(100), at(100)
		if keep.Sessions != (store.Keep{}) {
			pruned.Retention.Sessions.Last = math.MaxInt
		}
		if keep.Keys != (store.Keep{}) {
			pruned.Retention.Keys.Last = math.MaxInt
		}
		kept.Limits.InputsPerRuntime = r.IntN(2) * 4
		for range 60 {
			step := r.Uint64()
			do := func(s *state.State) error {
				r := rand.New(rand.NewPCG(step, 5))
				for range 1 + r.IntN(3) {
					change(s, r)
				}
				return nil
			}
			if r.IntN(4) == 0 {
				failed := errors.New("failed")
				require.Equal(t, failed, kept.Do(func() error { change(&kept, r); return failed }))
			}
			if err := kept.Do(func() error { return do(&kept) }); err != nil {
				require.ErrorIs(t, err, store.ErrLimit)
				continue
			}
			require.NoError(t, do(&pruned))
			for _, id := range runtimeIDs {
				for more := true; more; { // the keys of the inputs that go are kept at first
					_, more = pruned.Prune(id, keep, at(100))
				}
			}
			kept.Settle()
			pruned.Settle()
			require.Equal(t, all(&pruned), all(&kept), "seed %d: %+v", seed, keep)
		}
	}
}

// What is too old goes with a change that comes after, though late by a 64th.
func TestRetentionByAge(t *testing.T) {
	var s state.State
	s.Retention.Inputs = store.Keep{Last: 5, For: 64 * time.Second}
	put := func(id byte, now int64) int {
		s.Now = at(now)
		state := inputState(id, store.InputConsumed)
		state.UpdatedAt = s.Now
		require.NoError(t, s.Do(func() error { s.PutInputState("a", state); return nil }))
		s.Settle()
		return s.InputStates("a").Len()
	}
	assert.Equal(t, 1, put(1, 0))
	assert.Equal(t, 2, put(2, 1))
	assert.Equal(t, 3, put(3, 63), "all are young enough")
	assert.Equal(t, 3, put(4, 64), "the first is not")
	assert.LessOrEqual(t, put(5, 65), 4)
	assert.Equal(t, 4, put(6, 66), "3, 4, 5 and this one")
	for i := range byte(9) {
		assert.LessOrEqual(t, put(10+i, 67), 5)
	}
	assert.Equal(t, 1, put(7, 1000), "though there were too many in between")
}

// An operation looks at 1,000 records besides those that it has changed, and the
// next one goes on where it was, however long ago the sweep began.
func TestRetentionByAgeGoesOn(t *testing.T) {
	var s state.State
	s.Retention.Inputs.For = 64 * time.Second
	put := func(n int, updated int64) {
		input := inputState(0, store.InputConsumed)
		binary.BigEndian.PutUint16(input.InputID[:], uint16(n))
		input.UpdatedAt = at(updated)
		s.PutInputState("a", input)
	}
	s.Now = at(0)
	for n := range 2500 {
		put(n, 1000) // from a clock that was ahead
	}
	put(2500, 0)
	s.Settle()
	for turn := range int64(3) {
		require.Equal(t, 2501, s.Totals().InputStates, "turn %d", turn)
		s.Now = at(64 + 2*turn)
		require.NoError(t, s.Do(func() error { s.PutRuntimeState("a", store.RuntimeIdle); return nil }))
		s.Settle()
	}
	assert.Equal(t, 2500, s.Totals().InputStates)
}

// A clock that goes back stops no sweep.
func TestRetentionByAgeAfterTheClockWentBack(t *testing.T) {
	var s state.State
	s.Retention.Inputs.For = time.Hour
	put := func(id byte, now int64) {
		s.Now = at(now)
		input := inputState(id, store.InputConsumed)
		input.UpdatedAt = s.Now
		require.NoError(t, s.Do(func() error { s.PutInputState("a", input); return nil }))
		s.Settle()
	}
	const day, hour = 24 * 3600, 3600
	put(1, 10*day)
	put(2, 9*day)
	put(3, 9*day+hour+hour/32)
	assert.Nil(t, s.InputState("a", store.InputID{2}))
}

// What came with another State is looked at when its runtime changes.
func TestRetentionOfWhatWasAdopted(t *testing.T) {
	var s state.State
	s.Retention = store.Retention{ReceiptsPerRun: 1, Inputs: store.Keep{Last: 1}, Payloads: store.Keep{For: time.Second}}
	s.Now = at(100)
	require.NoError(t, s.Do(func() error { return s.Adopt(lived()) }))
	assert.Equal(t, 9, s.Totals().Receipts)
	require.NoError(t, s.Do(func() error { s.PutRuntimeState("a", store.RuntimeIdle); return nil }))
	assert.Equal(t, 3, s.Totals().Receipts)
	assert.Equal(t, 5, s.Totals().InputStates)
	assert.Nil(t, s.InputState("a", store.InputID{7}).PersistedInput)
}

// An input that is too old when it comes goes at once.
func TestRetentionOfWhatComesLate(t *testing.T) {
	var s state.State
	s.Retention.Inputs.For = 64 * time.Second
	s.Now = at(1000)
	for i := range byte(9) {
		require.NoError(t, s.Do(func() error {
			late := inputState(i, store.InputConsumed)
			late.UpdatedAt = at(int64(i))
			s.PutInputState("a", late)
			young := inputState(100+i, store.InputConsumed)
			young.UpdatedAt = at(990)
			s.PutInputState("a", young)
			replaced := inputState(200, store.InputConsumed)
			replaced.UpdatedAt = at(1)
			s.PutInputState("a", replaced)
			s.PutInputState("a", inputState(200, store.InputQueued))
			return nil
		}))
		s.Settle()
		require.EqualValues(t, 2+i, s.InputStates("a").Len())
		require.NotNil(t, s.InputState("a", store.InputID{200}))
	}
}

// What was let go by an operation that failed is let go by the next one.
func TestRetentionAfterAFailure(t *testing.T) {
	var s state.State
	s.Limits.AllInputsPerRuntime = 3
	s.Retention.Inputs.Last = 1
	do := func(changes func()) error {
		defer s.Settle()
		return s.Do(func() error { changes(); return nil })
	}
	put := func(id byte, state store.InputLifecycleState) { s.PutInputState("a", inputState(id, state)) }
	require.NoError(t, do(func() { put(1, store.InputConsumed); put(2, store.InputQueued) }))
	require.ErrorIs(t, do(func() {
		put(3, store.InputConsumed)
		put(4, store.InputQueued)
		put(5, store.InputQueued)
	}), store.ErrLimit)
	assert.NotNil(t, s.InputState("a", store.InputID{1}))
	require.NoError(t, do(func() { put(6, store.InputConsumed) }))
	assert.Nil(t, s.InputState("a", store.InputID{1}))
	assert.Equal(t, 2, s.InputStates("a").Len())
}

func TestRetentionIsValid(t *testing.T) {
	assert.NoError(t, store.Retention{ReceiptsPerRun: 1, Inputs: store.Keep{For: 1}}.Validate())
	err := store.Retention{Payloads: store.Keep{Last: -1}}.Validate()
	require.ErrorIs(t, err, store.ErrInvalidValue)
	assert.ErrorContains(t, err, "payloads.last")

	s := lived()
	assert.Zero(t, pruned(s.Prune("a", store.Retention{ReceiptsPerRun: -1, Runs: -1, Inputs: store.Keep{Last: -1, For: -1}, Payloads: store.Keep{Last: -1, For: -1}}, at(9))))
	assert.Zero(t, pruned(s.Prune("none", store.Retention{Runs: 1}, at(9))))
	assert.Zero(t, s.View("none").WouldPrune(store.Retention{Runs: 1}, at(9)))
}

func inputOf(n int, in store.InputLifecycleState, updated int64) *store.InputState {
	input := inputState(0, in)
	binary.BigEndian.PutUint32(input.InputID[:], uint32(n))
	input.UpdatedAt = at(updated)
	return input
}

// A full runtime whose old inputs make room takes inputs again: a refusal does not set
// the sweep back to its beginning.
func TestRetentionGoesOnAfterRefusals(t *testing.T) {
	var s state.State
	for n := range 1000 {
		s.PutInputState("a", inputOf(n, store.InputQueued, 0))
	}
	for n := 1000; n < 1500; n++ {
		s.PutInputState("a", inputOf(n, store.InputConsumed, 0))
	}
	s.Settle()
	s.Limits.InputsPerRuntime = 1500
	s.Retention.Inputs.For = time.Hour
	s.Now = at(100 * 3600)
	var err error
	for range 100 {
		err = s.Do(func() error { s.PutInputState("a", inputOf(9000, store.InputQueued, 360000)); return nil })
		s.Settle()
	}
	assert.NoError(t, err, "500 inputs should have gone 99 hours ago")
}

// Nor does a call that fails.
func TestRetentionGoesOnAfterFailures(t *testing.T) {
	var s state.State
	for n := range 1000 {
		s.PutInputState("a", inputOf(n, store.InputQueued, 0))
	}
	s.Settle()
	s.Retention.Inputs.Last = 10
	failed := errors.New("failed")
	for n := range 2000 {
		require.NoError(t, s.Do(func() error { s.PutInputState("a", inputOf(2000+n, store.InputConsumed, 0)); return nil }))
		s.Settle()
		require.ErrorIs(t, s.Do(func() error { s.PutRuntimeState("a", store.RuntimeIdle); return failed }), failed)
		s.Settle()
	}
	assert.LessOrEqual(t, s.Totals().InputStates, 1000+10+1000)
}

// An ended input without a payload does not set the search for payloads back.
func TestRetentionOfPayloadsGoesOn(t *testing.T) {
	var s state.State
	for n := range 1500 {
		s.PutInputState("a", inputOf(n, store.InputConsumed, 0))
	}
	s.Settle()
	s.Retention.Payloads.Last = 10
	for n := range 2000 {
		require.NoError(t, s.Do(func() error {
			s.PutInputState("a", inputOf(0, store.InputConsumed, int64(n)))
			in := inputOf(2000+n, store.InputConsumed, 0)
			in.PersistedInput = jsontext.Value(`"payload"`)
			s.PutInputState("a", in)
			return nil
		}))
		s.Settle()
	}
	payloads := 0
	for in := range s.InputStates("a").All() {
		if in.PersistedInput != nil {
			payloads++
		}
	}
	assert.LessOrEqual(t, payloads, 1010)
}

func pruned(removed state.Removed, _ bool) state.Removed { return removed }
