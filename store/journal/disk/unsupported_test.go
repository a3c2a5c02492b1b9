//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A system that has no flock is named in the error, and nothing is made there.
func TestASystemWithoutLocksIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	emit := func(journal.Change) error { return nil }
	for name, do := range lookingIn(t, path, emit) {
		err := do()
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
		require.ErrorContains(t, err, runtime.GOOS, name)
		require.NoDirExists(t, path, name)
	}
}
