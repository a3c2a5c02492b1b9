package lincheck_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
)

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv("RAPID_CHECKS"); !ok { // -rapid.checks is parsed later, and overrides this
		_ = flag.Set("rapid.checks", strconv.Itoa(programs))
	}
	goleak.VerifyTestMain(m)
}

var (
	long   = flag.Bool("lincheck.long", false, "check ten times as many histories")
	record = os.Getenv("LOOPSTORE_LINCHECK_RECORD") // of clean runs
)

func reader(s store.RuntimeStore, id store.RuntimeID) lincheck.Look {
	return s.(*loopstore.Loop).Reader(id).View
}

// TestLinearizable checks Loops with inboxes from one place up, so that callers are
// cancelled while they wait for a place and while they wait for an answer.
func TestLinearizable(t *testing.T) {
	cfg := lincheck.Config{Histories: histories, Operations: 2000, Runtimes: 4, Spanning: histories, Importing: histories / 4, Reader: reader, Versions: 3, Record: record}
	if *long {
		cfg.Histories *= 10
		cfg.Spanning *= 10
		cfg.Importing *= 10
	}
	sizes, n := []int{1, 2, 4, 128}, 0
	stats := lincheck.Check(t, func() store.RuntimeStore {
		n++
		return loopstore.New(loopstore.Options{InboxSize: sizes[n%len(sizes)], Retention: retaining(cfg.Versions)})
	}, cfg)
	assert.Equal(t, cfg.Histories+cfg.Spanning+cfg.Importing, stats.Histories)
	assert.Equal(t, cfg.Histories*2000+(cfg.Spanning+cfg.Importing)*200, stats.Operations)
	assert.Greater(t, stats.Overlapping, stats.Operations/10, "a caller that waits lets others begin, even on one processor")
	assert.Positive(t, stats.CancelledUnderWay)
	assert.Less(t, stats.Cancelled, stats.Operations/4)
	assert.Positive(t, stats.Refused)
	assert.Greater(t, stats.Batches+stats.Guarded, stats.Conflicts/4, "many conditions hold: how many is the callers' luck")
	assert.Greater(t, stats.Conflicts, stats.Batches/4)
	assert.Greater(t, stats.Guarded, stats.Operations/200)
	assert.Greater(t, stats.Views, stats.Operations/20)
	assert.Greater(t, stats.Appends, stats.Operations/100)
	assert.Greater(t, stats.Restores, stats.Operations/2000)
	assert.Greater(t, stats.Forks, cfg.Spanning/4)
	assert.Greater(t, stats.Imports, cfg.Importing/2)
}

// keepingAll is what stores keep that have unique keys and tombstones.
var keepingAll = lincheck.Config{Versions: 2, UniqueKeys: true, Keys: 3, Tombstones: 9}

// TestLinearizableWithUniqueKeysAndTombstones checks Loops that refuse keys which are taken,
// and runtimes that were deleted until they are brought back.
func TestLinearizableWithUniqueKeysAndTombstones(t *testing.T) {
	cfg := keepingAll
	cfg.Histories, cfg.Spanning, cfg.Importing, cfg.Reader, cfg.Record = histories/4, histories/2, histories/4, reader, record
	if *long {
		cfg.Histories *= 10
		cfg.Spanning *= 10
		cfg.Importing *= 10
	}
	stats := lincheck.Check(t, func() store.RuntimeStore { return loopstore.New(optionsOf(cfg)) }, cfg)
	assert.Equal(t, cfg.Histories+cfg.Spanning+cfg.Importing, stats.Histories)
	assert.Greater(t, stats.KeysTaken, stats.Operations/200)
	assert.Greater(t, stats.Deleted, stats.Operations/200)
	assert.Greater(t, stats.Revivals, stats.Operations/1000)
	assert.Greater(t, stats.Imports, cfg.Importing/2)
}
