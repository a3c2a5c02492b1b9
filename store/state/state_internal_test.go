package state

import (
	"testing"

	"github.com/loopstore/loopstore/store"
	"github.com/stretchr/testify/assert"
)

func TestReadsLeaveNoTrace(t *testing.T) {
	var s State
	look := func() {
		assert.Zero(t, s.InputStates("x").Len())
		assert.False(t, s.View("x").Exists())
		assert.False(t, s.HasKey("x", "k"))
		assert.Nil(t, s.Session(store.SessionID{}))
		assert.Zero(t, s.Version("x"))
		assert.Nil(t, s.InputState("x", store.InputID{}))
		assert.Nil(t, s.Receipt("x", store.RunID{}, 0))
		assert.Nil(t, s.Snapshot("x"))
		assert.Empty(t, s.RuntimeState("x"))
		n, err := s.NextSequence("x", store.RunID{})
		assert.NoError(t, err)
		assert.Zero(t, n)
	}
	look()
	assert.Nil(t, s.runtimes)

	s.PutRuntimeState("a", store.RuntimeIdle)
	look()
	assert.Nil(t, s.InputState("a", store.InputID{}))
	assert.Nil(t, s.Receipt("a", store.RunID{}, 0))
	s.Settle()
	look()
	assert.Equal(t, map[store.RuntimeID]*runtime{"a": {
		id: "a", version: 1, state: store.RuntimeIdle, held: store.Totals{Runtimes: 1, RuntimeBytes: runtimeBytes + 1},
	}}, s.runtimes)
	assert.Zero(t, s.sessions)
	assert.Empty(t, s.changed)

	s.PutSession("b", store.SessionID{}, new(store.SnapshotOf(nil)))
	s.DeleteRuntime("a")
	s.DeleteRuntime("b")
	s.Settle()
	look()
	assert.Empty(t, s.runtimes)
	assert.Zero(t, s.order.len)
	assert.Empty(t, s.order.chunks)
	assert.Empty(t, s.sessions.places)
	assert.Zero(t, s.held)
}
