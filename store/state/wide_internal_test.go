package state

import (
	"math"
	"math/bits"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// A list that has its parts more than once is refused, also where its length has more than
// 32 bits.
func TestAListOfMoreThanThereIsIsRefused(t *testing.T) {
	r := NewReplay(new(State))
	r.root.names = 1 << 20
	name := uint64(0)
	leaf := func() uint64 {
		name++
		leaf := session.LeafOf(strings.Repeat("x", session.MaxBytes))
		require.Empty(t, r.part(name, &payloadReader{version: recordVersion, read: decoded{leaf: leaf}}))
		return name
	}
	list := func(listed []uint64) string {
		name++
		return r.part(name, &payloadReader{version: recordVersion, rest: appendNumbers([]byte{1}, listed...)})
	}
	floor := make([]uint64, 2*session.MaxParts*session.MaxParts) // 32 MiB, and 2 GiB are 64 times that
	for i := range floor {
		floor[i] = leaf()
	}
	for len(floor) > 1 {
		var next []uint64
		for len(floor) > 0 {
			n := min(session.MaxParts, len(floor))
			require.Empty(t, list(floor[:n]))
			next, floor = append(next, name), floor[n:]
		}
		floor = next
	}
	for n := 2; n <= session.MaxParts; n++ {
		again := make([]uint64, n)
		for i := range again {
			again[i] = floor[0]
		}
		require.Equal(t, "malformed", list(again), n)
	}
}

// A session is never longer than an int can say.
func TestTheLengthOfASessionFitsAnInt(t *testing.T) {
	require.NoError(t, CheckCall(store.Limits{}, math.MaxInt, 0))
	if bits.UintSize == 32 {
		longer := int64(math.MaxInt)
		longer++
		require.ErrorIs(t, CheckCall(store.Limits{}, longer, 0), store.ErrLimit)
	}
}
