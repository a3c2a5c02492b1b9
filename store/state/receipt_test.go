package state_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// What is kept of a receipt is all of it, whatever its parts look like, and
// differs from what is kept of any other.
func TestReceiptsAreKeptWhole(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	var all []store.RunBoundaryReceipt
	for _, digest := range []*string{nil, new(""), new(hex), new(strings.ToUpper(hex)), new(hex[1:]), new(hex + "0"), new(strings.Repeat("g", 64)), new(strings.Repeat("é", 32))} {
		for _, ids := range [][]store.InputID{nil, {{}}, {{1}}, {{1}, {2}}, {{2}, {1}}} {
			all = append(all, store.RunBoundaryReceipt{
				RunID: store.RunID{7}, Boundary: store.RunCheckpoint, ContributingInputIDs: ids,
				ConversationDigest: digest, MessageCount: math.MaxUint64, Sequence: math.MaxUint64 - 1,
			})
		}
	}
	for i, r := range all {
		value := state.NewReceipt(&r).Value()
		require.Equal(t, r, value)
		if len(r.ContributingInputIDs) > 0 {
			r.ContributingInputIDs[0][15]++
			assert.NotEqual(t, r, value, "it is a copy")
			r.ContributingInputIDs[0][15]--
		}
		for j, other := range all {
			s := state.State{StrictReceipts: true}
			s.PutReceipt("a", state.NewReceipt(&r))
			done, err := s.CheckReceipt("a", state.NewReceipt(&other))
			require.Equal(t, i == j, done)
			require.Equal(t, i != j, err != nil)
		}
	}
}
