package bolt

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A lock on a file that was compacted away meanwhile is a lock on nothing.
func TestALockIsOnTheFileInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	f := &file{path: path, timeout: -1}
	for _, move := range []func() error{
		func() error { return os.Rename(f.beside(), path) },
		func() error { return os.Remove(path) },
	} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.WriteFile(f.beside(), nil, 0o600))
		fd, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, f.lock(t.Context(), fd))
		require.NoError(t, move())
		require.ErrorIs(t, f.lock(t.Context(), fd), errMoved)
		require.NoError(t, fd.Close())
	}
}

// A panic of emit is the caller's, and leaves nothing open.
func TestAPanicOfEmitPasses(t *testing.T) {
	require.PanicsWithValue(t, "mine", func() {
		_ = guarded(func() error { panic(&emitPanic{"mine"}) })
	})
	require.ErrorContains(t, guarded(func() error { panic("of bbolt") }), "of bbolt")
}
