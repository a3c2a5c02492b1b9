package state_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func inputState(n byte, s store.InputLifecycleState) *store.InputState {
	state := store.NewInputState(store.InputID{n}, store.Time{})
	state.CurrentState = s
	return &state
}

func TestInsertionOrder(t *testing.T) {
	var s state.State
	for _, n := range []byte{5, 3, 9} {
		s.PutInputState("a", inputState(n, store.InputAccepted))
	}
	before := s.InputStates("a")
	replacement := inputState(3, store.InputStaged)
	s.PutInputState("a", replacement)
	s.PutInputState("a", inputState(1, store.InputAccepted))

	var order []byte
	for state := range s.InputStates("a").All() {
		order = append(order, state.InputID[0])
	}
	assert.Equal(t, []byte{5, 3, 9, 1}, order)
	assert.Same(t, replacement, s.InputState("a", store.InputID{3}))
	kept := slices.Collect(before.All())
	require.Len(t, kept, 3)
	assert.Equal(t, store.InputAccepted, kept[1].CurrentState, "what came out before stays as it was")
	assert.Equal(t, 3, before.Len())
}

func TestNextSequence(t *testing.T) {
	var s state.State
	one, other := store.RunID{1}, store.RunID{2}
	next := func(id store.RuntimeID, run store.RunID) uint64 {
		n, err := s.NextSequence(id, run)
		require.NoError(t, err)
		return n
	}
	put := func(sequence uint64) *state.Receipt {
		r := state.NewReceipt(&store.RunBoundaryReceipt{RunID: one, Boundary: store.RunStart, Sequence: sequence})
		s.PutReceipt("a", r)
		return r
	}
	assert.Zero(t, next("a", one))
	put(0)
	assert.EqualValues(t, 1, next("a", one))
	put(7)
	put(3)
	assert.EqualValues(t, 8, next("a", one), "follows the highest, whatever came last")
	again := put(7)
	assert.EqualValues(t, 8, next("a", one))
	assert.Same(t, again, s.Receipt("a", one, 7))
	assert.Zero(t, next("a", other), "runs count apart")
	assert.Zero(t, next("b", one), "runtimes count apart")

	put(math.MaxUint64 - 1)
	assert.EqualValues(t, uint64(math.MaxUint64), next("a", one))
	put(math.MaxUint64)
	_, err := s.NextSequence("a", one)
	require.ErrorIs(t, err, store.ErrSequenceExhausted)
	var e *store.SequenceError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, one, e.RunID)
	assert.Zero(t, next("a", other))
}

func TestErrorTexts(t *testing.T) {
	err := &store.OpError{Op: "persist_input_state", RuntimeID: "agent-1", OnRuntime: true, Err: store.InField("a", store.InField("b", &store.ValueError{Reason: "null"}))}
	assert.Equal(t, `persist_input_state of runtime "agent-1": invalid value: a.b: null (nothing was applied)`, err.Error())
	require.ErrorIs(t, err, store.ErrInvalidValue)
	panicked := &store.PanicError{Value: "x"}
	err = &store.OpError{Op: "persist_input_state", RuntimeID: "agent-1", OnRuntime: true, Err: panicked}
	assert.NotContains(t, err.Error(), "applied", "of the call that panicked nobody can say")
	err.Err = fmt.Errorf("an earlier operation panicked: %w", panicked)
	assert.Contains(t, err.Error(), "nothing was applied")
	require.ErrorIs(t, err, store.ErrFailed)
	for text, err := range map[string]error{
		`commit: write 2 of runtime "a": receipt conflicts with the one that stands: run 01000000-0000-0000-0000-000000000000, sequence 7 (nothing was applied)`: &store.OpError{
			Op: "commit", Err: &batch.WriteError{Index: 2, RuntimeID: "a", Err: &store.ReceiptError{RunID: store.RunID{1}, Sequence: 7}},
		},
		`session key is not the snapshot's id: the key is 01000000-0000-0000-0000-000000000000, the id is 02000000-0000-0000-0000-000000000000`: &state.SessionKeyError{
			Key: store.SessionID{1}, ID: store.SessionID{2},
		},
	} {
		assert.EqualError(t, err, text)
	}
	long := &store.OpError{Op: "x", RuntimeID: store.RuntimeID(make([]byte, 1<<20)), OnRuntime: true, Err: store.ErrClosed}
	assert.Less(t, len(long.Error()), 1000, "an error does not repeat a large id")
	long.RuntimeID = store.RuntimeID("x" + strings.Repeat("ééé", 99))
	assert.NotContains(t, long.Error(), `\x`, "nor cuts a character in two")
	assert.Equal(t, store.ErrClosed, store.InField("a", store.ErrClosed))
	assert.NoError(t, store.InField("a", nil))
}
