package disk_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/disk"
)

// A log that is far behind when it is opened is caught up with, and Open does not wait for
// itself.
func TestOpenOfALogThatIsFarBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	want := contents{}
	for i := range 100 {
		key, value := fmt.Sprint(i), strings.Repeat("v", 1000)
		appendTo(t, j, put(key, value))
		want[key] = value
	}
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, want, reload(t, path, disk.Options{CheckpointBytes: 1}))
}
