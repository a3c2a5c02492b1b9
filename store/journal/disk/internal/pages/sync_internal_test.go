package pages

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nothing else sees the syncs that bbolt makes: whoever tests power failures takes it that
// each transaction has them.
func TestTransactionsAreSynced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pages")
	dir, err := os.Open(filepath.Dir(path))
	require.NoError(t, err)
	defer func() { assert.NoError(t, dir.Close()) }()
	require.NoError(t, Create(t.Context(), path, dir, nil))
	f, err := Open(t.Context(), path, dir, time.Second)
	require.NoError(t, err)
	defer func() { assert.NoError(t, f.Close()) }()
	assert.False(t, f.db.NoSync)
	require.NoError(t, f.Rewrite(t.Context()))
	assert.False(t, f.db.NoSync, "after a compaction")
	require.NoError(t, f.Reopen(t.Context()))
	assert.False(t, f.db.NoSync, "after an error")
}
