package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// small are options with segments that a test can look at bit by bit.
var small = disk.WithSegments(disk.Options{Timeout: -1, CompactAt: -1}, 64<<10)

// answers opens every partition of a directory. It fails the test unless each either is
// refused as corrupt, or answers as it should and goes on. It returns why they were refused.
func answers(t *testing.T, path string, want map[string]contents) (refused []error) {
	t.Helper()
	e := disk.New(path, small)
	for partition, stands := range want {
		j, got, err := load(t, e, partition)
		if err != nil {
			require.ErrorIs(t, err, journal.ErrCorrupt)
			var typed *disk.Error
			require.True(t, errors.As(err, &typed))
			require.Equal(t, path, typed.Path)
			refused = append(refused, err)
			continue
		}
		require.True(t, maps.Equal(stands, got), "another answer for %q", partition)
		appendTo(t, j, put("key 001", "new"))
		require.NoError(t, j.Close(t.Context()))
	}
	return refused
}

// A whole directory has all its records in the pages, or in the log, or some in either.
type whole struct {
	directory
	want map[string]contents
}

func eachWhole(t *testing.T, try func(t *testing.T, path string, w whole)) {
	for name, compacted := range map[string][]int{
		"all is in the pages": {0, 1, 2}, "all is in the log": nil, "some is in the log": {0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			w := whole{want: fill(t, path, small, compacted...)}
			// The last frame is one of which nobody needs to have been told: see
			// TestTheLastFrame.
			reload(t, path, small)
			w.directory = readDir(t, path)
			try(t, path, w)
		})
	}
}

func TestAFlippedBitIsFoundOrHarmless(t *testing.T) {
	eachWhole(t, func(t *testing.T, path string, w whole) {
		random := rand.New(rand.NewPCG(1, 2))
		rounds := 40
		if testing.Short() {
			rounds = 10
		}
		type place struct {
			name string
			bit  int
		}
		var places []place
		for bit := 0; bit < 8*len(w.directory["format"]); bit += 7 {
			places = append(places, place{"format", bit})
		}
		for range rounds {
			pages := len(w.directory["pages"])
			places = append(places, place{"pages", random.IntN(8 * pages)},
				place{"pages", (random.IntN(pages/4096)*4096 + random.IntN(600)) * 8}) // among what matters most
			for _, name := range w.segments() {
				if random.IntN(len(w.segments())) < 4 {
					places = append(places, place{name, random.IntN(8 * len(w.directory[name]))})
				}
			}
		}
		for bit := 0; bit < 8*80; bit += 13 { // both meta pages' facts
			places = append(places, place{"pages", 16*8 + bit}, place{"pages", (4096+16)*8 + bit})
		}
		found := map[string]int{}
		for _, at := range places {
			require.NoError(t, w.flipped(at.name, at.bit).write(path))
			t.Logf("bit %d of byte %d of %s", at.bit%8, at.bit/8, at.name)
			for _, err := range answers(t, path, w.want) {
				found[at.name[:3]]++
				if strings.HasPrefix(at.name, "log") {
					assert.Regexp(t, `frame \d+ of the log, at byte \d+ of segment \d+|the log has no segment|frame \d+ of the log is not`, err.Error())
				}
				break
			}
		}
		require.Equal(t, (8*len(w.directory["format"])+6)/7, found["for"], "all of the format is in use")
		require.NotZero(t, found["pag"])
		t.Logf("of %d were refused: %v", len(places), found)
	})
}

