package ops_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t *testing.T) store.RuntimeStore {
	l := loopstore.New(loopstore.Options{})
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

// documentOf is a session document whose conversation is messages.
func documentOf(messages string) []byte {
	return []byte(`{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":` + messages +
		`,"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`)
}

const conversation = `[{"role":"user","content":"hello"}]`

func accepted(n byte) store.InputState {
	return store.NewInputState(store.InputID{n}, store.Time{})
}

func loadInput(t *testing.T, s store.RuntimeStore, id store.RuntimeID, input store.InputID) store.InputState {
	state, ok, err := s.LoadInputState(t.Context(), id, input)
	require.NoError(t, err)
	require.True(t, ok)
	return state
}

// TestMeerkat holds Meerkat's own tests, under their names.
func TestMeerkat(t *testing.T) {
	for name, test := range map[string]func(*testing.T, context.Context, store.RuntimeStore){
		"atomic_apply_roundtrip":                                atomicApplyRoundtrip,
		"persist_and_load_single_state":                         persistAndLoadSingleState,
		"load_nonexistent_returns_none":                         loadNonexistentReturnsNone,
		"atomic_apply_updates_existing":                         atomicApplyUpdatesExisting,
		"commit_session_boundary_returns_authoritative_receipt": commitSessionBoundaryReturnsAuthoritativeReceipt,
		"multiple_runtimes_isolated":                            multipleRuntimesIsolated,
		"load_session_snapshot_roundtrip":                       loadSessionSnapshotRoundtrip,
	} {
		t.Run(name, func(t *testing.T) { test(t, t.Context(), newStore(t)) })
	}
}

func atomicApplyRoundtrip(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	run := store.NewRunID()
	receipt := store.RunBoundaryReceipt{
		RunID: run, Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}, Sequence: 3,
	}
	require.NoError(t, s.AtomicApply(ctx, "a", store.BoundaryApply{
		Session:      &store.SessionDelta{SessionSnapshot: []byte("not a document")},
		Receipt:      receipt,
		InputUpdates: []store.InputState{accepted(1)},
	}))
	states, err := s.LoadInputStates(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, []store.InputState{accepted(1)}, states, "not stamped")
	got, ok, err := s.LoadBoundaryReceipt(ctx, "a", run, 3)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, receipt, got)
	snapshot, ok, err := s.LoadSessionSnapshot(ctx, "a")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "not a document", string(snapshot))
}

func persistAndLoadSingleState(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	require.NoError(t, s.PersistInputState(ctx, "a", accepted(1)))
	assert.Equal(t, accepted(1), loadInput(t, s, "a", store.InputID{1}))
}

func loadNonexistentReturnsNone(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	states, err := s.LoadInputStates(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, []store.InputState{}, states)
	input, ok, err := s.LoadInputState(ctx, "a", store.InputID{1})
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Zero(t, input)
	receipt, ok, err := s.LoadBoundaryReceipt(ctx, "a", store.RunID{}, 0)
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Zero(t, receipt)
	snapshot, ok, err := s.LoadSessionSnapshot(ctx, "a")
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Nil(t, snapshot)
	state, ok, err := s.LoadRuntimeState(ctx, "a")
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Empty(t, state)
}

func atomicApplyUpdatesExisting(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	apply := func(sequence uint64, state store.InputState) {
		require.NoError(t, s.AtomicApply(ctx, "a", store.BoundaryApply{
			Receipt:      store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{state.InputID}, Sequence: sequence},
			InputUpdates: []store.InputState{state},
		}))
	}
	apply(0, accepted(1))
	update := accepted(1)
	update.CurrentState = store.InputApplied
	apply(1, update)
	states, err := s.LoadInputStates(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, []store.InputState{update}, states, "one state, the updated one")
}

func commitSessionBoundaryReturnsAuthoritativeReceipt(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	run := store.NewRunID()
	sum := sha256.Sum256([]byte(conversation))
	for sequence := range uint64(3) {
		receipt, err := s.CommitSessionBoundary(ctx, "a", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: documentOf(conversation)},
			RunID:   run, Boundary: store.RunCheckpoint,
			ContributingInputIDs: []store.InputID{{1}, {1}, {2}},
			InputUpdates:         []store.InputState{accepted(1), accepted(3)},
		})
		require.NoError(t, err)
		assert.Equal(t, store.RunBoundaryReceipt{
			RunID: run, Boundary: store.RunCheckpoint,
			ContributingInputIDs: []store.InputID{{1}, {1}, {2}},
			ConversationDigest:   new(hex.EncodeToString(sum[:])), MessageCount: 1, Sequence: sequence,
		}, receipt)
		stored, ok, err := s.LoadBoundaryReceipt(ctx, "a", run, sequence)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, receipt, stored)
		for _, n := range []byte{1, 3} {
			stamped := accepted(n)
			stamped.LastRunID, stamped.LastBoundarySequence = new(run), new(sequence)
			assert.Equal(t, stamped, loadInput(t, s, "a", store.InputID{n}))
		}
	}
}

func multipleRuntimesIsolated(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	require.NoError(t, s.PersistInputState(ctx, "a", accepted(1)))
	require.NoError(t, s.PersistInputState(ctx, "b", accepted(2)))
	require.NoError(t, s.PersistInputState(ctx, "b", accepted(3)))
	for id, want := range map[store.RuntimeID][]store.InputState{"a": {accepted(1)}, "b": {accepted(2), accepted(3)}, "": {}} {
		states, err := s.LoadInputStates(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, want, states)
	}
	require.NoError(t, s.PersistRuntimeState(ctx, "", store.RuntimeStopped))
	_, ok, err := s.LoadRuntimeState(ctx, "a")
	require.NoError(t, err)
	assert.False(t, ok)
	state, ok, err := s.LoadRuntimeState(ctx, "")
	require.NoError(t, err)
	assert.True(t, ok, "the empty id is an id")
	assert.Equal(t, store.RuntimeStopped, state)
}

func loadSessionSnapshotRoundtrip(t *testing.T, ctx context.Context, s store.RuntimeStore) {
	snapshot, ok, err := s.LoadSessionSnapshot(ctx, "a")
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Nil(t, snapshot)
	for sequence, text := range []string{"any bytes", " \n" + string(documentOf(conversation)) + "\t", ""} {
		require.NoError(t, s.AtomicApply(ctx, "a", store.BoundaryApply{
			Session: &store.SessionDelta{SessionSnapshot: []byte(text)},
			Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: uint64(sequence)},
		}))
		snapshot, ok, err := s.LoadSessionSnapshot(ctx, "a")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, text, string(snapshot), "byte for byte")
	}
}
