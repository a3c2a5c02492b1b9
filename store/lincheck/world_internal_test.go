package lincheck

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A batch with an invalid write is refused before its conditions are checked, so it shows
// nothing about a version that is guessed.
func TestRefusedBatchTellsNoVersion(t *testing.T) {
	const id = store.RuntimeID("runtime-0")
	made := &call{kind: ops.KindPersistRuntimeState, runtime: id, args: store.RuntimeIdle, status: "idle"}
	_, w := new(world).step(made, new(answer))
	batch := func(flaw error) *call {
		return &call{kind: ops.KindCommit, runtime: id, batch: &batched{
			conditions: []condition{{Condition: batch.VersionIs{RuntimeID: id, Version: 4}, runtime: id}},
			writes:     []*call{{kind: ops.KindPersistRuntimeState, runtime: id, args: store.RuntimeIdle, flaw: flaw}},
		}}
	}
	_, refused := w.step(batch(store.ErrInvalidValue), &answer{refusal: store.ErrInvalidValue})
	assert.True(t, refused.equal(w))
	_, done := w.step(batch(nil), &answer{revision: 5})
	assert.EqualValues(t, 5, done.at(id).version)
}

// What shows the version of one input shows that of all that the same change has made.
func TestOneVersionOfAChangeShowsAll(t *testing.T) {
	const id = store.RuntimeID("runtime-0")
	put := func(n ...byte) *call {
		c := &call{kind: ops.KindAtomicLifecycleCommit, runtime: id, args: store.LifecycleCommit{}, status: "idle"}
		for _, one := range n {
			c.inputs = append(c.inputs, input{id: store.InputID{one}})
		}
		return c
	}
	_, w := new(world).step(put(1, 2), new(answer))
	_, w = w.step(put(3), new(answer))
	load := func(n byte, version uint64) bool {
		got := &answer{found: true, inputs: []input{{id: store.InputID{n}}}, fence: version}
		want, after := w.step(&call{kind: ops.KindLoadInput, runtime: id, input: store.InputID{n}}, got)
		if want.equal(got) {
			w = after
			return true
		}
		return false
	}
	assert.False(t, load(3, 1), "below its bound")
	assert.True(t, load(3, 9))
	assert.EqualValues(t, 9, w.at(id).version)
	assert.False(t, load(1, 9), "not before a later change")
	assert.True(t, load(1, 7))
	assert.False(t, load(2, 6), "that of the same change is known")
	assert.True(t, load(2, 7))
}

// Versions that an import gives follow from the first one that is shown.
func TestOneVersionOfAnImportShowsAll(t *testing.T) {
	const id = store.RuntimeID("runtime-0")
	held := &model{version: 5, inputs: []held{{input: input{id: store.InputID{1}}, version: 4}}}
	from := &world{exact: true, revision: 5, order: []store.RuntimeID{id}, runtimes: map[store.RuntimeID]*model{id: held}}
	_, w := (&world{exact: true}).step(&call{kind: ops.KindImport, export: &export{world: from}}, new(answer))
	made := &call{kind: ops.KindCommit, batch: &batched{writes: []*call{
		{kind: ops.KindPersistRuntimeState, runtime: id, args: store.RuntimeIdle, status: "idle"},
	}}}
	near := &answer{revision: 6}
	want, _ := w.step(made, near)
	assert.False(t, want.equal(near))
	far := &answer{revision: 5 + leastLeap + 8}
	want, w = w.step(made, far)
	assert.True(t, want.equal(far))
	assert.EqualValues(t, 5+leastLeap+7, w.at(id).inputs[0].version)
	assert.EqualValues(t, 5+leastLeap+8, w.at(id).version)
}
