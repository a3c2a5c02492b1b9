package storetest

import (
	"math"
	"reflect"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// A conditional is a kind of condition, with conditions of that kind that hold in
// the store of prepareConditions, and some that do not.
type conditional struct {
	name         string
	holds, fails []store.Condition
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
	type all = []store.Condition
	one, none := store.InputID{1}, store.InputID{9}
	idle, running := store.RuntimeIdle, store.RuntimeRunning
	digest := digestOf(conversation(1, 1))
	return []conditional{
		{
			"VersionIs", all{store.VersionIs{RuntimeID: "a", Version: 1}, store.VersionIs{RuntimeID: "raw", Version: 2}, store.VersionIs{RuntimeID: "b"}},
			all{store.VersionIs{RuntimeID: "a", Version: 2}, store.VersionIs{RuntimeID: "a"}, store.VersionIs{RuntimeID: "b", Version: 1}, store.VersionIs{RuntimeID: "raw", Version: math.MaxUint64}},
		},
		{"RuntimeExists", all{store.RuntimeExists{RuntimeID: "a"}}, all{store.RuntimeExists{RuntimeID: "b"}, store.RuntimeExists{RuntimeID: "A"}}},
		{"RuntimeAbsent", all{store.RuntimeAbsent{RuntimeID: "b"}, store.RuntimeAbsent{RuntimeID: "\xff"}}, all{store.RuntimeAbsent{RuntimeID: "a"}}},
		{
			"RuntimeStateIs", all{store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{running, idle}}},
			all{
				store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{running}},
				store.RuntimeStateIs{RuntimeID: "raw", AnyOf: runtimeStates}, store.RuntimeStateIs{RuntimeID: "b", AnyOf: runtimeStates},
			},
		},
		{
			"InputStateIs", all{store.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued, store.InputAccepted}}},
			all{
				store.InputStateIs{RuntimeID: "a", InputID: one, AnyOf: []store.InputLifecycleState{store.InputQueued}},
				store.InputStateIs{RuntimeID: "a", InputID: none, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
				store.InputStateIs{RuntimeID: "b", InputID: one, AnyOf: []store.InputLifecycleState{store.InputAccepted}},
			},
		},
		{
			"InputAbsent", all{store.InputAbsent{RuntimeID: "a", InputID: none}, store.InputAbsent{RuntimeID: "b", InputID: one}},
			all{store.InputAbsent{RuntimeID: "a", InputID: one}},
		},
		{
			"SessionDigestIs", all{store.SessionDigestIs{RuntimeID: "a", Digest: digest}, store.SessionDigestIs{RuntimeID: "b"}},
			all{
				store.SessionDigestIs{RuntimeID: "a", Digest: digestOf(conversation(2, 1))}, store.SessionDigestIs{RuntimeID: "a"},
				store.SessionDigestIs{RuntimeID: "b", Digest: digest}, store.SessionDigestIs{RuntimeID: "raw"}, store.SessionDigestIs{RuntimeID: "raw", Digest: digest},
			},
		},
		{
			"ReceiptAbsent", all{
				store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}, Sequence: 1}, store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{2}},
				store.ReceiptAbsent{RuntimeID: "b", RunID: store.RunID{1}},
			},
			all{store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}}, store.ReceiptAbsent{RuntimeID: "raw", RunID: store.RunID{1}}},
		},
		{"KeyFree", all{store.KeyFree{RuntimeID: "a", Key: "two"}, store.KeyFree{RuntimeID: "b", Key: "one"}}, all{store.KeyFree{RuntimeID: "a", Key: "one"}}},
	}
}

func runtimeOf(c store.Condition) store.RuntimeID {
	return reflect.ValueOf(c).FieldByName("RuntimeID").Interface().(store.RuntimeID)
}

