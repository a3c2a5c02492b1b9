package bolt_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// answers opens every partition of a file. It fails the test unless each either
// is refused as corrupt, or answers as it should. It says how many were refused.
func answers(t *testing.T, path string, want map[string]contents) (refused int) {
	t.Helper()
	e := bolt.New(path, bolt.Options{Timeout: -1})
	for partition, stands := range want {
		j, got, err := load(t, e, partition)
		if err != nil {
			require.ErrorIs(t, err, journal.ErrCorrupt)
			var typed *bolt.Error
			require.True(t, errors.As(err, &typed))
			require.Equal(t, path, typed.Path)
			refused++
			continue
		}
		require.True(t, maps.Equal(stands, got), "another answer for %q", partition)
		_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("key 001", "new")}})
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
	}
	return refused
}

func TestAFlippedBitIsFoundOrHarmless(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "whole")
	want := fill(t, path)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	places := []int{}
	for range 200 {
		places = append(places, random.IntN(8*len(whole)))
	}
	for range 200 { // among those that matter most
		places = append(places, random.IntN(8*8192), random.IntN(2000)*4096*8%(8*len(whole))+random.IntN(600*8))
	}
	for bit := range 8 * 80 { // all of both meta pages' facts
		places = append(places, 16*8+bit, (4096+16)*8+bit)
	}
	if testing.Short() {
		places = places[:200]
	}
	refused := 0
	damaged := filepath.Join(dir, "damaged")
	for _, bit := range places {
		if bit >= 8*len(whole) {
			continue
		}
		whole[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(damaged, whole, 0o600))
		whole[bit/8] ^= 1 << (bit % 8)
		t.Logf("bit %d of byte %d", bit%8, bit/8)
		if answers(t, damaged, want) > 0 {
			refused++
		}
	}
	require.NotZero(t, refused)
	t.Logf("%d of %d were refused", refused, len(places))
}

func TestATruncatedFileIsRefusedOrWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "whole")
	want := fill(t, path)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	sizes := []int{0, 1, 15, 4095, 4096, 8191, 8192, 8193, 4 * 4096, len(whole) / 2, len(whole) - 1}
	random := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		sizes = append(sizes, random.IntN(len(whole)))
	}
	refused := 0
	damaged := filepath.Join(dir, "damaged")
	for _, size := range sizes {
		require.NoError(t, os.WriteFile(damaged, whole[:size], 0o600))
		t.Logf("%d of %d bytes", size, len(whole))
		if answers(t, damaged, want) > 0 {
			refused++
		}
	}
	require.NotZero(t, refused)
	t.Logf("%d of %d were refused", refused, len(sizes))
}

// A meta page that was written halfway is a batch that nobody was told of, and
// one that was damaged later is not: the seal of its transaction is there.
func TestTheNewestMetaPage(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "journal"), filepath.Join(dir, "copy")
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	appendTo(t, j, put("a", "2"))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	newest := 0
	if string(before[16:88]) == string(after[16:88]) {
		newest = 4096
	}
	try := func(name string, spoil func(page []byte), want contents) {
		spoilt := append([]byte{}, after...)
		spoil(spoilt[newest:][:4096])
		require.NoError(t, os.WriteFile(copied, spoilt, 0o600))
		again, got, err := load(t, bolt.New(copied, bolt.Options{}), "p")
		if want == nil {
			require.ErrorIs(t, err, journal.ErrCorrupt, name)
			return
		}
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
		require.NoError(t, again.Close(t.Context()))
	}
	torn := func(page []byte) { copy(page[56:], before[newest+56:][:32]) }
	try("it is damaged after the batch was acknowledged", torn, nil)
	try("the write of it was lost", func(page []byte) { copy(page, before[newest:][:4096]) }, nil)

	older := 4096 - newest
	clear(after[older+512:][:20]) // the process ended before it wrote the seal
	try("it was written halfway", torn, contents{"a": "1"})
	try("it was written, and the batch not acknowledged", func([]byte) {}, contents{"a": "2"})
}

func TestAnOlderRecordIsFound(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	want := fill(t, path)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	// Every page that is there twice but for its number is tried in the other's place.
	pages := len(whole) / 4096
	random := rand.New(rand.NewPCG(5, 6))
	rounds := 200
	if testing.Short() {
		rounds = 50
	}
	for range rounds {
		spoilt := append([]byte{}, whole...)
		to, from := 2+random.IntN(pages-2), 2+random.IntN(pages-2)
		copy(spoilt[to*4096+8:][:4088], whole[from*4096+8:][:4088]) // with its own number
		require.NoError(t, os.WriteFile(path, spoilt, 0o600))
		t.Logf("page %d in the place of %d", from, to)
		answers(t, path, want)
	}
}

// A file that is cut off while it is open faults where it is mapped: that is an
// error, and what was there before it is looked at by the next Open.
func TestAFaultIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	want := fill(t, path)
	j, _, err := load(t, bolt.New(path, bolt.Options{}), "p")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 8192))
	for range 2 {
		_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("key 001", "new")}})
		require.ErrorIs(t, err, journal.ErrAmbiguous)
	}
	require.NoError(t, j.Close(t.Context()))
	require.NotZero(t, answers(t, path, want))
}
