package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReadsLeaveNoTrace(t *testing.T) {
	var s State
	look := func() {
		assert.Nil(t, s.InputStates("x"))
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
	assert.Equal(t, map[RuntimeID]*runtime{"a": {state: RuntimeIdle}}, s.runtimes)
}