// Every bit of the frames in a small log: it is found, with its place, unless it is one of
// the last frame's.
func TestTheLastFrame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1}, 4096)
	j := openWith(t, path, opts)
	appendTo(t, j, put("a", "1"))
	before := settled(t, path)
	appendTo(t, j, put("a", "2"), put("b", "2"))
	require.NoError(t, j.Close(t.Context()))
	d := readDir(t, path)
	const name = "log-0000000000000001"
	begin, end := 0, 0 // of the last frame
	for at := range len(d[name]) {
		if d[name][at] != before[name][at] {
			if begin == 0 {
				begin = at
			}
			end = at + 1
		}
	}
	begin &^= 7
	require.NotZero(t, begin)
	step := 5
	if testing.Short() {
		step = 29
	}
	for bit := 0; bit < 8*end; bit += step {
		require.NoError(t, d.flipped(name, bit).write(path))
		j, got, err := load(t, disk.New(path, opts), "p")
		if bit/8 < begin {
			padding := err == nil && d[name][bit/8] == 0 // between frames
			if padding {
				require.Equal(t, contents{"a": "2", "b": "2"}, got, "bit %d", bit)
				require.NoError(t, j.Close(t.Context()))
				continue
			}
			require.ErrorIs(t, err, journal.ErrCorrupt, "bit %d", bit)
			require.Regexp(t, `frame \d+ of the log, at byte \d+ of segment 1, is damaged: a later one follows at byte \d+ of segment 1|the log has no segment 1`, err.Error())
			continue
		}
		require.NoError(t, err, "bit %d", bit)
		require.Equal(t, contents{"a": "1"}, got, "the last batch alone is lost")
		at := appendTo(t, j, put("c", "3"))
		require.EqualValues(t, 2, at.Index, "as if it had never been")
		require.NoError(t, j.Close(t.Context()))
		require.Equal(t, contents{"a": "1", "c": "3"}, reload(t, path, opts))
	}
	for size := begin; size < end; size++ { // it was not written whole
		torn := d.with(name, d[name][:size]+strings.Repeat("\x00", 4096-size))
		require.NoError(t, torn.write(path))
		require.Equal(t, contents{"a": "1"}, reload(t, path, opts), "%d bytes of %d", size-begin, end-begin)
	}
}

// A file that was cut off is found, whatever was lost.
func TestAFileThatWasCutOffIsRefused(t *testing.T) {
	eachWhole(t, func(t *testing.T, path string, w whole) {
		random := rand.New(rand.NewPCG(3, 4))
		for name, text := range w.directory {
			sizes := []int{0, 1, 15, len(text) / 2, len(text) - 1}
			if name != "format" {
				sizes = append(sizes, 4095, 4096, 8191, 8192, 8193)
			}
			for range 5 {
				sizes = append(sizes, random.IntN(len(text)))
			}
			refused := 0
			for _, size := range sizes {
				require.NoError(t, w.with(name, text[:min(size, len(text))]).write(path))
				before := readDir(t, path)
				t.Logf("%d of %d bytes of %s", size, len(text), name)
				if size >= len(text) {
					continue
				}
				err := refusedAt(t, path, w)
				if err == nil && name == "pages" {
					continue // unused room was missing alone
				}
				require.Error(t, err, "%d of %d bytes of %s", size, len(text), name)
				require.True(t, before.equal(readDir(t, path)), "nothing was changed")
				refused++
			}
			require.NotZero(t, refused)
		}
	})
}

// refusedAt opens a directory, which either is refused as corrupt, and for all partitions, or
// answers as it should.
func refusedAt(t *testing.T, path string, w whole) error {
	t.Helper()
	errs := answers(t, path, w.want)
	if len(errs) == 0 {
		return nil
	}
	require.Len(t, errs, len(w.want))
	return errors.Join(errs...)
}

// A file that is missing is found, and never is there a new journal in its place. Only of the
// segments some are not needed: the one that is prepared, and those that wait to be used again.
func TestAMissingFileIsRefused(t *testing.T) {
	eachWhole(t, func(t *testing.T, path string, w whole) {
		missing := [][]string{w.segments(), append(w.segments(), "pages")}
		for name := range w.directory {
			missing = append(missing, []string{name})
		}
		for _, names := range missing {
			d := w.directory
			for _, name := range names {
				d = d.without(name)
			}
			require.NoError(t, d.write(path))
			if err := refusedAt(t, path, w); err == nil {
				require.Len(t, names, 1)
				require.Regexp(t, "^log-", names[0])
				require.False(t, w.isLast(names[0]), "%s is missing", names[0])
				continue
			}
			require.True(t, d.equal(readDir(t, path)), "nothing was made without %s", names)
			_, err := disk.Partitions(t.Context(), path, small)
			require.ErrorIs(t, err, journal.ErrCorrupt)
		}
	})
}

