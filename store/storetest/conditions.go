package storetest

import (
	"math"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A conditional is a kind of condition, with conditions of that kind that hold in
// the store of prepareConditions, and some that do not.
type conditional struct {
	name         string
	holds, fails []batch.Condition
}

// prepareConditions makes runtime a with the first change of the store, and runtime
// raw with the second. There is no runtime b.
func (tr *trial) prepareConditions() {
	tr.Helper()
	tr.write(setting("a", store.RuntimeIdle), putting("a", keyed(1, "one")), bounding("a", committing(store.RunID{1}, accepted(2))))
	raw := applying(store.RunID{1}, 0)
	raw.Session = &store.SessionDelta{SessionSnapshot: []byte("x")}
	tr.apply("raw", raw)
}

func conditionals() []conditional {
	type all = []batch.Condition
	one, none := store.InputID{1}, store.InputID{9}
	idle, running := store.RuntimeIdle, store.RuntimeRunning
	digest := digestOf(conversation(1, 1))
	return []conditional{
		{
			"VersionIs", all{batch.VersionIs{RuntimeID: "a", Version: 1}, batch.VersionIs{RuntimeID: "raw", Version: 2}, batch.VersionIs{RuntimeID: "b"}},
			all{batch.VersionIs{RuntimeID: "a", Version: 2}, batch.VersionIs{RuntimeID: "a"}, batch.VersionIs{RuntimeID: "b", Version: 1}, batch.VersionIs{RuntimeID: "raw", Version: math.MaxUint64}},
		},
		{"RuntimeExists", all{batch.RuntimeExists{RuntimeID: "a"}}, all{batch.RuntimeExists{RuntimeID: "b"}, batch.RuntimeExists{RuntimeID: "A"}}},
		{"RuntimeAbsent", all{batch.RuntimeAbsent{RuntimeID: "b"}, batch.RuntimeAbsent{RuntimeID: "\xff"}}, all{batch.RuntimeAbsent{RuntimeID: "a"}}},
		{
			"RuntimeStateIs", all{
				batch.RuntimeIn("a", running, idle), &batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{idle}},
				batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{idle}, OrNone: true},
				batch.RuntimeStateIs{RuntimeID: "raw", AnyOf: []store.RuntimeState{running}, OrNone: true},
				batch.RuntimeStateIs{RuntimeID: "raw", OrNone: true}, batch.RuntimeStateIs{RuntimeID: "b", OrNone: true},
			},
			all{
				batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{running}, OrNone: true}, batch.RuntimeStateIs{RuntimeID: "a", OrNone: true},
				batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{running}},
				batch.RuntimeStateIs{RuntimeID: "raw", AnyOf: runtimeStates}, batch.RuntimeStateIs{RuntimeID: "b", AnyOf: runtimeStates},
			},
		},
		{
			"InputStateIs", all{batch.InputIn("a", one, store.InputQueued, store.InputAccepted)},
			all{
				batch.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}},
				batch.InputStateIs{RuntimeID: "a", InputID: none, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
				batch.InputStateIs{RuntimeID: "b", InputID: one, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
			},
		},
		{
			"InputVersionIs", all{batch.InputVersionIs{RuntimeID: "a", InputID: one, Version: 1}, &batch.InputVersionIs{RuntimeID: "a", InputID: store.InputID{2}, Version: 1}},
			all{
				batch.InputVersionIs{RuntimeID: "a", InputID: one, Version: 2}, batch.InputVersionIs{RuntimeID: "a", InputID: one},
				batch.InputVersionIs{RuntimeID: "a", InputID: one, Version: math.MaxUint64}, batch.InputVersionIs{RuntimeID: "a", InputID: none, Version: 1},
				batch.InputVersionIs{RuntimeID: "a", InputID: none}, batch.InputVersionIs{RuntimeID: "b", InputID: one}, batch.InputVersionIs{RuntimeID: "raw", InputID: one, Version: 2},
			},
		},
		{
			"InputAbsent", all{batch.InputAbsent{RuntimeID: "a", InputID: none}, batch.InputAbsent{RuntimeID: "b", InputID: one}},
			all{batch.InputAbsent{RuntimeID: "a", InputID: one}},
		},
		{
			"SessionDigestIs", all{batch.SessionDigestIs{RuntimeID: "a", Digest: digest}, batch.SessionDigestIs{RuntimeID: "b"}},
			all{
				batch.SessionDigestIs{RuntimeID: "a", Digest: digestOf(conversation(2, 1))}, batch.SessionDigestIs{RuntimeID: "a"},
				batch.SessionDigestIs{RuntimeID: "b", Digest: digest}, batch.SessionDigestIs{RuntimeID: "raw"}, batch.SessionDigestIs{RuntimeID: "raw", Digest: digest},
			},
		},
		{
			"ReceiptAbsent", all{
				batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 1}, batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{2}},
				batch.ReceiptAbsent{RuntimeID: "b", RunID: store.RunID{1}},
			},
			all{batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}}, batch.ReceiptAbsent{RuntimeID: "raw", RunID: store.RunID{1}}},
		},
		{"KeyFree", all{batch.KeyFree{RuntimeID: "a", Key: "two"}, batch.KeyFree{RuntimeID: "b", Key: "one"}}, all{batch.KeyFree{RuntimeID: "a", Key: "one"}}},
	}
}

