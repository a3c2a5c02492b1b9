package ops_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A weight is of all that a caller can make large, wherever it is.
func TestWeigh(t *testing.T) {
	text := func(n int) *string { return new(string(make([]byte, n))) }
	input := accepted(1)
	input.PersistedInput = make([]byte, 1000)
	input.IdempotencyKey = text(100)
	input.History = []store.HistoryEntry{{Reason: text(10)}, {}}
	input.ReconstructionSource = &store.ReconstructionSource{RuleID: "12", SourceEventID: "345", SourceInputIDs: make([]store.InputID, 2)}
	const inputBytes = 2*112 + 1000 + 100 + 2*80 + 10 + 2 + 3 + 2*16
	commit := commitWith(make([]byte, 5000), input, input)
	commit.ContributingInputIDs = make([]store.InputID, 3)
	receipt := store.RunBoundaryReceipt{ContributingInputIDs: make([]store.InputID, 3), ConversationDigest: text(64)}
	boundary := ops.Weight{Snapshot: 5000, Bytes: 5000 + 3*16 + 2*inputBytes}

	for name, c := range map[string]struct {
		op   interface{ Weigh() ops.Weight }
		want ops.Weight
	}{
		"commit_session_boundary": {&ops.CommitSessionBoundary{Commit: commit}, boundary},
		"atomic_apply": {&ops.AtomicApply{Commit: store.BoundaryApply{
			Session: &store.SessionDelta{SessionSnapshot: make([]byte, 7000)}, Receipt: receipt, InputUpdates: []store.InputState{input},
		}}, ops.Weight{Snapshot: 7000, Bytes: 7000 + 3*16 + 64 + inputBytes}},
		"atomic_apply, no session":    {&ops.AtomicApply{Commit: store.BoundaryApply{Receipt: receipt}}, ops.Weight{Bytes: 3*16 + 64}},
		"persist_input_state":         {&ops.PersistInputState{State: input}, ops.Weight{Bytes: inputBytes}},
		"persist_input_state, little": {&ops.PersistInputState{State: accepted(1)}, ops.Weight{}},
		"atomic_lifecycle_commit":     {&ops.AtomicLifecycleCommit{Commit: store.LifecycleCommit{InputStates: []store.InputState{input, input}}}, ops.Weight{Bytes: 2 * inputBytes}},
		"commit": {&ops.Commit{Batch: batch.Batch{
			If: make([]batch.Condition, 7),
			Then: []batch.Write{
				batch.PutInputState{State: input}, batch.PutRuntimeState{}, nil, batch.CommitBoundary{Commit: commit},
				batch.PutSnapshot{Snapshot: make([]byte, 4000)}, batch.PutReceipt{Receipt: receipt},
			},
		}}, ops.Weight{Snapshot: 5000, Writes: 7, Bytes: inputBytes + boundary.Bytes + 4000 + 3*16 + 64}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, c.op.Weigh()) })
	}
}

// Run refuses what is over a limit of a single call, and changes nothing.
func TestRunUnderLimits(t *testing.T) {
	state := state.State{Limits: store.Limits{SnapshotBytes: 10, BatchWrites: 1}}
	_, err := ops.Run(&state, ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(make([]byte, 11))})
	assert.Equal(t, &store.LimitError{Limit: "snapshot_bytes", Most: 10, Asked: 11}, err)
	put := batch.PutSnapshot{RuntimeID: "a", Snapshot: make([]byte, 10)}
	_, err = ops.Run(&state, ops.Commit{Batch: batch.Batch{Then: []batch.Write{put, put}}})
	assert.Equal(t, &store.LimitError{Limit: "batch_writes", Most: 1, Asked: 2}, err)
	assert.Zero(t, state.Revision())
	_, err = ops.Run(&state, ops.Commit{Batch: batch.Batch{Then: []batch.Write{put}}})
	require.NoError(t, err)
}
