package loopstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// onceAndAgain runs a test on a loop in memory, on one with a journal, and on one that is
// opened again before each look at it.
func onceAndAgain(t *testing.T, opts loopstore.Options, test func(t *testing.T, loop func() *loopstore.Loop)) {
	t.Run("in memory", func(t *testing.T) {
		loop := loopstore.New(opts)
		defer loop.Close()
		test(t, func() *loopstore.Loop { return loop })
	})
	t.Run("opened again", func(t *testing.T) {
		engine := journaltest.NewEngine()
		var loop *loopstore.Loop
		defer func() { assert.NoError(t, loop.Close()) }()
		test(t, func() *loopstore.Loop {
			if loop != nil {
				require.NoError(t, loop.Close())
			}
			var err error
			loop, err = loopstore.Open(t.Context(), engine, "p", opts)
			require.NoError(t, err)
			return loop
		})
	})
	t.Run("exported and imported", func(t *testing.T) {
		opts.Activity = true
		loop := loopstore.New(opts)
		defer func() { assert.NoError(t, loop.Close()) }()
		test(t, func() *loopstore.Loop {
			var file, again bytes.Buffer
			require.NoError(t, loop.Export(t.Context(), &file))
			require.NoError(t, loop.Close())
			loop = loopstore.New(opts)
			_, err := loop.Import(t.Context(), bytes.NewReader(file.Bytes()))
			require.NoError(t, err, file.String())
			require.NoError(t, loop.Export(t.Context(), &again))
			require.Equal(t, file.String(), again.String())
			return loop
		})
	})
}

func put(t *testing.T, loop *loopstore.Loop, id byte, key string, state store.InputLifecycleState) error {
	t.Helper()
	input := store.NewInputState(store.InputID{id}, store.Time{})
	if input.CurrentState = state; key != "" {
		input.IdempotencyKey = &key
	}
	return loop.PersistInputState(t.Context(), "agent-1", input)
}

func TestFencingRefusesAStaleClaim(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	require.NoError(t, put(t, loop, 1, "", store.InputQueued))
	queued, ok, err := loop.LoadInput(t.Context(), "agent-1", store.InputID{1})
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, put(t, loop, 2, "", store.InputQueued)) // of another input
	first := move(t.Context(), loop, queued, store.InputStaged)
	back := move(t.Context(), loop, first, store.InputQueued)
	second := move(t.Context(), loop, back, store.InputStaged)

	view, err := loop.View(t.Context(), "agent-1")
	require.NoError(t, err)
	shown, ok := view.Input(store.InputID{1})
	assert.True(t, ok)
	assert.Equal(t, second.Version, shown.Version)
	assert.Equal(t, shown, slices.Collect(view.Inputs())[0])
	assert.Equal(t, shown, view.InputPage(state.Paging{}).Items[0])

	stale := store.Condition(batch.InputVersionIs{RuntimeID: "agent-1", InputID: store.InputID{1}, Version: first.Version})
	for _, c := range []func() error{
		func() error {
			_, err := loop.CommitSessionBoundary(t.Context(), "agent-1", store.BoundaryCommit{
				If: []store.Condition{stale}, Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines},
			})
			return err
		},
		func() error {
			return loop.AtomicApply(t.Context(), "agent-1", store.BoundaryApply{If: []store.Condition{stale}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart}})
		},
		func() error {
			return loop.AtomicLifecycleCommit(t.Context(), "agent-1", store.LifecycleCommit{If: []store.Condition{&batch.InputVersionIs{RuntimeID: "agent-1", InputID: store.InputID{1}}}, RuntimeState: store.RuntimeIdle})
		},
		func() error {
			_, err := loop.Commit(t.Context(), batch.Batch{If: []batch.Condition{stale}, Then: []batch.Write{batch.DeleteRuntime{RuntimeID: "agent-1"}}})
			return err
		},
	} {
		conflict, ok := errors.AsType[*batch.ConflictError](c())
		require.True(t, ok)
		assert.Equal(t, second.Version, conflict.Version)
		after, err := loop.View(t.Context(), "agent-1")
		require.NoError(t, err)
		assert.Same(t, view, after, "nothing has changed")
	}
	require.NoError(t, loop.AtomicApply(t.Context(), "agent-1", store.BoundaryApply{
		If:      []store.Condition{batch.InputVersionIs{RuntimeID: "agent-1", InputID: store.InputID{1}, Version: second.Version}},
		Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}))
}

