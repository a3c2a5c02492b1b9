package disk

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Any bit of the format that is flipped is found. One of the version may make it a later
// one, which is refused as such, since it comes before all else.
func TestFormat(t *testing.T) {
	id := wal.ID{0, 1, 0xab, 15: 0xff}
	text := encodeFormat(id)
	got, err := decodeFormat(text)
	require.NoError(t, err)
	require.Equal(t, id, got)
	for bit := range 8 * len(text) {
		damaged := []byte(text)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := decodeFormat(string(damaged))
		if errors.Is(err, journal.ErrNewerFormat) {
			require.Contains(t, string(damaged), "version 7")
		} else {
			require.ErrorIs(t, err, journal.ErrCorrupt, "%q", damaged)
		}
	}
	for size := range text {
		_, err := decodeFormat(text[:size])
		require.ErrorIs(t, err, journal.ErrCorrupt, "%q", text[:size])
	}
	for _, more := range []string{"\n", "x", text, strings.Repeat("x", 10_000)} {
		_, err := decodeFormat(text + more)
		require.ErrorIs(t, err, journal.ErrCorrupt)
	}
	for later, known := range map[string]bool{
		"loopstore journal, version 4, and what that has\n":        true,
		"loopstore journal, version 4\n":                           true,
		"loopstore journal, version 4, log 00, sum 00\n":           true,
		"loopstore journal, version 10, log " + text[len(text)-9:]: true,
		"loopstore journal, version 2, log\n":                      false,
		"loopstore journal, version 0, log\n":                      false,
		"loopstore journal, version -4, log\n":                     false,
		"another journal, version 4, log\n":                        false,
		"":                                                         false,
	} {
		_, err := decodeFormat(later)
		require.Equal(t, known, errors.Is(err, journal.ErrNewerFormat), "%q: %v", later, err)
		require.Equal(t, !known, errors.Is(err, journal.ErrCorrupt), "%q: %v", later, err)
	}
}
