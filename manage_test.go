package loopstore_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// A listing is whole though runtimes come and go while it is made.
func TestListing(t *testing.T) {
	loop := storetest.New(t)
	name := func(i int) store.RuntimeID { return store.RuntimeID(fmt.Sprint("agent-", i)) }
	for i := range 25 {
		require.NoError(t, loop.PersistRuntimeState(t.Context(), name(i), store.RuntimeIdle))
	}
	var seen []store.RuntimeID
	for summary, err := range loop.Runtimes(t.Context(), state.Listing{Paging: state.Paging{Limit: 4}}) {
		require.NoError(t, err)
		seen = append(seen, summary.RuntimeID)
		if summary.RuntimeID == name(5) {
			_, err := loop.DeleteRuntime(t.Context(), name(20)) // not yet listed
			require.NoError(t, err)
			require.NoError(t, loop.PersistRuntimeState(t.Context(), name(25), store.RuntimeIdle))
			_, err = loop.DeleteRuntime(t.Context(), name(3)) // listed
			require.NoError(t, err)
		}
	}
	var want []store.RuntimeID
	for i := range 26 {
		if i != 20 {
			want = append(want, name(i))
		}
	}
	assert.Equal(t, want, seen)

	page, err := loopstore.Do(t.Context(), loop, ops.ListRuntimes{Listing: state.Listing{Paging: state.Paging{Limit: 23}}})
	require.NoError(t, err)
	assert.True(t, page.More, "it was cut, and says so")
	page, err = loopstore.Do(t.Context(), loop, ops.ListRuntimes{Listing: state.Listing{Paging: state.Paging{From: page.Next}}})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	assert.Equal(t, name(25), page.Items[0].RuntimeID)
	assert.False(t, page.More)

	for _, err := range loop.Runtimes(t.Context(), state.Listing{}) {
		require.NoError(t, err)
		break // may be left at any time
	}
	ended, end := context.WithCancel(t.Context())
	end()
	errs := 0
	for _, err := range loop.Runtimes(ended, state.Listing{}) {
		require.ErrorIs(t, err, context.Canceled)
		errs++
	}
	assert.Equal(t, 1, errs)
}

func TestListingOfOneRuntime(t *testing.T) {
	loop := storetest.New(t)
	run := store.NewRunID()
	for i := range byte(6) {
		input := store.NewInputState(store.InputID{i}, store.Time{})
		if i%2 == 0 {
			input.CurrentState = store.InputQueued
		}
		require.NoError(t, loop.AtomicApply(t.Context(), "a", store.BoundaryApply{
			Receipt:      store.RunBoundaryReceipt{RunID: run, Boundary: store.RunStart, Sequence: uint64(i)},
			InputUpdates: []store.InputState{input},
		}))
	}
	view, err := loop.View(t.Context(), "a")
	require.NoError(t, err)
	inputs := view.InputPage(state.Paging{Limit: 2}, store.InputQueued)
	require.Len(t, inputs.Items, 2)
	assert.Equal(t, store.InputID{2}, inputs.Items[1].State.InputID)
	assert.True(t, inputs.More)
	receipts := view.ReceiptPage(state.Paging{Limit: 4}, run)
	receipts = view.ReceiptPage(state.Paging{From: receipts.Next}, run)
	require.Len(t, receipts.Items, 2)
	assert.EqualValues(t, 5, receipts.Items[1].Sequence)
	assert.False(t, receipts.More)
}

// Deleting takes everything, and says what that was.
func TestDeleting(t *testing.T) {
	loop := storetest.New(t)
	session := store.NewSessionID()
	apply := store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("any")}, SessionStoreKey: &session,
		Receipt:      store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: 7},
		InputUpdates: []store.InputState{store.NewInputState(store.InputID{1}, store.Time{})},
	}
	require.NoError(t, loop.AtomicApply(t.Context(), "a", apply))
	require.NoError(t, loop.AtomicApply(t.Context(), "b", store.BoundaryApply{Receipt: apply.Receipt}))
	view, err := loop.View(t.Context(), "a")
	require.NoError(t, err)

	removed, err := loop.DeleteRuntime(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, state.Removed{Totals: store.Totals{
		Runtimes: 1, InputStates: 1, Runs: 1, Receipts: 1, Snapshots: 1, Sessions: 1,
		RuntimeBytes: 1201, InputBytes: 400, ReceiptBytes: 160 + 160, SnapshotBytes: 2*320 + 150 + 170 + 3,
	}}, removed)
	assert.False(t, view.Current())
	after, err := loop.View(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, after.Exists())
	_, ok, err := loop.LoadSession(t.Context(), session)
	require.NoError(t, err)
	assert.False(t, ok)
	again, err := loop.DeleteRuntime(t.Context(), "a")
	require.NoError(t, err)
	assert.Zero(t, again)
	_, ok, err = loop.LoadBoundaryReceipt(t.Context(), "b", store.RunID{}, 7)
	require.NoError(t, err)
	assert.True(t, ok, "another runtime's are its own")
	_, err = loop.DeleteRuntime(t.Context(), "\xff")
	require.ErrorIs(t, err, store.ErrInvalidValue)
}

