package lincheck_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// queue is that of stores with claims.
var queue = state.Queue{
	Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued},
	Busy:  []store.InputLifecycleState{store.InputStaged, store.InputApplied},
}

// claiming is how much is checked of stores with claims.
var claiming = lincheck.Config{Histories: 1, Spanning: histories / 4, Importing: histories / 20, Queue: queue, Record: record}

// TestLinearizableClaims checks Loops whose inputs are claimed while others write them, and
// whose changes are followed.
func TestLinearizableClaims(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		cfg := claiming
		cfg.Versions, cfg.UniqueKeys, cfg.Keys, cfg.Tombstones = keepingAll.Versions, true, keepingAll.Keys, keepingAll.Tombstones
		checkClaims(t, cfg, func() store.RuntimeStore { return loopstore.New(optionsOf(cfg)) })
	})
	t.Run("durable", func(t *testing.T) {
		checkClaims(t, claiming, func() store.RuntimeStore { return opened(t, journaltest.NewEngine()) })
	})
	t.Run("rejected rounds", func(t *testing.T) {
		cfg := claiming
		cfg.AnyTurn, cfg.TooLarge = true, journal.ErrRejected
		stores := 0
		stats := checkClaims(t, cfg, func() store.RuntimeStore {
			stores++
			imports := stores > cfg.Histories+cfg.Spanning // the stores with exports are no matter of luck
			faulty := journaltest.NewFaulty(journaltest.NewEngine())
			faulty.Script(func(_ int, b journal.Batch) (f journaltest.Fault) {
				if !imports && len(b.Changes) > 8 && rand.IntN(2) == 0 {
					f = journaltest.Reject()
				}
				return f
			})
			return opened(t, faulty)
		})
		assert.Positive(t, stats.TooLarge)
	})
	t.Run("restarts", func(t *testing.T) {
		cfg := claiming
		cfg.AnyTurn = true
		var loops atomic.Int64
		checkClaims(t, cfg, func() store.RuntimeStore { return newRestarting(t, &loops, cfg) })
		assert.Greater(t, int(loops.Load()), cfg.Spanning)
	})
}

func opened(t *testing.T, engine journal.Engine) store.RuntimeStore {
	l, err := loopstore.Open(t.Context(), engine, "", optionsOf(claiming))
	require.NoError(t, err)
	return l
}

func checkClaims(t *testing.T, cfg lincheck.Config, open func() store.RuntimeStore) lincheck.Stats {
	if *long {
		cfg.Spanning *= 10
		cfg.Importing *= 10
	}
	stats := lincheck.Check(t, open, cfg)
	assert.Greater(t, stats.Claims, cfg.Spanning)
	assert.Greater(t, stats.Changes, cfg.Spanning)
	return stats
}
