package ops_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func keyed(n byte, key string) store.InputState {
	state := store.NewInputState(store.InputID{n}, store.Time{})
	state.IdempotencyKey = &key
	return state
}

func commit(s *state.State, b batch.Batch) (batch.Result, error) {
	return ops.Run(s, ops.Commit{Batch: b})
}

// batched is a State with one runtime, made by one batch.
func batched(t *testing.T) *state.State {
	t.Helper()
	s := new(state.State)
	result, err := commit(s, batch.Batch{Then: []batch.Write{
		batch.PutInputState{RuntimeID: "a", State: keyed(1, "one")},
		batch.PutInputState{RuntimeID: "a", State: keyed(2, "two")},
		batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle},
		batch.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 7}},
		batch.CommitBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))},
	}})
	require.NoError(t, err)
	require.EqualValues(t, 1, result.Revision)
	require.Len(t, result.Receipts, 1)
	return s
}

func TestConditions(t *testing.T) {
	s := batched(t)
	receipt, ok := s.View("a").LatestReceipt()
	require.True(t, ok)
	digest := *receipt.ConversationDigest
	other := strings.Repeat("0f", 32)
	one, none := store.InputID{1}, store.InputID{9}
	for _, c := range []struct {
		holds, fails batch.Condition
		want, stands string
	}{
		{batch.VersionIs{RuntimeID: "a", Version: 1}, batch.VersionIs{RuntimeID: "a", Version: 2}, "version 2", "version 1"},
		{batch.VersionIs{RuntimeID: "b"}, batch.VersionIs{RuntimeID: "a"}, "no runtime", "version 1"},
		{batch.RuntimeExists{RuntimeID: "a"}, batch.RuntimeExists{RuntimeID: "b"}, "a runtime", "none"},
		{batch.RuntimeAbsent{RuntimeID: "b"}, batch.RuntimeAbsent{RuntimeID: "a"}, "no runtime", "version 1"},
		{
			batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeRunning, store.RuntimeIdle}},
			batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeRunning}}, `a state of ["running"]`, "idle",
		},
		{
			batch.RuntimeStateIs{RuntimeID: "b", OrNone: true},
			batch.RuntimeStateIs{RuntimeID: "a", OrNone: true}, "no state", "idle",
		},
		{
			&batch.RuntimeStateIs{RuntimeID: "b", OrNone: true},
			batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeRunning}, OrNone: true}, `a state of ["running"], or none`, "idle",
		},
		{
			batch.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
			batch.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}},
			`input ` + one.String() + ` in a state of ["queued"]`, "accepted",
		},
		{batch.InputAbsent{RuntimeID: "a", InputID: none}, batch.InputAbsent{RuntimeID: "a", InputID: one}, "no input " + one.String(), "accepted"},
		{batch.SessionDigestIs{RuntimeID: "a", Digest: digest}, batch.SessionDigestIs{RuntimeID: "a", Digest: other}, "conversation digest " + other, digest},
		{batch.SessionDigestIs{RuntimeID: "b"}, batch.SessionDigestIs{RuntimeID: "a"}, "conversation digest none", digest},
		{
			batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 6},
			batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 7}, "no receipt 7 of run " + store.RunID{1}.String(), "one",
		},
		{batch.KeyFree{RuntimeID: "a", Key: "three"}, batch.KeyFree{RuntimeID: "a", Key: "one"}, "an idempotency key that is free", "one that is taken"},
		{batch.KeyFree{RuntimeID: "b", Key: "one"}, batch.InputStateIs{RuntimeID: "b", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}}, "input " + one.String() + ` in a state of ["queued"]`, "none"},
	} {
		_, err := commit(s, batch.Batch{If: []batch.Condition{c.holds}})
		require.NoError(t, err, "%#v", c.holds)
		before := shown(s, "a")
		_, err = commit(s, batch.Batch{
			If:   []batch.Condition{c.holds, c.fails},
			Then: []batch.Write{batch.DeleteRuntime{RuntimeID: "a"}},
		})
		require.ErrorIs(t, err, store.ErrConflict, "%#v", c.fails)
		conflict := err.(*batch.ConflictError)
		assert.Equal(t, 1, conflict.Index)
		assert.Equal(t, c.want, conflict.Want)
		assert.Equal(t, c.stands, conflict.Stands)
		assert.Equal(t, s.Version(conflict.RuntimeID), conflict.Version)
		assert.Equal(t, before, shown(s, "a"))
	}
	require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "raw", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("x")}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}})(s))
	_, err := commit(s, batch.Batch{If: []batch.Condition{batch.SessionDigestIs{RuntimeID: "raw"}}})
	require.ErrorIs(t, err, store.ErrConflict, "there is one, and it is not known")
}