// Pruning does what it says that it would.
func TestPruning(t *testing.T) {
	loop := storetest.New(t)
	for i := range byte(9) {
		state := store.NewInputState(store.InputID{i}, store.TimeOf(time.Now().Add(-time.Hour)))
		state.PersistedInput = jsontext.Value(`{"secret":1}`)
		if i > 2 {
			state.CurrentState = store.InputConsumed
		}
		require.NoError(t, loop.PersistInputState(t.Context(), "a", state))
	}
	keep := store.Retention{Inputs: store.Keep{Last: 4}, Payloads: store.Keep{For: time.Minute}}
	would, err := loop.WouldPrune(t.Context(), "a", keep)
	require.NoError(t, err)
	assert.Equal(t, 2, would.InputStates)
	assert.Equal(t, 4, would.Payloads)
	states, err := loop.LoadInputStates(t.Context(), "a")
	require.NoError(t, err)
	assert.Len(t, states, 9, "it has not")
	removed, err := loop.Prune(t.Context(), "a", keep)
	require.NoError(t, err)
	assert.Equal(t, would, removed)
	states, err = loop.LoadInputStates(t.Context(), "a")
	require.NoError(t, err)
	assert.Len(t, states, 7)
	for _, state := range states {
		assert.Equal(t, state.CurrentState.IsTerminal(), state.PersistedInput == nil)
	}
	again, err := loop.Prune(t.Context(), "a", keep)
	require.NoError(t, err)
	assert.Zero(t, again)

	keep.Runs = -1
	_, err = loop.Prune(t.Context(), "a", keep)
	require.ErrorIs(t, err, store.ErrInvalidValue)
	_, err = loop.WouldPrune(t.Context(), "a", keep)
	require.ErrorIs(t, err, store.ErrInvalidValue)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = loop.WouldPrune(ended, "a", store.Retention{})
	require.ErrorIs(t, err, context.Canceled)
}

// Retention is applied as operations come.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := loopstore.New(loopstore.Options{Retention: store.Retention{
			ReceiptsPerRun: 2, Inputs: store.Keep{For: time.Hour},
		}})
		defer loop.Close()
		run := store.NewRunID()
		for i := range uint64(5) {
			ended := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
			ended.CurrentState = store.InputConsumed
			receipt, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte(snapshot)}, RunID: run, Boundary: store.RunStart,
				InputUpdates: []store.InputState{ended},
			})
			require.NoError(t, err)
			assert.Equal(t, i, receipt.Sequence)
			time.Sleep(20 * time.Minute)
		}
		view, err := loop.View(t.Context(), "a")
		require.NoError(t, err)
		assert.EqualValues(t, 5, view.Version(), "they go with the operation, not after it")
		assert.Equal(t, 2, view.Summary().Held.Receipts)
		assert.Equal(t, 3, view.NumInputStates())
	})
}

// A call beyond a limit is refused whole, and says which.
func TestLimits(t *testing.T) {
	loop := loopstore.New(loopstore.Options{Limits: store.Limits{InputsPerRuntime: 2}})
	defer loop.Close()
	input := func(i byte) store.InputState { return store.NewInputState(store.InputID{i}, store.Time{}) }
	require.NoError(t, loop.PersistInputState(t.Context(), "a", input(1)))
	_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: []byte(snapshot)}, Boundary: store.RunStart,
		InputUpdates: []store.InputState{input(2), input(3)},
	})
	require.ErrorIs(t, err, store.ErrLimit)
	require.EqualError(t, err, `commit_session_boundary of runtime "a": limit exceeded: inputs_per_runtime would be 3, the most is 2 (nothing was applied)`)
	_, ok, err := loop.LoadSessionSnapshot(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, ok)
	_, err = loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{
		batch.PutInputState{RuntimeID: "b", State: input(1)}, batch.PutInputState{RuntimeID: "a", State: input(2)},
		batch.PutInputState{RuntimeID: "a", State: input(3)}, batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}},
	}})
	require.NoError(t, err, "it is what stands in the end that counts")
}
