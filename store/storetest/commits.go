package storetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// conditionsOfCommits are those of the operations that have an If.
func conditionsOfCommits() []promise {
	promises := []promise{
		{words: "a call with a condition that does not hold changes nothing", try: failedConditionsChangeNothing},
		{words: "a condition may be about another runtime", try: needs[batch.Committer](conditionsOfOthers)},
		{words: "invalid conditions of a call are refused", try: needs[batch.Committer](invalidConditionsOfCommits)},
		{words: "the conditions of a write of a batch see the writes before it", try: needs[batch.Committer](conditionsWithinABatch)},
		{words: "a counter guarded by the condition of a call loses no update", try: needs[batch.Committer](commitsLoseNothing)},
	}
	for _, c := range conditionals() {
		promises = append(promises, promise{
			words: c.name + " of a call holds, or is a conflict that changes nothing", try: needs[batch.Committer](c.tryCommits),
		})
	}
	return promises
}

// A commit is an operation that has conditions.
type commit struct {
	name string
	do   func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, conditions ...store.Condition) error
}

func commits() []commit {
	return []commit{
		{"CommitSessionBoundary", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, conditions ...store.Condition) error {
			c := committing(store.RunID{1}, attempted(1, 7), accepted(5))
			c.If = conditions
			_, err := s.CommitSessionBoundary(ctx, id, c)
			return err
		}},
		{"AtomicApply", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, conditions ...store.Condition) error {
			a := applying(store.RunID{1}, 7, attempted(1, 7), accepted(5))
			a.If, a.Session, a.SessionStoreKey = conditions, &store.SessionDelta{SessionSnapshot: []byte("applied")}, &store.SessionID{7}
			return s.AtomicApply(ctx, id, a)
		}},
		{"AtomicLifecycleCommit", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, conditions ...store.Condition) error {
			return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{
				If: conditions, RuntimeState: store.RuntimeStopped, InputStates: []store.InputState{attempted(1, 7), accepted(5)},
			})
		}},
	}
}

// A store without batches may refuse all conditions, but must not pass over them.
func failedConditionsChangeNothing(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	for _, c := range commits() {
		err := c.do(tr.Context(), tr.store, "a", batch.RuntimeExists{RuntimeID: "a"}, batch.RuntimeAbsent{RuntimeID: "a"})
		require.Error(tr, err, "%s under a condition that does not hold", c.name)
		if has[batch.Committer](tr) {
			tr.refused(c.name, err, store.ErrConflict)
		}
		require.Equal(tr, before, tr.view("a"), "after %s under a condition that does not hold", c.name)
	}
	for _, c := range commits() {
		err := c.do(tr.Context(), tr.store, "a", batch.RuntimeExists{RuntimeID: "a"})
		after := tr.view("a")
		if has[batch.Committer](tr) {
			require.NoError(tr, err, "%s under a condition that holds", c.name)
		}
		require.Equal(tr, err == nil, !assert.ObjectsAreEqual(before, after), "%s returned %v", c.name, err)
		before = after
	}
}

// tryCommits makes each call once for each condition, which alone decides whether it is
// applied.
func (c conditional) tryCommits(tr *trial) {
	tr.prepareConditions()
	versions := map[store.RuntimeID]uint64{"a": 1, "raw": 2}
	before := tr.everything()
	for _, call := range commits() {
		for _, fails := range c.fails {
			for _, id := range []store.RuntimeID{"a", "c"} {
				given := append(append([]store.Condition{}, c.holds...), fails)
				err := call.do(tr.Context(), tr.store, id, given...)
				tr.refused(call.name, err, store.ErrConflict)
				conflict, ok := errors.AsType[*batch.ConflictError](err)
				require.True(tr, ok, "a condition that does not hold must fail with a *batch.ConflictError, not %v", err)
				assert.Equal(tr, len(c.holds), conflict.Index, "%s: the index in the conflict with %#v", call.name, fails)
				assert.Equal(tr, fails.About(), conflict.RuntimeID, "%s: the runtime in the conflict with %#v", call.name, fails)
				assert.Equal(tr, versions[fails.About()], conflict.Version, "%s: the version in the conflict with %#v", call.name, fails)
				require.Equal(tr, before, tr.everything(), "what is there after the conflict of %s with %#v", call.name, fails)
				require.True(tr, assert.ObjectsAreEqual(append(append([]store.Condition{}, c.holds...), fails), given), "%s changed its argument", call.name)
			}
		}
	}
	for _, call := range commits() {
		require.NoError(tr, call.do(tr.Context(), tr.store, "other", c.holds...), "%s under %#v", call.name, c.holds)
		assert.EqualValues(tr, 7, tr.input("other", store.InputID{1}).AttemptCount, "%s under %#v", call.name, c.holds)
		tr.write(deleting("other"))
	}
}

