package archive_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// The floor of a runtime that was brought back is not taken for a run.
func TestARevivedRuntimeIsRead(t *testing.T) {
	s := &state.State{Tombstones: store.Keep{Last: 9}}
	put := func(run byte, sequence uint64) {
		s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{run}, Boundary: store.RunStart, Sequence: sequence}))
		s.Settle().Wake()
	}
	put(1, 7)
	s.DeleteRuntime("a")
	s.Settle().Wake()
	s.Revive("a")
	put(1, 8)
	put(2, 3)
	var file bytes.Buffer
	require.NoError(t, archive.Write(&file, s.Image()))
	read, err := archive.Read(&file)
	require.NoError(t, err)
	for run := range byte(4) {
		want, err := s.NextSequence("a", store.RunID{run})
		require.NoError(t, err)
		next, err := read.NextSequence("a", store.RunID{run})
		require.NoError(t, err)
		assert.Equal(t, want, next, run)
	}
}