func TestWritesSeeEarlierOnes(t *testing.T) {
	s := batched(t)
	result, err := commit(s, batch.Batch{Then: []batch.Write{
		batch.DeleteRuntime{RuntimeID: "a"},
		batch.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 3}},
		batch.CommitBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))},
		batch.PutInputState{RuntimeID: "a", State: keyed(5, "five")},
		batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{5}},
		batch.PutSnapshot{RuntimeID: "a", Snapshot: documentOf(conversation)},
		batch.PutSnapshot{RuntimeID: "b", Snapshot: []byte("x")},
	}})
	require.NoError(t, err)
	assert.EqualValues(t, 2, result.Revision)
	require.Len(t, result.Receipts, 1)
	v := s.View("a")
	assert.EqualValues(t, 2, v.Version())
	assert.Zero(t, v.NumInputStates())
	assert.EqualValues(t, 2, s.Version("b"))
	assert.NotNil(t, s.Snapshot("a").Document(), "it was read")
	latest, ok := v.LatestReceipt()
	require.True(t, ok)
	assert.Equal(t, result.Receipts[0], latest)
}

// A write that cannot be done takes all before it back.
func TestFailedWrite(t *testing.T) {
	full := store.RunBoundaryReceipt{RunID: commitWith(nil).RunID, Boundary: store.RunStart, Sequence: math.MaxUint64}
	other := store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.Immediate, Sequence: 7}
	good := []batch.Write{
		batch.PutInputState{RuntimeID: "a", State: keyed(1, "other")},
		batch.DeleteRuntime{RuntimeID: "a"},
		batch.PutRuntimeState{RuntimeID: "b", State: store.RuntimeIdle},
		batch.PutReceipt{RuntimeID: "c", Receipt: full},
	}
	type embedded struct{ batch.PutInputState }
	for name, c := range map[string]struct {
		bad batch.Write
		is  error
	}{
		"no sequence":       {batch.CommitBoundary{RuntimeID: "c", Commit: commitWith(documentOf(conversation))}, store.ErrSequenceExhausted},
		"no document":       {batch.CommitBoundary{RuntimeID: "c", Commit: commitWith([]byte("x"))}, store.ErrInvalidSnapshot},
		"another receipt":   {batch.PutReceipt{RuntimeID: "c", Receipt: other}, store.ErrReceiptConflict},
		"invalid receipt":   {batch.PutReceipt{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid input":     {batch.PutInputState{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid state":     {batch.PutRuntimeState{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid id":        {batch.PutRuntimeState{RuntimeID: "\xff", State: store.RuntimeIdle}, store.ErrInvalidValue},
		"invalid ids too":   {batch.PutSnapshot{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"no such runtime":   {batch.DeleteRuntime{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"no such input":     {batch.DeleteInputState{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"not a write":       {embedded{}, store.ErrInvalidValue},
		"nothing at all":    {nil, store.ErrInvalidValue},
		"a pointer to none": {(*batch.DeleteRuntime)(nil), store.ErrInvalidValue},
	} {
		t.Run(name, func(t *testing.T) {
			s := batched(t)
			s.StrictReceipts = true
			require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "c", Commit: store.BoundaryApply{
				Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 7},
			}})(s))
			before := append(shown(s, "a"), shown(s, "c")...)
			_, err := commit(s, batch.Batch{Then: append(slices.Clone(good), c.bad)})
			require.ErrorIs(t, err, c.is)
			write, ok := errors.AsType[*batch.WriteError](err)
			require.True(t, ok)
			assert.Equal(t, 4, write.Index)
			assert.Equal(t, before, append(shown(s, "a"), shown(s, "c")...))
			assert.Zero(t, s.Version("b"))
			assert.EqualValues(t, 2, s.Revision())
			_, err = commit(s, batch.Batch{Then: good[:3]})
			assert.NoError(t, err, "what was good still is")
		})
	}
}

func TestInvalidConditions(t *testing.T) {
	type embedded struct{ batch.RuntimeExists }
	for _, c := range []batch.Condition{
		nil, embedded{}, (*batch.RuntimeExists)(nil), &embedded{},
		batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeIdle, "x"}},
		batch.InputStateIs{RuntimeID: "a", AnyOf: []store.InputLifecycleState{"x"}},
		batch.InputStateIs{RuntimeID: "a"}, batch.RuntimeStateIs{RuntimeID: "a", AnyOf: make([]store.RuntimeState, 10)},
		batch.SessionDigestIs{Digest: "x"}, batch.SessionDigestIs{Digest: strings.Repeat("F", 64)}, batch.SessionDigestIs{Digest: strings.Repeat("g", 64)},
	} {
		_, err := commit(batched(t), batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: "a"}, c}})
		require.ErrorIs(t, err, store.ErrInvalidValue, "%T", c)
		assert.Contains(t, err.Error(), "if[1]")
	}
}

