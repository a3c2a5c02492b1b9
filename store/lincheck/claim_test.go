package lincheck_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// queue is that of stores with claims.
var queue = state.Queue{
	Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued},
	Busy:  []store.InputLifecycleState{store.InputStaged, store.InputApplied},
}

func TestLinearizableClaims(t *testing.T) {
	cfg := lincheck.Config{Histories: 1, Spanning: histories / 2, Importing: histories / 10, Queue: queue}
	stats := lincheck.Check(t, func() store.RuntimeStore { return loopstore.New(optionsOf(cfg)) }, cfg)
	assert.Positive(t, stats.Claims)
}