// Two stores go on from one export. What one does is no fence of the other's.
func TestFencingAcrossAnImport(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	require.NoError(t, put(t, loop, 1, "", store.InputQueued))
	var file bytes.Buffer
	require.NoError(t, loop.Export(t.Context(), &file))
	fences := make(map[uint64]bool)
	lives := []*loopstore.Loop{loop, loopstore.New(loopstore.Options{}), loopstore.New(loopstore.Options{})}
	for _, life := range lives[1:] {
		defer life.Close()
		_, err := life.Import(t.Context(), bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
	}
	for _, life := range lives {
		for range 3 {
			in, _, err := life.LoadInput(t.Context(), "agent-1", store.InputID{1})
			require.NoError(t, err)
			assert.False(t, fences[in.Version], "an earlier fence: %d", in.Version)
			fences[in.Version] = true
			moved := move(t.Context(), life, in, store.InputQueued)
			assert.Greater(t, moved.Version, in.Version)
		}
	}
}

func TestKeysAreEnforced(t *testing.T) {
	opts := loopstore.Options{UniqueKeys: true, Retention: store.Retention{Inputs: store.Keep{Last: 1}, Keys: store.Keep{Last: 2}}}
	onceAndAgain(t, opts, func(t *testing.T, loop func() *loopstore.Loop) {
		refused := func(err error, by byte, there bool) {
			t.Helper()
			taken, ok := errors.AsType[*store.KeyError](err)
			require.True(t, ok, "%v", err)
			assert.ErrorIs(t, err, store.ErrKeyTaken)
			assert.Equal(t, store.KeyError{RuntimeID: "agent-1", InputID: store.InputID{by}, There: there}, *taken)
			assert.NotContains(t, err.Error(), "secret")
		}
		require.NoError(t, put(t, loop(), 1, "secret", store.InputConsumed))
		refused(put(t, loop(), 2, "secret", store.InputQueued), 1, true)
		require.NoError(t, put(t, loop(), 1, "secret", store.InputConsumed), "its own")
		require.NoError(t, put(t, loop(), 2, "other", store.InputConsumed)) // and 1 goes
		refused(put(t, loop(), 3, "secret", store.InputQueued), 1, false)
		refused(put(t, loop(), 1, "secret", store.InputQueued), 1, false)
		in, ok, err := loop().LoadInputByKey(t.Context(), "agent-1", "other")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, store.InputID{2}, in.State.InputID)
		_, ok, err = loop().LoadInputByKey(t.Context(), "agent-1", "secret")
		assert.NoError(t, err)
		assert.False(t, ok, "its input has gone")
		_, err = loop().Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.KeyFree{RuntimeID: "agent-1", Key: "secret"}}})
		assert.ErrorIs(t, err, store.ErrConflict)
		require.NoError(t, put(t, loop(), 4, "third", store.InputConsumed))  // 2 goes
		require.NoError(t, put(t, loop(), 5, "fourth", store.InputConsumed)) // 4 goes, and the key of 1
		require.NoError(t, put(t, loop(), 6, "secret", store.InputQueued), "it is not kept any more")
	})
}

