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
)

func keyed(n byte, key string) store.InputState {
	state := store.NewInputState(store.InputID{n}, store.Time{})
	state.IdempotencyKey = &key
	return state
}

func commit(s *store.State, b store.Batch) (store.BatchResult, error) {
	return ops.Run(s, ops.Commit{Batch: b})
}

// batched is a State with one runtime, made by one batch.
func batched(t *testing.T) *store.State {
	t.Helper()
	s := new(store.State)
	result, err := commit(s, store.Batch{Then: []store.Write{
		store.PutInputState{RuntimeID: "a", State: keyed(1, "one")},
		store.PutInputState{RuntimeID: "a", State: keyed(2, "two")},
		store.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle},
		store.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 7}},
		store.CommitBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))},
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
		holds, fails store.Condition
		want, stands string
	}{
		{store.VersionIs{RuntimeID: "a", Version: 1}, store.VersionIs{RuntimeID: "a", Version: 2}, "version 2", "version 1"},
		{store.VersionIs{RuntimeID: "b"}, store.VersionIs{RuntimeID: "a"}, "no runtime", "version 1"},
		{store.RuntimeExists{RuntimeID: "a"}, store.RuntimeExists{RuntimeID: "b"}, "a runtime", "none"},
		{store.RuntimeAbsent{RuntimeID: "b"}, store.RuntimeAbsent{RuntimeID: "a"}, "no runtime", "version 1"},
		{
			store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeRunning, store.RuntimeIdle}},
			store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeRunning}}, `a state of ["running"]`, "idle",
		},
		{
			store.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
			store.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}},
			`input ` + one.String() + ` in a state of ["queued"]`, "accepted",
		},
		{store.InputAbsent{RuntimeID: "a", InputID: none}, store.InputAbsent{RuntimeID: "a", InputID: one}, "no input " + one.String(), "accepted"},
		{store.SessionDigestIs{RuntimeID: "a", Digest: digest}, store.SessionDigestIs{RuntimeID: "a", Digest: other}, "conversation digest " + other, digest},
		{store.SessionDigestIs{RuntimeID: "b"}, store.SessionDigestIs{RuntimeID: "a"}, "conversation digest none", digest},
		{
			store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 6},
			store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 7}, "no receipt 7 of run " + store.RunID{1}.String(), "one",
		},
		{store.KeyFree{RuntimeID: "a", Key: "three"}, store.KeyFree{RuntimeID: "a", Key: "one"}, "an idempotency key that is free", "an input with it"},
		{store.KeyFree{RuntimeID: "b", Key: "one"}, store.InputStateIs{RuntimeID: "b", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}}, "input " + one.String() + ` in a state of ["queued"]`, "none"},
	} {
		_, err := commit(s, store.Batch{If: []store.Condition{c.holds}})
		require.NoError(t, err, "%#v", c.holds)
		before := shown(s, "a")
		_, err = commit(s, store.Batch{
			If:   []store.Condition{c.holds, c.fails},
			Then: []store.Write{store.DeleteRuntime{RuntimeID: "a"}},
		})
		require.ErrorIs(t, err, store.ErrConflict, "%#v", c.fails)
		conflict := err.(*store.ConflictError)
		assert.Equal(t, 1, conflict.Index)
		assert.Equal(t, c.want, conflict.Want)
		assert.Equal(t, c.stands, conflict.Stands)
		assert.Equal(t, s.Version(conflict.RuntimeID), conflict.Version)
		assert.Equal(t, before, shown(s, "a"))
	}
	require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "raw", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("x")}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}})(s))
	_, err := commit(s, store.Batch{If: []store.Condition{store.SessionDigestIs{RuntimeID: "raw"}}})
	require.ErrorIs(t, err, store.ErrConflict, "there is one, and it is not known")
}

