package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func TestAdoptAsksTheLimits(t *testing.T) {
	held := func() *state.State {
		s := new(state.State)
		s.PutInputState("a", inputState(1, store.InputAccepted))
		s.PutInputState("a", inputState(2, store.InputAccepted))
		s.PutSnapshot("a", new(store.SnapshotOf(make([]byte, 10))), nil)
		s.PutSession("a", store.SessionID{1}, new(store.SnapshotOf(make([]byte, 20))))
		s.Settle()
		return s
	}
	total := held().Totals().Bytes()
	for _, c := range []struct {
		limits store.Limits
		asked  int64 // 0 if it is within them
	}{
		{store.Limits{}, 0},
		{store.Limits{InputsPerRuntime: 2, SnapshotBytes: 20, TotalBytes: total}, 0},
		{store.Limits{InputsPerRuntime: 1}, 2},
		{store.Limits{SnapshotBytes: 9}, 10},
		{store.Limits{SnapshotBytes: 19}, 20},
		{store.Limits{TotalBytes: total - 1}, total},
	} {
		s := state.State{Limits: c.limits}
		err := s.Do(func() error { return s.Adopt(held()) })
		if c.asked == 0 {
			require.NoError(t, err)
			assert.Equal(t, total, s.Totals().Bytes())
			continue
		}
		var limit *store.LimitError
		require.ErrorAs(t, err, &limit)
		assert.Equal(t, c.asked, limit.Asked)
		assert.Zero(t, s.Totals())
		assert.Zero(t, s.Version("a"))
	}
}
