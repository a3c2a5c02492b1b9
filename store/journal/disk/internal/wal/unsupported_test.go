package wal

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A frame that is longer than this machine reads is not taken for the end of the log, nor for
// damage.
func TestAFrameThatIsTooLongIsRefused(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	l.append(entry(1, 100), entry(2, 3*small))
	l.close()
	longest = 2 * small
	t.Cleanup(func() { longest = maxBody })
	for _, writable := range []bool{true, false} {
		_, err := l.open(Mark{}, writable)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NotErrorIs(t, err, journal.ErrCorrupt)
		require.ErrorContains(t, err, "frame 1 of the log, at byte 0 of segment 1, has ")
	}
	_, err := Salvage(t.Context(), l.dir.Name(), &id, small, func(string, int64, string) { t.Error("it is not damaged") })
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// What a header says is hidden is looked for nowhere but in the body, however far it is.
func TestAPlaceBehindTheBodyIsRefused(t *testing.T) {
	for _, place := range []uint32{9, 1 << 28, 1<<28 + 1, 1<<29 + 1, 1 << 31, math.MaxUint32} {
		require.ErrorIs(t, restore(make([]byte, 64), place), errMalformed, place)
	}
	require.NoError(t, restore(make([]byte, 64), 8))
}
