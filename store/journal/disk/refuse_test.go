package disk_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/disk"
)

// refused opens a directory that must be refused, with an error that names it.
func refused(t *testing.T, path string) error {
	t.Helper()
	j, _, err := load(t, disk.New(path, disk.Options{Timeout: -1}), "p")
	require.Error(t, err)
	require.Nil(t, j)
	var typed *disk.Error
	require.True(t, errors.As(err, &typed))
	require.Equal(t, path, typed.Path)
	require.Contains(t, err.Error(), fmt.Sprintf("%q", path))
	return err
}