// At the end of a batch no two inputs may have one key. What it does before does not matter.
func TestKeysAreLookedAtAtTheEnd(t *testing.T) {
	loop := loopstore.New(loopstore.Options{UniqueKeys: true})
	defer loop.Close()
	require.NoError(t, put(t, loop, 1, "one", store.InputQueued))
	swapped := func(id byte, key string) batch.Write {
		input := store.NewInputState(store.InputID{id}, store.Time{})
		input.IdempotencyKey = &key
		return batch.PutInputState{RuntimeID: "agent-1", State: input}
	}
	commit := func(writes ...batch.Write) error {
		_, err := loop.Commit(t.Context(), batch.Batch{Then: writes})
		return err
	}
	assert.ErrorIs(t, commit(swapped(2, "two"), swapped(3, "two")), store.ErrKeyTaken)
	assert.ErrorIs(t, commit(swapped(2, "one"), swapped(2, "one")), store.ErrKeyTaken)
	require.NoError(t, commit(swapped(2, "one"), swapped(1, "two")), "they have changed keys")
	require.NoError(t, commit(batch.DeleteInputState{RuntimeID: "agent-1", InputID: store.InputID{1}}, swapped(3, "two")), "no key is kept")
	view, err := loop.View(t.Context(), "agent-1")
	require.NoError(t, err)
	assert.Equal(t, 2, view.NumInputStates())
}

// What holds keys twice is opened, and takes no more of them.
func TestKeysThatAreThereTwiceStay(t *testing.T) {
	engine := journaltest.NewEngine()
	loop := storetest.Open(t, engine, "p", loopstore.Options{})
	for id := range byte(3) {
		require.NoError(t, put(t, loop, id, "k", store.InputQueued))
	}
	require.NoError(t, loop.Close())
	loop = storetest.Open(t, engine, "p", loopstore.Options{UniqueKeys: true})
	require.NoError(t, put(t, loop, 1, "k", store.InputStaged))
	assert.ErrorIs(t, put(t, loop, 4, "k", store.InputQueued), store.ErrKeyTaken)
	first, _, err := loop.LoadInputByKey(t.Context(), "agent-1", "k")
	require.NoError(t, err)
	assert.Equal(t, store.InputID{0}, first.State.InputID)
}

func TestDeletingLeavesATombstone(t *testing.T) {
	opts := loopstore.Options{UniqueKeys: true, Retention: store.Retention{Keys: store.Keep{Last: 10}}, Tombstones: store.Keep{Last: 2}}
	onceAndAgain(t, opts, func(t *testing.T, loop func() *loopstore.Loop) {
		require.NoError(t, put(t, loop(), 1, "k", store.InputConsumed))
		require.NoError(t, loop().AtomicApply(t.Context(), "agent-1", store.BoundaryApply{Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 6}}))
		removed, err := loop().DeleteRuntime(t.Context(), "agent-1")
		require.NoError(t, err)
		assert.Equal(t, 1, removed.Runtimes)
		assert.Equal(t, 0, removed.Tombstones)

		assert.ErrorIs(t, put(t, loop(), 1, "", store.InputQueued), store.ErrDeleted)
		assert.ErrorIs(t, loop().PersistRuntimeState(t.Context(), "agent-1", store.RuntimeIdle), store.ErrDeleted)
		_, err = loop().CommitSessionBoundary(t.Context(), "agent-1", store.BoundaryCommit{Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines}})
		assert.ErrorIs(t, err, store.ErrDeleted)
		require.NoError(t, loop().PersistRuntimeState(t.Context(), "b", store.RuntimeIdle))
		_, err = loop().Commit(t.Context(), batch.Batch{
			If:   []batch.Condition{batch.RuntimeAbsent{RuntimeID: "agent-1"}},
			Then: []batch.Write{batch.PutRuntimeState{RuntimeID: "b", State: store.RuntimeRunning}, batch.PutLabels{RuntimeID: "agent-1"}},
		})
		assert.ErrorIs(t, err, store.ErrDeleted)
		again, err := loop().DeleteRuntime(t.Context(), "agent-1")
		require.NoError(t, err)
		assert.Zero(t, again)
		view, err := loop().View(t.Context(), "agent-1")
		require.NoError(t, err)
		assert.False(t, view.Exists())

		_, err = loop().Commit(t.Context(), batch.Batch{Then: []batch.Write{
			batch.ReviveRuntime{RuntimeID: "agent-1"}, batch.PutRuntimeState{RuntimeID: "agent-1", State: store.RuntimeIdle}, batch.ReviveRuntime{RuntimeID: "never there"},
		}})
		require.NoError(t, err)
		assert.ErrorIs(t, put(t, loop(), 2, "k", store.InputQueued), store.ErrKeyTaken)
		receipt, err := loop().CommitSessionBoundary(t.Context(), "agent-1", store.BoundaryCommit{RunID: store.RunID{9}, Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines}})
		require.NoError(t, err)
		assert.EqualValues(t, 7, receipt.Sequence)
		view, err = loop().View(t.Context(), "never there")
		require.NoError(t, err)
		assert.False(t, view.Exists())

		for _, id := range []store.RuntimeID{"agent-1", "b", "c"} { // the last two stay
			_, err = loop().Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutLabels{RuntimeID: id}, batch.DeleteRuntime{RuntimeID: id}}})
			require.NoError(t, err)
		}
		assert.ErrorIs(t, loop().Fork(t.Context(), "b", 1, "c"), store.ErrDeleted)
		assert.ErrorIs(t, loop().PersistRuntimeState(t.Context(), "b", store.RuntimeIdle), store.ErrDeleted)
		receipt, err = loop().CommitSessionBoundary(t.Context(), "agent-1", store.BoundaryCommit{Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines}})
		require.NoError(t, err)
		assert.Zero(t, receipt.Sequence, "its tombstone has gone")
	})
}