// The documents of a batch go on from those that stand, as single ones do.
func TestBatchLooks(t *testing.T) {
	turn := `{"role":"user","content":"` + strings.Repeat("x", 3000) + `"}`
	large := documentOf("[" + turn + "]")
	s := new(state.State)
	for _, snapshot := range [][]byte{large, documentOf("[" + turn + "," + turn + "]")} {
		result, err := commit(s, batch.Batch{Then: []batch.Write{batch.CommitBoundary{RuntimeID: "a", Commit: commitWith(snapshot)}}})
		require.NoError(t, err)
		alone, err := ops.Run(new(state.State), ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(snapshot)})
		require.NoError(t, err)
		assert.Equal(t, alone.ConversationDigest, result.Receipts[0].ConversationDigest)
	}
}

// What a batch was given may be changed when it has returned.
func TestBatchCopies(t *testing.T) {
	s := new(state.State)
	input := keyed(1, "key")
	snapshot := []byte("bytes")
	receipt := store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}}
	_, err := commit(s, batch.Batch{Then: []batch.Write{
		batch.PutInputState{RuntimeID: "a", State: input},
		batch.PutSnapshot{RuntimeID: "a", Snapshot: snapshot},
		batch.PutReceipt{RuntimeID: "a", Receipt: receipt},
	}})
	require.NoError(t, err)
	before := shown(s, "a")
	*input.IdempotencyKey, snapshot[0], receipt.ContributingInputIDs[0] = "mine", 'x', store.InputID{9}
	assert.Equal(t, before, shown(s, "a"))
	assert.True(t, s.HasKey("a", "key"))
}

// The conditions of a commit in a batch see the writes before it. What a conflict says of
// the version is what stands once the batch is refused.
func TestConditionsInABatchSeeEarlierWrites(t *testing.T) {
	boundary := func(id store.RuntimeID, on ...batch.Condition) batch.Write {
		c := commitWith(documentOf(conversation))
		c.If = on
		return batch.CommitBoundary{RuntimeID: id, Commit: c}
	}
	put := func(id store.RuntimeID) batch.Write {
		return batch.PutInputState{RuntimeID: id, State: keyed(3, "three")}
	}
	for name, c := range map[string]struct {
		first   batch.Write
		on      batch.Condition
		holds   bool
		version uint64
	}{
		"made":        {put("b"), batch.RuntimeExists{RuntimeID: "b"}, true, 0},
		"not absent":  {put("b"), batch.RuntimeAbsent{RuntimeID: "b"}, false, 0},
		"changed":     {put("a"), batch.VersionIs{RuntimeID: "a", Version: 2}, true, 0},
		"not changed": {put("a"), batch.VersionIs{RuntimeID: "a", Version: 1}, false, 1},
		"claimed":     {put("a"), batch.InputVersionIs{RuntimeID: "a", InputID: store.InputID{3}, Version: 2}, true, 0},
		"deleted":     {batch.DeleteRuntime{RuntimeID: "a"}, batch.RuntimeAbsent{RuntimeID: "a"}, true, 0},
		"not there":   {batch.DeleteRuntime{RuntimeID: "a"}, batch.RuntimeExists{RuntimeID: "a"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := batched(t)
			_, err := commit(s, batch.Batch{Then: []batch.Write{c.first, boundary("a", c.on)}})
			if c.holds {
				require.NoError(t, err)
				return
			}
			conflict, ok := errors.AsType[*batch.ConflictError](err)
			require.True(t, ok)
			assert.Equal(t, c.version, conflict.Version)
			assert.EqualValues(t, 1, s.Version("a"))
		})
	}
}