// isLast reports whether the log ends in a segment.
func (w whole) isLast(name string) bool {
	last, highest := "", uint64(0)
	for _, other := range w.segments() {
		if first := firstFrame(w.directory[other]); first > highest {
			last, highest = other, first
		}
	}
	return name == last
}

// firstFrame returns the number of the frame with which a segment begins, 0 if it begins with
// none.
func firstFrame(segment string) uint64 {
	if !strings.HasPrefix(segment, "loop") {
		return 0
	}
	return binary.LittleEndian.Uint64([]byte(segment[8:]))
}

// A file of another journal, or of an older copy of the same, is found beside the others.
func TestAFileOfAnotherJournalIsRefused(t *testing.T) {
	eachWhole(t, func(t *testing.T, path string, w whole) {
		other := filepath.Join(t.TempDir(), "other")
		fill(t, other, small, 0, 1, 2)
		j, _, err := load(t, disk.New(path, small), "p")
		require.NoError(t, err)
		for i := range 100 { // what is in the log comes into the pages, and segments are used again
			appendTo(t, j, put("key 002", fmt.Sprint(i, strings.Repeat("v", 10_000))))
			if i == 70 {
				require.NoError(t, j.Compact(t.Context(), nil))
			}
		}
		require.NoError(t, j.Close(t.Context()))
		reload(t, path, small)
		w.want["p"]["key 002"] = fmt.Sprint(99, strings.Repeat("v", 10_000))
		newer := whole{readDir(t, path), w.want}
		for what, from := range map[string]directory{"another journal": readDir(t, other), "an older copy": w.directory} {
			replaced := func(name, text string) error {
				require.NoError(t, newer.with(name, text).write(path))
				before := readDir(t, path)
				t.Logf("%s of %s", name, what)
				err := refusedAt(t, path, newer)
				if err != nil {
					require.True(t, before.equal(readDir(t, path)), "nothing was changed")
				}
				return err
			}
			require.Error(t, replaced("pages", from["pages"]))
			if what == "another journal" {
				require.Error(t, replaced("format", from["format"]))
			}
			found := 0
			for _, name := range newer.segments() {
				// Without the frames of the last one, the log is one that was whole before.
				if !newer.isLast(name) && replaced(name, from[from.segments()[0]]) != nil {
					found++ // and others wait to be used again
				}
			}
			require.NotZero(t, found)
		}
	})
}

// Damage that comes while the journal is open is found when it is read again: by a Compact, and
// by the next Open. Nothing of it comes into the pages.
func TestDamageWhileItIsOpen(t *testing.T) {
	for _, name := range []string{"log-0000000000000001", "pages"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			j := openWith(t, path, disk.Options{Logger: silent})
			appendTo(t, j, put("damaged", "before"))
			if name == "pages" {
				require.NoError(t, j.Compact(t.Context(), nil))
			}
			appendTo(t, j, put("damaged", "after"))
			file := filepath.Join(path, name)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			require.NoError(t, err)
			for at := 0; bytes.Contains(text[at:], []byte("before")); at++ { // wherever it stands
				at += bytes.Index(text[at:], []byte("before"))
				_, err = f.WriteAt([]byte("B"), int64(at))
				require.NoError(t, err)
			}
			require.NoError(t, f.Close())
			for range 2 {
				require.ErrorIs(t, j.Compact(t.Context(), nil), journal.ErrCorrupt)
			}
			_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("more", "1")}})
			if err != nil {
				require.ErrorIs(t, err, journal.ErrCorrupt)
				require.ErrorIs(t, err, journal.ErrRejected)
			}
			require.NoError(t, j.Close(t.Context()))
			require.ErrorIs(t, refused(t, path), journal.ErrCorrupt)
			_, err = disk.Read(t.Context(), path, "p", disk.Options{}, func(journal.Change) error { return nil })
			require.ErrorIs(t, err, journal.ErrCorrupt)
		})
	}
}
