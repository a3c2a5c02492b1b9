package lincheck

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

func TestRecordAddsUp(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	day := time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)
	for _, r := range []finished{
		{Ended: day, Seconds: 61.5, Histories: 3, Operations: 1000},
		{Ended: day, Seconds: 9, Histories: 1, Operations: 10, Fault: true},
	} {
		_, err := note(record, r)
		require.NoError(t, err)
	}
	all, err := note(record, finished{Ended: day.AddDate(0, 0, 1), Seconds: 3600, Histories: 4, Operations: 234})
	require.NoError(t, err)
	assert.Equal(t, "2 runs were clean: 1h1m2s, 7 histories, 1234 operations, since 2026-11-26; 1 found a fault", all)

	require.NoError(t, os.WriteFile(record, []byte("{}\n{"), 0o600))
	_, err = note(record, finished{})
	assert.ErrorContains(t, err, "after 1 runs")
	_, err = note(t.TempDir(), finished{})
	assert.Error(t, err)
}

func TestRunsAreRecorded(t *testing.T) {
	cfg := Config{Histories: 1, Operations: 100, Spanning: 1, Importing: 1, Record: filepath.Join(t.TempDir(), "record")}
	stats := Check(t, func() store.RuntimeStore { return loopstore.New(loopstore.Options{}) }, cfg)
	line, err := os.ReadFile(cfg.Record)
	require.NoError(t, err)
	assert.Regexp(t, `^{"ended":"2.*","seconds":\d+\.\d+,"histories":3,"operations":\d+}\n$`, string(line))
	assert.Equal(t, 3, stats.Histories)
}

// TestTheRecordSoFar says what the runs of a record come to, for CI to print.
func TestTheRecordSoFar(t *testing.T) {
	record, err := os.Open(os.Getenv("LOOPSTORE_LINCHECK_RECORD"))
	if err != nil {
		t.Skip(err)
	}
	defer func() { assert.NoError(t, record.Close()) }()
	all, err := sum(record)
	require.NoError(t, err)
	t.Log("lincheck:", all)
}
