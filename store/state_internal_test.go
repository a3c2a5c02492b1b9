package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReadsLeaveNoTrace(t *testing.T) {
	var s State
	look := func() {
		assert.Zero(t, s.InputStates("x").Len())
		assert.False(t, s.View("x").Exists())
		assert.False(t, s.HasKey("x", "k"))
		assert.Nil(t, s.Session(SessionID{}))
		assert.Zero(t, s.Version("x"))
		assert.Nil(t, s.InputState("x", InputID{}))
		assert.Nil(t, s.Receipt("x", RunID{}, 0))
		assert.Nil(t, s.Snapshot("x"))
		assert.Empty(t, s.RuntimeState("x"))
		n, err := s.NextSequence("x", RunID{})
		assert.NoError(t, err)
		assert.Zero(t, n)
	}
	look()
	assert.Nil(t, s.runtimes)

	s.PutRuntimeState("a", RuntimeIdle)
	look()
	assert.Nil(t, s.InputState("a", InputID{}))
	assert.Nil(t, s.Receipt("a", RunID{}, 0))
	s.Settle()
	look()
	assert.Equal(t, map[RuntimeID]*runtime{"a": {
		id: "a", version: 1, state: RuntimeIdle, held: Totals{Runtimes: 1, RuntimeBytes: runtimeBytes + 1},
	}}, s.runtimes)
	assert.Zero(t, s.sessions)
	assert.Empty(t, s.changed)

	s.PutSession("b", SessionID{}, new(SnapshotOf(nil)))
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
