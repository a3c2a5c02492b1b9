package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
)

// New reads the text of stacks. This fails if that no longer looks as it
// expects, or it takes a loop that is open for one that is closed.
func TestTheLoopsGoroutineIsFound(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	own := startedHere()
	assert.Len(t, own, 1)
	assert.Contains(t, stillThere(own), "(*Loop).own", "it is open")
	elsewhere := make(chan int)
	go func() { elsewhere <- len(startedHere()) }()
	assert.Zero(t, <-elsewhere, "it is of this goroutine")
	require.NoError(t, loop.Close())
	assert.Empty(t, stillThere(own), "it is closed")
}
