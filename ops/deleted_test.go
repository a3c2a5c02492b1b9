package ops_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A call that is applied in steps is checked like its request.
func TestACallToADeletedRuntimeIsRefused(t *testing.T) {
	s := &state.State{Tombstones: store.Keep{Last: 9}}
	f := ops.Forward(func(_ context.Context, c ops.Call) error {
		if err := c.Prepare(s); err != nil {
			return err
		}
		err := ops.Apply(s, c)
		s.Settle().Wake()
		return err
	})
	put := func(id store.RuntimeID) batch.Write {
		return batch.PutSnapshot{RuntimeID: id, Snapshot: []byte("x")}
	}
	_, err := f.Commit(t.Context(), batch.Batch{Then: []batch.Write{put("a"), put("b"), batch.DeleteRuntime{RuntimeID: "b"}}})
	require.NoError(t, err)
	require.ErrorIs(t, f.Fork(t.Context(), "a", 1, "b"), store.ErrDeleted)
	require.ErrorIs(t, f.Fork(t.Context(), "b", 1, "c"), store.ErrNoVersion)
	require.ErrorIs(t, f.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle), store.ErrDeleted)
	assert.Zero(t, s.Version("b"))
}

// A receipt of the caller's own does not lead back to sequences that were minted before.
func TestARevivedRuntimeMintsNoSequenceAgain(t *testing.T) {
	s := &state.State{Tombstones: store.Keep{Last: 9}}
	receipt := func(sequence uint64) batch.Write {
		return batch.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: sequence}}
	}
	boundary := batch.CommitBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))}
	boundary.Commit.RunID = store.RunID{1}
	_, err := commit(s, batch.Batch{Then: []batch.Write{receipt(7), batch.DeleteRuntime{RuntimeID: "a"}}})
	require.NoError(t, err)
	result, err := commit(s, batch.Batch{Then: []batch.Write{batch.ReviveRuntime{RuntimeID: "a"}, receipt(2), boundary, boundary}})
	require.NoError(t, err)
	assert.EqualValues(t, 8, result.Receipts[0].Sequence)
	assert.EqualValues(t, 9, result.Receipts[1].Sequence)
}

// A key that was kept, and that an input has again, is in the tombstone once.
func TestATombstoneHasEachKeyOnce(t *testing.T) {
	s := &state.State{Tombstones: store.Keep{Last: 9}, Retention: store.Retention{Keys: store.Keep{Last: 9}}}
	put := func(n byte, key string) batch.Write { return batch.PutInputState{RuntimeID: "a", State: keyed(n, key)} }
	gone := func(n byte) batch.Write {
		return batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{n}}
	}
	_, err := commit(s, batch.Batch{Then: []batch.Write{
		put(1, "one"), put(2, "two"), gone(1), gone(2), put(3, "one"),
		batch.DeleteRuntime{RuntimeID: "a"}, batch.ReviveRuntime{RuntimeID: "a"},
	}})
	require.NoError(t, err)
	var kept []store.InputID
	for k := range s.View("a").Keys() {
		kept = append(kept, k.InputID)
	}
	assert.Equal(t, []store.InputID{{2}, {3}}, kept)
	assert.Equal(t, 2, s.Totals().Keys)
}