// try commits a large batch once for each condition, which alone decides whether it
// is applied.
func (c conditional) try(tr *trial) {
	tr.prepareConditions()
	versions := map[store.RuntimeID]uint64{"a": 1, "raw": 2}
	before := tr.everything()
	for _, fails := range c.fails {
		conflict := tr.conflictOf(batch.Batch{
			If:   append(append([]batch.Condition{}, c.holds...), fails),
			Then: []batch.Write{deleting("a"), setting("raw", store.RuntimeRunning), setting("b", store.RuntimeRunning)},
		})
		assert.Equal(tr, len(c.holds), conflict.Index, "the index in the conflict with %#v", fails)
		assert.Equal(tr, fails.About(), conflict.RuntimeID, "the runtime in the conflict with %#v", fails)
		assert.Equal(tr, versions[fails.About()], conflict.Version, "the version in the conflict with %#v", fails)
		require.Equal(tr, before, tr.everything(), "what is there after the conflict with %#v", fails)
	}
	for i, holds := range c.holds {
		result, err := tr.tryBatch(batch.Batch{If: []batch.Condition{holds}, Then: []batch.Write{setting("other", store.RuntimeIdle)}})
		require.NoError(tr, err, "%#v", holds)
		assert.EqualValues(tr, 3+i, result.Revision, "the revision of a change on %#v", holds)
	}
}

func firstConflictIsNamed(tr *trial) {
	tr.prepareConditions()
	conflict := tr.conflictOf(batch.Batch{If: []batch.Condition{
		batch.RuntimeExists{RuntimeID: "a"}, batch.RuntimeAbsent{RuntimeID: "raw"}, batch.RuntimeExists{RuntimeID: "b"},
	}})
	assert.Equal(tr, 1, conflict.Index)
	assert.EqualValues(tr, "raw", conflict.RuntimeID)
	assert.EqualValues(tr, 2, conflict.Version)
}

// Conditions do not see the writes of their own batch. Those of later batches do.
func conditionsComeFirst(tr *trial) {
	b := batch.Batch{
		If: []batch.Condition{
			batch.RuntimeAbsent{RuntimeID: "a"}, batch.InputAbsent{RuntimeID: "a", InputID: store.InputID{1}}, batch.KeyFree{RuntimeID: "a", Key: "one"},
			batch.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}}, batch.SessionDigestIs{RuntimeID: "a"}, batch.VersionIs{RuntimeID: "a"},
		},
		Then: []batch.Write{putting("a", keyed(1, "one")), bounding("a", committing(store.RunID{1}))},
	}
	_, err := tr.tryBatch(b)
	require.NoError(tr, err)
	for len(b.If) > 0 {
		assert.Zero(tr, tr.conflictOf(b).Index, "%T", b.If[0])
		b.If = b.If[1:]
	}
	tr.write(putting("a", keyed(1, "two")), batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{9}})
	_, err = tr.tryBatch(batch.Batch{If: []batch.Condition{batch.KeyFree{RuntimeID: "a", Key: "one"}}})
	assert.NoError(tr, err, "the key of a state that was replaced is free")
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}})
	_, err = tr.tryBatch(batch.Batch{If: []batch.Condition{
		batch.KeyFree{RuntimeID: "a", Key: "two"}, batch.InputAbsent{RuntimeID: "a", InputID: store.InputID{1}},
	}})
	assert.NoError(tr, err, "so are the key and the id of an input that was deleted")
}

func invalidConditionsAreRefused(tr *trial) {
	tr.prepareConditions()
	before := tr.everything()
	type embedded struct{ batch.RuntimeExists }
	for _, bad := range []batch.Condition{
		nil, embedded{batch.RuntimeExists{RuntimeID: "a"}}, (*batch.RuntimeExists)(nil), &embedded{},
		batch.RuntimeStateIs{RuntimeID: "a"}, batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeIdle, "x"}},
		batch.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{"x"}, OrNone: true},
		batch.InputStateIs{RuntimeID: "a", InputID: store.InputID{1}, AnyOf: []store.InputLifecycleState{store.InputAccepted, ""}},
	} {
		for _, conditions := range [][]batch.Condition{{bad}, {batch.RuntimeExists{RuntimeID: "a"}, bad}} {
			_, err := tr.tryBatch(batch.Batch{If: conditions, Then: []batch.Write{deleting("a")}})
			tr.refused("Commit", err, store.ErrInvalidValue)
		}
	}
	assert.Equal(tr, before, tr.everything())
}