func conditionsOfOthers(tr *trial) {
	tr.prepareConditions()
	for _, call := range commits() {
		id := store.RuntimeID("by " + call.name)
		tr.refused(call.name, call.do(tr.Context(), tr.store, id, batch.RuntimeIn("a", store.RuntimeRunning)), store.ErrConflict)
		require.Equal(tr, view{}, tr.view(id), call.name)
		require.NoError(tr, call.do(tr.Context(), tr.store, id, batch.RuntimeIn("a", store.RuntimeIdle), batch.RuntimeAbsent{RuntimeID: id}), call.name)
		require.Len(tr, tr.inputs(id), 2, call.name)
		tr.refused(call.name, call.do(tr.Context(), tr.store, id, batch.RuntimeIn("a", store.RuntimeIdle), batch.RuntimeAbsent{RuntimeID: id}), store.ErrConflict)
	}
}

func invalidConditionsOfCommits(tr *trial) {
	tr.prepareConditions()
	before := tr.everything()
	type embedded struct{ batch.RuntimeExists }
	for _, bad := range []store.Condition{
		nil, embedded{batch.RuntimeExists{RuntimeID: "a"}}, (*batch.RuntimeExists)(nil), &embedded{}, batch.RuntimeStateIs{RuntimeID: "a"},
		batch.InputStateIs{RuntimeID: "a", InputID: store.InputID{1}, AnyOf: []store.InputLifecycleState{store.InputAccepted, ""}},
	} {
		for _, call := range commits() {
			for _, conditions := range [][]store.Condition{{bad}, {batch.RuntimeExists{RuntimeID: "a"}, bad}, {batch.RuntimeAbsent{RuntimeID: "a"}, bad}} {
				tr.refused(call.name, call.do(tr.Context(), tr.store, "a", conditions...), store.ErrInvalidValue)
			}
		}
		c := committing(store.RunID{1})
		c.If = []store.Condition{bad}
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{bounding("a", c)}})
		tr.refused("a batch of CommitBoundary", err, store.ErrInvalidValue)
	}
	assert.Equal(tr, before, tr.everything())
}

func conditionsWithinABatch(tr *trial) {
	tr.fill("a")
	under := func(conditions ...store.Condition) batch.Write {
		c := committing(store.RunID{1})
		c.If = conditions
		return bounding("a", c)
	}
	idle, running := batch.RuntimeIn("a", store.RuntimeIdle), batch.RuntimeIn("a", store.RuntimeRunning)
	before := tr.everything()
	conflict := tr.conflictOf(batch.Batch{
		If:   []batch.Condition{idle},
		Then: []batch.Write{setting("a", store.RuntimeRunning), under(), under(running, idle), setting("b", store.RuntimeIdle)},
	})
	assert.Equal(tr, 1, conflict.Index, "the index among the conditions of the write")
	require.Equal(tr, before, tr.everything(), "after a conflict within a batch")
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{under(running)}})
	failed, ok := errors.AsType[*batch.WriteError](err)
	require.True(tr, ok, "a write whose condition does not hold must fail with a *batch.WriteError, not %v", err)
	assert.Zero(tr, failed.Index)

	result := tr.write(under(idle), setting("a", store.RuntimeRunning), under(running), deleting("a"), under(batch.RuntimeAbsent{RuntimeID: "a"}))
	var sequences []uint64
	for _, r := range result.Receipts {
		sequences = append(sequences, r.Sequence)
	}
	assert.Equal(tr, []uint64{1, 2, 0}, sequences)
}

func commitsLoseNothing(tr *trial) {
	tr.countTogether(func(version uint64, count uint32) (uint64, error) {
		return 0, tr.store.AtomicLifecycleCommit(tr.Context(), "a", store.LifecycleCommit{
			If: []store.Condition{batch.VersionIs{RuntimeID: "a", Version: version}}, RuntimeState: store.RuntimeIdle,
			InputStates: []store.InputState{attempted(1, count)},
		})
	})
}
