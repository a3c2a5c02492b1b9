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
