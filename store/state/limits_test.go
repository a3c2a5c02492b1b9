package state_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// What is beyond a limit is refused whole; what is within it is as without.
func TestLimits(t *testing.T) {
	refused := map[string]int{}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 6))
		var limited, plain state.State
		limited.Limits = store.Limits{InputsPerRuntime: 2, TotalBytes: 9000}
		for range 60 {
			step := r.Uint64()
			do := func(s *state.State) error {
				r := rand.New(rand.NewPCG(step, 7))
				for range 1 + r.IntN(3) {
					change(s, r)
				}
				return nil
			}
			before := all(&limited)
			err := limited.Do(func() error { return do(&limited) })
			limited.Settle()
			if err != nil {
				var limit *store.LimitError
				require.ErrorAs(t, err, &limit)
				require.ErrorIs(t, err, store.ErrLimit)
				require.NotErrorIs(t, err, store.ErrBusy)
				require.Greater(t, limit.Asked, limit.Most)
				require.Equal(t, before, all(&limited), "seed %d", seed)
				refused[limit.Limit]++
				continue
			}
			require.NoError(t, do(&plain))
			plain.Settle()
			require.Equal(t, all(&plain), all(&limited), "seed %d", seed)
			require.LessOrEqual(t, limited.Totals().Bytes(), int64(9000))
		}
	}
	assert.Greater(t, refused["inputs_per_runtime"], 10)
	assert.Greater(t, refused["total_bytes"], 10)
}

// A limit that is set too late is no reason to refuse what adds nothing.
func TestLimitsOfWhatIsThere(t *testing.T) {
	var s state.State
	for i := range byte(5) {
		s.PutInputState("a", inputState(i, store.InputQueued))
	}
	s.Settle()
	s.Limits = store.Limits{InputsPerRuntime: 2, TotalBytes: 1}
	try := func(changes func()) error {
		defer s.Settle()
		return s.Do(func() error { changes(); return nil })
	}
	assert.NoError(t, try(func() { s.PutInputState("a", inputState(1, store.InputConsumed)) }))
	assert.NoError(t, try(func() { s.PutRuntimeState("a", store.RuntimeIdle) }))
	assert.NoError(t, try(func() { s.DeleteInputState("a", store.InputID{1}) }))
	err := try(func() { s.PutInputState("a", inputState(9, store.InputQueued)) })
	assert.Equal(t, &store.LimitError{Limit: "inputs_per_runtime", Most: 2, Asked: 5}, err)
	assert.EqualError(t, err, "limit exceeded: inputs_per_runtime would be 5, the most is 2")
	s.Limits.TotalBytes = 0
	assert.NoError(t, try(func() {
		s.PutInputState("a", inputState(9, store.InputConsumed))
		s.PutInputState("a", inputState(8, store.InputConsumed))
	}), "those that have ended do not count")
	s.Limits = store.Limits{AllInputsPerRuntime: 2, TotalBytes: 1}
	err = try(func() { s.PutInputState("a", inputState(7, store.InputConsumed)) })
	assert.Equal(t, &store.LimitError{Limit: "all_inputs_per_runtime", Most: 2, Asked: 7}, err)
	s.Limits.AllInputsPerRuntime = 0
	err = try(func() { s.PutInputState("a", inputState(6, store.InputQueued)) })
	assert.ErrorIs(t, err, store.ErrLimit)
	assert.NoError(t, try(func() { s.DeleteRuntime("a") }))
	assert.Zero(t, s.Totals())
}
