package pages

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// unsupported asserts that an error speaks of this machine, and of no damage.
func unsupported(t *testing.T, err error, why string) {
	t.Helper()
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NotErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, why)
}

func mapping(t *testing.T, file int, page int64) {
	was, wasPage := largestFile, largestPage
	largestFile, largestPage = file, page
	t.Cleanup(func() { largestFile, largestPage = was, wasPage })
}

func TestWhatCanBeMapped(t *testing.T) {
	file, page := mapped(64)
	require.Zero(t, file)
	require.EqualValues(t, math.MaxInt32, page)
	file, page = mapped(32)
	require.Equal(t, 1<<30, file)
	require.EqualValues(t, 1<<28-1, page)
}

// A file does not grow to more than can be mapped. What does not fit is not written, and what
// was is there.
func TestAFileGrowsToWhatCanBeMapped(t *testing.T) {
	mapping(t, 32<<20, math.MaxInt32)
	f := created(t)
	value := strings.Repeat("value", 1<<20/5)
	put := func(n int) error {
		return f.apply("p", journal.Change{Key: fmt.Append(nil, n), Value: []byte(value)})
	}
	n := 0
	err := put(n)
	for ; err == nil && n < 100; err = put(n) {
		n++
	}
	unsupported(t, err, "the pages would have more than the 33554432 bytes that can be mapped")
	require.Greater(t, n, 4)
	require.Equal(t, err, f.Failed())
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(largestFile))
	require.NoError(t, f.Reopen(t.Context()))
	require.NoError(t, f.Close())
	all, _, err := read(t, f.path)
	require.NoError(t, err)
	require.Len(t, all["p"], n)
}

// A file, and a page, that are larger than can be mapped are refused as that.
func TestWhatCannotBeMappedIsRefused(t *testing.T) {
	f := created(t)
	f.put("p", "k", strings.Repeat("x", 100<<10))
	require.NoError(t, f.Close())
	mapping(t, 64<<10, math.MaxInt32)
	_, _, err := read(t, f.path)
	unsupported(t, err, "and 65536 can be mapped")
	mapping(t, 0, 64<<10)
	_, _, err = read(t, f.path)
	unsupported(t, err, "has 106496 bytes, and 65536 can be mapped")
}

// A file of a machine of the other byte order is not damaged.
func TestTheOtherByteOrderIsRefused(t *testing.T) {
	for _, which := range [][]int{{0}, {1}, {0, 1}} {
		s := slices.Clone(fill(t).snapshot())
		for _, i := range which {
			at := s[i*pageSize+pageHeader:]
			native.PutUint32(at, bits.ReverseBytes32(native.Uint32(at)))
		}
		path := s.write(t)
		_, _, err := read(t, path)
		unsupported(t, err, "the pages were written on a machine of the other byte order")
		file, err := os.Open(path)
		require.NoError(t, err)
		_, err = Trees(t.Context(), file, int64(len(s)), func(int64, string) {})
		unsupported(t, err, "other byte order")
		require.NoError(t, file.Close())
	}
}
