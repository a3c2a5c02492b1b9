//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// A system that has no flock is named in the error, and nothing is made there.
func TestASystemWithoutLocksIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	emit := func(journal.Change) error { return nil }
	for name, do := range map[string]func() error{
		"open":       func() error { _, err := disk.New(path, disk.Options{}).Open(t.Context(), "p", emit); return err },
		"read":       func() error { _, err := disk.Read(t.Context(), path, "p", disk.Options{}, emit); return err },
		"partitions": func() error { _, err := disk.Partitions(t.Context(), path, disk.Options{}); return err },
		"salvage": func() error {
			_, err := disk.Salvage(t.Context(), path, "p", disk.Options{}, nil, emit)
			return err
		},
	} {
		err := do()
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
		require.ErrorContains(t, err, runtime.GOOS, name)
		require.NoDirExists(t, path, name)
	}
}