func TestWritesSeeEarlierOnes(t *testing.T) {
	s := batched(t)
	result, err := commit(s, store.Batch{Then: []store.Write{
		store.DeleteRuntime{RuntimeID: "a"},
		store.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 3}},
		store.CommitBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))},
		store.PutInputState{RuntimeID: "a", State: keyed(5, "five")},
		store.DeleteInputState{RuntimeID: "a", InputID: store.InputID{5}},
		store.PutSnapshot{RuntimeID: "a", Snapshot: documentOf(conversation)},
		store.PutSnapshot{RuntimeID: "b", Snapshot: []byte("x")},
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
	good := []store.Write{
		store.PutInputState{RuntimeID: "a", State: keyed(1, "other")},
		store.DeleteRuntime{RuntimeID: "a"},
		store.PutRuntimeState{RuntimeID: "b", State: store.RuntimeIdle},
		store.PutReceipt{RuntimeID: "c", Receipt: full},
	}
	type embedded struct{ store.PutInputState }
	for name, c := range map[string]struct {
		bad store.Write
		is  error
	}{
		"no sequence":      {store.CommitBoundary{RuntimeID: "c", Commit: commitWith(documentOf(conversation))}, store.ErrSequenceExhausted},
		"no document":      {store.CommitBoundary{RuntimeID: "c", Commit: commitWith([]byte("x"))}, store.ErrInvalidSnapshot},
		"another receipt":  {store.PutReceipt{RuntimeID: "c", Receipt: other}, store.ErrReceiptConflict},
		"invalid receipt":  {store.PutReceipt{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid input":    {store.PutInputState{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid state":    {store.PutRuntimeState{RuntimeID: "c"}, store.ErrInvalidValue},
		"invalid id":       {store.PutRuntimeState{RuntimeID: "\xff", State: store.RuntimeIdle}, store.ErrInvalidValue},
		"invalid ids too":  {store.PutSnapshot{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"no such runtime":  {store.DeleteRuntime{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"no such input":    {store.DeleteInputState{RuntimeID: "\xff"}, store.ErrInvalidValue},
		"not a write":      {embedded{}, store.ErrInvalidValue},
		"nothing at all":   {nil, store.ErrInvalidValue},
		"a pointer to one": {&store.DeleteRuntime{RuntimeID: "a"}, store.ErrInvalidValue},
	} {
		t.Run(name, func(t *testing.T) {
			s := batched(t)
			s.StrictReceipts = true
			require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "c", Commit: store.BoundaryApply{
				Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 7},
			}})(s))
			before := append(shown(s, "a"), shown(s, "c")...)
			_, err := commit(s, store.Batch{Then: append(slices.Clone(good), c.bad)})
			require.ErrorIs(t, err, c.is)
			write, ok := errors.AsType[*store.WriteError](err)
			require.True(t, ok)
			assert.Equal(t, 4, write.Index)
			assert.Equal(t, before, append(shown(s, "a"), shown(s, "c")...))
			assert.Zero(t, s.Version("b"))
			assert.EqualValues(t, 2, s.Revision())
			_, err = commit(s, store.Batch{Then: good[:3]})
			assert.NoError(t, err, "what was good still is")
		})
	}
}

func TestInvalidConditions(t *testing.T) {
	type embedded struct{ store.RuntimeExists }
	for _, c := range []store.Condition{
		nil, embedded{}, &store.RuntimeExists{RuntimeID: "a"},
		store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeIdle, "x"}},
		store.InputStateIs{RuntimeID: "a", AnyOf: []store.InputLifecycleState{"x"}},
		store.InputStateIs{RuntimeID: "a"}, store.RuntimeStateIs{RuntimeID: "a", AnyOf: make([]store.RuntimeState, 10)},
		store.SessionDigestIs{Digest: "x"}, store.SessionDigestIs{Digest: strings.Repeat("F", 64)}, store.SessionDigestIs{Digest: strings.Repeat("g", 64)},
	} {
		_, err := commit(batched(t), store.Batch{If: []store.Condition{store.RuntimeExists{RuntimeID: "a"}, c}})
		require.ErrorIs(t, err, store.ErrInvalidValue, "%T", c)
		assert.Contains(t, err.Error(), "if[1]")
	}
}

// The documents of a batch go on from those that stand, as single ones do.
func TestBatchLooks(t *testing.T) {
	turn := `{"role":"user","content":"` + strings.Repeat("x", 3000) + `"}`
	large := documentOf("[" + turn + "]")
	op := ops.Commit{Batch: store.Batch{Then: []store.Write{
		store.PutRuntimeState{RuntimeID: "c", State: store.RuntimeIdle},
		store.CommitBoundary{RuntimeID: "a", Commit: commitWith(large)},
		store.CommitBoundary{RuntimeID: "c", Commit: commitWith(documentOf(conversation))},
		store.CommitBoundary{RuntimeID: "b", Commit: commitWith(large)},
	}}}
	var asked []store.RuntimeID
	for look, wants := op.Look(); wants; look, wants = op.Look() {
		asked = append(asked, look.RuntimeID)
		op.Use(nil)
	}
	assert.Equal(t, []store.RuntimeID{"a", "b"}, asked)

	s := new(store.State)
	for _, snapshot := range [][]byte{large, documentOf("[" + turn + "," + turn + "]")} {
		result, err := commit(s, store.Batch{Then: []store.Write{store.CommitBoundary{RuntimeID: "a", Commit: commitWith(snapshot)}}})
		require.NoError(t, err)
		alone, err := ops.Run(new(store.State), ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(snapshot)})
		require.NoError(t, err)
		assert.Equal(t, alone.ConversationDigest, result.Receipts[0].ConversationDigest)
	}
}

// What a batch was given may be changed when it has returned.
func TestBatchCopies(t *testing.T) {
	s := new(store.State)
	state := keyed(1, "key")
	snapshot := []byte("bytes")
	receipt := store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}}
	_, err := commit(s, store.Batch{Then: []store.Write{
		store.PutInputState{RuntimeID: "a", State: state},
		store.PutSnapshot{RuntimeID: "a", Snapshot: snapshot},
		store.PutReceipt{RuntimeID: "a", Receipt: receipt},
	}})
	require.NoError(t, err)
	before := shown(s, "a")
	*state.IdempotencyKey, snapshot[0], receipt.ContributingInputIDs[0] = "mine", 'x', store.InputID{9}
	assert.Equal(t, before, shown(s, "a"))
	assert.True(t, s.HasKey("a", "key"))
}