// A tombstone that is too old refuses nothing, also if nothing else has changed since.
func TestDeletingIsForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.NewEngine()
		opts := loopstore.Options{UniqueKeys: true, Tombstones: store.Keep{For: time.Hour}, Retention: store.Retention{Keys: store.Keep{Last: 9}}}
		loop, err := loopstore.Open(t.Context(), engine, "p", opts)
		require.NoError(t, err)
		require.NoError(t, put(t, loop, 1, "k", store.InputQueued))
		_, err = loop.DeleteRuntime(t.Context(), "agent-1")
		require.NoError(t, err)
		_, err = loop.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.KeyFree{RuntimeID: "agent-1", Key: "k"}}})
		assert.ErrorIs(t, err, store.ErrConflict, "the tombstone keeps the key")
		time.Sleep(time.Hour - 1)
		assert.ErrorIs(t, put(t, loop, 1, "k", store.InputQueued), store.ErrDeleted)
		time.Sleep(time.Nanosecond)
		require.NoError(t, put(t, loop, 1, "k", store.InputQueued))
		assert.Zero(t, loop.Stats().Held.Tombstones)
		require.NoError(t, loop.Close())
		loop, err = loopstore.Open(t.Context(), engine, "p", opts)
		require.NoError(t, err)
		assert.Equal(t, 1, loop.Stats().Held.Runtimes)
		require.NoError(t, loop.Close())
	})
}

func TestListingByActivityAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.NewEngine()
		loop, err := loopstore.Open(t.Context(), engine, "p", loopstore.Options{Tombstones: store.Keep{Last: 100}})
		require.NoError(t, err)
		defer func() { assert.NoError(t, loop.Close()) }()
		for n := range 5 {
			id := store.RuntimeID(fmt.Sprint("agent-", n))
			_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{
				batch.PutLabels{RuntimeID: id, Labels: map[string]string{"even": fmt.Sprint(n%2 == 0)}},
				batch.PutInputState{RuntimeID: id, State: store.NewInputState(store.InputID{1}, store.Time{})},
			}})
			require.NoError(t, err)
			time.Sleep(time.Hour)
		}
		require.NoError(t, loop.PersistRuntimeState(t.Context(), "agent-1", store.RuntimeIdle))
		_, err = loop.Prune(t.Context(), "agent-0", store.Retention{Runs: 1}) // no activity
		require.NoError(t, err)
		list := func(l state.Listing) (ids []store.RuntimeID) {
			for summary, err := range loop.Runtimes(t.Context(), l) {
				require.NoError(t, err)
				ids = append(ids, summary.RuntimeID)
				assert.Equal(t, map[store.InputLifecycleState]int{store.InputAccepted: 1}, summary.CountInputStates())
				assert.False(t, summary.Made.Time().After(summary.Active.Time()))
			}
			return ids
		}
		assert.Equal(t, []store.RuntimeID{"agent-1", "agent-4", "agent-3", "agent-2", "agent-0"}, list(state.Listing{ByActivity: true}))
		assert.Equal(t, []store.RuntimeID{"agent-0", "agent-2", "agent-4"}, list(state.Listing{Labels: map[string]string{"even": "true"}}))
		assert.Equal(t, []store.RuntimeID{"agent-1"}, list(state.Listing{States: []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning}}))
		assert.Equal(t, []store.RuntimeID{"agent-3"}, list(state.Listing{Prefix: "agent-3", Inputs: []store.InputLifecycleState{store.InputAccepted}}))
		assert.Empty(t, list(state.Listing{Inputs: []store.InputLifecycleState{store.InputQueued}}))
		for _, err := range loop.Runtimes(t.Context(), state.Listing{States: []store.RuntimeState{"x"}, ByActivity: true}) {
			assert.ErrorIs(t, err, store.ErrInvalidValue)
		}

		expire := func(dryRun bool, states ...store.InputLifecycleState) int {
			removed, err := loop.ExpireIdle(t.Context(), 3*time.Hour, dryRun, states...)
			require.NoError(t, err)
			return removed.Runtimes
		}
		assert.Equal(t, 0, expire(false), "all have an input that has not ended")
		assert.Equal(t, 2, expire(true, store.InputAccepted))
		assert.Len(t, list(state.Listing{}), 5)
		assert.Equal(t, 2, expire(false, store.InputAccepted, store.InputAccepted))
		assert.Equal(t, []store.RuntimeID{"agent-1", "agent-3", "agent-4"}, list(state.Listing{}))
		assert.ErrorIs(t, loop.PersistRuntimeState(t.Context(), "agent-0", store.RuntimeIdle), store.ErrDeleted)
	})
}

func TestListingWithoutActivity(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "agent-1", store.RuntimeIdle))
	for summary, err := range loop.Runtimes(t.Context(), state.Listing{ByActivity: true}) {
		require.NoError(t, err)
		assert.Zero(t, summary.Active)
	}
	_, err := loop.ExpireIdle(t.Context(), 0, false)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

// However many keys a runtime has kept: if its deletion can be stored, so can its revival,
// and it holds up nobody's expiry.
func TestDeletingManyKeysFitsAnyJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 32 << 10})
		opts := loopstore.Options{
			UniqueKeys: true, Tombstones: store.Keep{Last: 9},
			Retention: store.Retention{Inputs: store.Keep{Last: 2}, Keys: store.Keep{Last: 10_000}},
		}
		loop, err := loopstore.Open(t.Context(), engine, "p", opts)
		require.NoError(t, err)
		defer func() { assert.NoError(t, loop.Close()) }()
		for n := range 600 {
			input := store.NewInputState(store.NewInputID(), store.Time{})
			input.CurrentState, input.IdempotencyKey = store.InputConsumed, new(fmt.Sprintf("key-%d", n))
			require.NoError(t, loop.PersistInputState(t.Context(), "agent-1", input))
		}
		require.NoError(t, loop.PersistRuntimeState(t.Context(), "later", store.RuntimeIdle))
		time.Sleep(time.Hour)
		removed, err := loop.ExpireIdle(t.Context(), time.Minute, false)
		require.NoError(t, err)
		assert.Equal(t, 2, removed.Runtimes)
		_, err = loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.ReviveRuntime{RuntimeID: "agent-1"}}})
		require.NoError(t, err)
		view, err := loop.View(t.Context(), "agent-1")
		require.NoError(t, err)
		keys := slices.Collect(view.Keys())
		assert.Greater(t, len(keys), 50)
		assert.Equal(t, "key-599", keys[len(keys)-1].Key, "the last ones")
	})
}