// try commits a large batch once for each condition, which alone decides whether it
// is applied.
func (c conditional) try(tr *trial) {
	tr.prepareConditions()
	versions := map[store.RuntimeID]uint64{"a": 1, "raw": 2}
	before := tr.everything()
	for _, fails := range c.fails {
		conflict := tr.conflictOf(store.Batch{
			If:   append(append([]store.Condition{}, c.holds...), fails),
			Then: []store.Write{deleting("a"), setting("raw", store.RuntimeRunning), setting("b", store.RuntimeRunning)},
		})
		assert.Equal(tr, len(c.holds), conflict.Index, "the index in the conflict with %#v", fails)
		assert.Equal(tr, runtimeOf(fails), conflict.RuntimeID, "the runtime in the conflict with %#v", fails)
		assert.Equal(tr, versions[runtimeOf(fails)], conflict.Version, "the version in the conflict with %#v", fails)
		require.Equal(tr, before, tr.everything(), "what is there after the conflict with %#v", fails)
	}
	for i, holds := range c.holds {
		result, err := tr.tryBatch(store.Batch{If: []store.Condition{holds}, Then: []store.Write{setting("other", store.RuntimeIdle)}})
		require.NoError(tr, err, "%#v", holds)
		assert.EqualValues(tr, 3+i, result.Revision, "the revision of a change on %#v", holds)
	}
}

func firstConflictIsNamed(tr *trial) {
	tr.prepareConditions()
	conflict := tr.conflictOf(store.Batch{If: []store.Condition{
		store.RuntimeExists{RuntimeID: "a"}, store.RuntimeAbsent{RuntimeID: "raw"}, store.RuntimeExists{RuntimeID: "b"},
	}})
	assert.Equal(tr, 1, conflict.Index)
	assert.EqualValues(tr, "raw", conflict.RuntimeID)
	assert.EqualValues(tr, 2, conflict.Version)
}

// Conditions do not see the writes of their own batch. Those of later batches do.
func conditionsComeFirst(tr *trial) {
	b := store.Batch{
		If: []store.Condition{
			store.RuntimeAbsent{RuntimeID: "a"}, store.InputAbsent{RuntimeID: "a", InputID: store.InputID{1}}, store.KeyFree{RuntimeID: "a", Key: "one"},
			store.ReceiptAbsent{RuntimeID: "a", RunID: store.RunID{1}}, store.SessionDigestIs{RuntimeID: "a"}, store.VersionIs{RuntimeID: "a"},
		},
		Then: []store.Write{putting("a", keyed(1, "one")), bounding("a", committing(store.RunID{1}))},
	}
	_, err := tr.tryBatch(b)
	require.NoError(tr, err)
	for len(b.If) > 0 {
		assert.Zero(tr, tr.conflictOf(b).Index, "%T", b.If[0])
		b.If = b.If[1:]
	}
	tr.write(putting("a", keyed(1, "two")), store.DeleteInputState{RuntimeID: "a", InputID: store.InputID{9}})
	_, err = tr.tryBatch(store.Batch{If: []store.Condition{store.KeyFree{RuntimeID: "a", Key: "one"}}})
	assert.NoError(tr, err, "the key of a state that was replaced is free")
	tr.write(store.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}})
	_, err = tr.tryBatch(store.Batch{If: []store.Condition{
		store.KeyFree{RuntimeID: "a", Key: "two"}, store.InputAbsent{RuntimeID: "a", InputID: store.InputID{1}},
	}})
	assert.NoError(tr, err, "so are the key and the id of an input that was deleted")
}

func invalidConditionsAreRefused(tr *trial) {
	tr.prepareConditions()
	before := tr.everything()
	type embedded struct{ store.RuntimeExists }
	for _, bad := range []store.Condition{
		nil, embedded{store.RuntimeExists{RuntimeID: "a"}}, &store.RuntimeExists{RuntimeID: "a"},
		store.RuntimeStateIs{RuntimeID: "a", AnyOf: []store.RuntimeState{store.RuntimeIdle, "x"}},
		store.InputStateIs{RuntimeID: "a", InputID: store.InputID{1}, AnyOf: []store.InputLifecycleState{store.InputAccepted, ""}},
	} {
		for _, conditions := range [][]store.Condition{{bad}, {store.RuntimeExists{RuntimeID: "a"}, bad}} {
			_, err := tr.tryBatch(store.Batch{If: conditions, Then: []store.Write{deleting("a")}})
			tr.refused("Commit", err, store.ErrInvalidValue)
		}
	}
	assert.Equal(tr, before, tr.everything())
}
