package disk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/state"
)

// A directory that is whole gives what Read gives, and no damage, also to what looks for it.
func TestSalvageOfAWholeDirectory(t *testing.T) {
	w := wreck(t, 64<<10)
	read := func(do func(emit func(journal.Change) error) error) (all []journal.Change) {
		require.NoError(t, do(func(c journal.Change) error {
			all = append(all, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value)})
			return nil
		}))
		return all
	}
	check := func(partition string) {
		before := stampsOf(t, w.path)
		want := read(func(emit func(journal.Change) error) error {
			_, err := disk.Read(t.Context(), w.path, partition, w.opts, emit)
			return err
		})
		for _, unit := range []disk.Unit{state.Unit, nil} {
			require.Equal(t, want, read(func(emit func(journal.Change) error) error {
				found, err := disk.Salvage(t.Context(), w.path, partition, w.opts, unit, emit)
				require.Empty(t, found)
				return err
			}))
			require.Equal(t, want, read(func(emit func(journal.Change) error) error {
				found, err := disk.SalvageAnyway(t.Context(), w.path, partition, w.opts, unit, emit)
				require.Equal(t, []disk.Damage{{At: -1, Reason: "anyway"}}, found)
				return err
			}))
		}
		require.Equal(t, before, stampsOf(t, w.path))
	}
	check("p0")
	names, found, err := disk.SalvagePartitions(t.Context(), w.path, w.opts)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Equal(t, []string{"p0"}, names)
	_, err = disk.Salvage(t.Context(), w.path, "p1", w.opts, nil, nil)
	require.ErrorContains(t, err, "no partition")

	eachWhole(t, func(t *testing.T, path string, whole whole) {
		w.path, w.opts = path, small
		check("p")
		check("small")
	})
}

// Each page and each frame in turn is damaged: at most what the frame has changed is older.
func TestSalvageWithOneDamage(t *testing.T) {
	w := wreck(t, 80<<10)
	whole := func(got views, what string, found []disk.Damage) {
		if !assert.Equal(t, len(w.now), len(got), "%s: %v", what, found) {
			return
		}
		for id, is := range w.now {
			require.Equal(t, is, got[id], "%s: %v", what, found)
		}
	}
	var pages, frames tally
	for at := 0; at < len(w.directory["pages"]); at += 4096 {
		for how, damage := range map[string]func(page []byte){
			"zeroed":  func(page []byte) { clear(page) },
			"flipped": func(page []byte) { page[rand.IntN(64)] ^= 1 << rand.IntN(8) },
			"turned":  func(page []byte) { slices.Reverse(page[100:]) },
			"fewer": func(page []byte) {
				binary.NativeEndian.PutUint16(page[10:], max(1, binary.NativeEndian.Uint16(page[10:]))-1)
			}, // elements
		} {
			content := []byte(w.directory["pages"])
			damage(content[at:][:4096])
			what := fmt.Sprintf("page %d %s", at/4096, how)
			got, found := w.salvaged(t, what, "pages", content, &pages)
			whole(got, what, found)
		}
	}
	t.Log("one page: ", pages)
	for _, name := range w.segments() {
		text := w.directory[name]
		for at := 0; at < len(text); at += 8 {
			if !strings.HasPrefix(text[at:], "loop") {
				continue
			}
			content := []byte(text)
			content[at+rand.IntN(100)] ^= 1 << rand.IntN(8)
			_, _ = w.salvaged(t, fmt.Sprintf("frame at %d of %s", at, name), name, content, &frames)
		}
	}
	t.Log("one frame:", frames)
	assert.Greater(t, frames.current+frames.older, frames.runtimes*9/10)
	assert.Greater(t, frames.current, frames.runtimes*7/10)
}

// A file is missing, cut off, or of zeros, or bits are flipped all over it.
func TestSalvageWithMuchDamage(t *testing.T) {
	w := wreck(t, 64<<10)
	random := rand.New(rand.NewPCG(3, 4))
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for _, how := range []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"missing", func([]byte) []byte { return nil }},
		{"empty", func([]byte) []byte { return []byte{} }},
		{"cut off", func(b []byte) []byte { return b[:random.IntN(len(b))] }},
		{"zeroed", func(b []byte) []byte { clear(b); return b }},
		{"zeroed in part", func(b []byte) []byte { clear(b[random.IntN(len(b)):]); return b }},
		{"one bit", func(b []byte) []byte { b[random.IntN(len(b))] ^= 4; return b }},
		{"some bits", func(b []byte) []byte {
			for range 10 {
				b[random.IntN(len(b))] ^= 1 << random.IntN(8)
			}
			return b
		}},
		{"exchanged", func(b []byte) []byte {
			if len(b) < 4*4096 {
				return b[:1]
			}
			one, other := random.IntN(len(b)/4096)*4096, random.IntN(len(b)/4096)*4096
			copy(b[one:one+4096], bytes.Clone(b[other:other+4096]))
			return b
		}},
		{"both meta pages", func(b []byte) []byte { clear(b[:min(8192, len(b))]); return b }},
	} {
		for _, kind := range []string{"pages", "format", "log"} {
			var n tally
			for name := range w.directory {
				if !strings.HasPrefix(name, kind) {
					continue
				}
				for range rounds {
					_, _ = w.salvaged(t, name+" "+how.name, name, how.damage([]byte(w.directory[name])), &n)
				}
			}
			t.Logf("%s, %s: %v", kind, how.name, n)
			if kind == "format" || kind == "pages" && slices.Contains([]string{"one bit", "both meta pages"}, how.name) {
				assert.Equal(t, n.runtimes, n.current, "%s, %s", kind, how.name)
			}
		}
	}
}

// Pages and frames are damaged together. What comes out has been, whatever is missing.
func TestSalvageWithDamageInSeveralFiles(t *testing.T) {
	w := wreck(t, 32<<10)
	random := rand.New(rand.NewPCG(5, 6))
	rounds := 300
	if testing.Short() {
		rounds = 40
	}
	var n tally
	for round := range rounds {
		d := w.directory
		var what []string
		for range 1 + random.IntN(4) {
			content, at := []byte(d["pages"]), random.IntN(len(d["pages"])/4096)*4096
			clear(content[at:][:4096])
			d = d.with("pages", string(content))
			what = append(what, fmt.Sprint("page ", at/4096))
		}
		for range random.IntN(5) {
			name := w.segments()[random.IntN(len(w.segments()))]
			content, at := []byte(d[name]), random.IntN(len(d[name]))
			clear(content[at:min(at+1+random.IntN(4096), len(content))])
			d = d.with(name, string(content))
			what = append(what, fmt.Sprintf("%s at %d", name, at))
		}
		switch random.IntN(8) {
		case 0:
			d = d.without("format")
		case 1:
			d = d.without(w.segments()[random.IntN(len(w.segments()))])
		}
		require.NoError(t, d.write(w.path))
		_, _ = w.salvage(t, fmt.Sprint(round, what), &n)
		names, _, err := disk.SalvagePartitions(t.Context(), w.path, w.opts)
		require.NoError(t, err)
		require.Equal(t, []string{"p0"}, names)
	}
	t.Log(n)
	assert.Greater(t, n.current+n.older, n.runtimes/2)
}

// A directory of many partitions, which fill several pages of the root, and large values.
func TestSalvageOfManyPartitions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	e := disk.New(path, small)
	want := map[string]contents{}
	for n := range 150 {
		name := fmt.Sprintf("partition %03d %s", n, strings.Repeat("x", 60))
		j, _, err := load(t, e, name)
		require.NoError(t, err)
		want[name] = contents{}
		for i := range 1 + n%5 {
			key, value := fmt.Sprint(i), strings.Repeat(fmt.Sprint(n), 1+i*i*1000)
			want[name][key] = value
			appendTo(t, j, put(key, value))
		}
		if n == 100 || n == 149 {
			require.NoError(t, j.Compact(t.Context(), nil))
		}
		require.NoError(t, j.Close(t.Context()))
	}
	d := readDir(t, path)
	step := 5
	if testing.Short() {
		step = 50
	}
	lost := 0
	for at := 0; at < len(d["pages"]); at += 4096 * step {
		content := []byte(d["pages"])
		clear(content[at:][:4096])
		require.NoError(t, os.WriteFile(filepath.Join(path, "pages"), content, 0o600))
		names, found, err := disk.SalvagePartitions(t.Context(), path, small)
		require.NoError(t, err)
		for _, name := range names {
			require.Contains(t, want, name)
		}
		if len(names) < len(want) {
			require.NotEmpty(t, found)
			lost += len(want) - len(names)
		}
		for range 3 {
			name := names[rand.IntN(len(names))]
			got := 0
			found, err := disk.Salvage(t.Context(), path, name, small, nil, func(c journal.Change) error {
				got++
				require.True(t, want[name][string(c.Key)] == string(c.Value), "page %d: %q", at/4096, c.Key)
				return nil
			})
			require.NoError(t, err)
			if got < len(want[name]) {
				require.NotEmpty(t, found)
				lost++
			}
		}
	}
	t.Logf("%d of %d pages: %d partitions or keys lost", len(d["pages"])/4096/step, len(d["pages"])/4096, lost)
}

// A frame is missing. What no later one has changed is as it was; a later change is emitted,
// and what it deletes is not; a unit is as it was at one moment.
func TestSalvageBehindAMissingFrame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1}, 4096)
	j := openWith(t, path, opts)
	appendTo(t, j, put("a1", "1"), put("a2", "1"), put("b1", "1"), put("c1", "1"), put("c2", "1"), put("t1", "text"), put("z1", "1"))
	require.NoError(t, j.Compact(t.Context(), nil))
	appendTo(t, j, put("a1", "2"))
	appendTo(t, j, put("a1", "missing"), put("b1", "missing"), put("d2", "missing"))
	appendTo(t, j, put("a2", "4"), remove("c1"), remove("c2"), put("d1", "4"), remove("t1"))
	appendTo(t, j, put("a2", "5"))
	require.NoError(t, j.Close(t.Context()))
	d := readDir(t, path)
	const name = "log-0000000000000001"
	content := []byte(d[name])
	at := bytes.Index(content, []byte("missing"))
	require.Positive(t, at)
	content[at]++
	require.NoError(t, d.with(name, string(content)).write(path))

	for _, tc := range []struct {
		unit disk.Unit
		want string
	}{
		{nil, "a1=2 a2=5 b1=1 d1=4 z1=1"},
		{func([]byte) int { return 1 }, "a1=2 a2=1 b1=1 d1=4 z1=1"},
		{func(key []byte) int { return strings.Count("abcdz", string(key[:1])) }, "a1=2 a2=1 b1=1 d1=4 t1=text z1=1"},
	} {
		var got []string
		found, err := disk.Salvage(t.Context(), path, "p", opts, tc.unit, func(c journal.Change) error {
			got = append(got, fmt.Sprintf("%s=%s", c.Key, c.Value))
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, tc.want, strings.Join(got, " "))
		found = slices.DeleteFunc(found, func(d disk.Damage) bool { return d.Older != "" })
		require.Len(t, found, 1)
		assert.Contains(t, found[0].String(), "frame 4 of the log is damaged or missing")
		assert.Equal(t, name, found[0].File)
		assert.Less(t, found[0].At, int64(at))
		assert.Equal(t, "loop", string(content[found[0].At:][:4]))
	}
}

// What the pages have is not older than a change of a frame that they have reached, although
// the frame with the last one is damaged.
func TestSalvageKeepsWhatIsNewerInThePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1, CompactAt: -1}, 4096)
	j := openWith(t, path, opts)
	appendTo(t, j, put("a", "1"), put("b", "1"))
	appendTo(t, j, put("a", "missing"), remove("b"))
	require.NoError(t, j.Compact(t.Context(), nil))
	appendTo(t, j, put("z", "1"))
	require.NoError(t, j.Close(t.Context()))
	d := readDir(t, path)
	const name = "log-0000000000000001"
	require.NoError(t, d.with(name, strings.Replace(d[name], "missing", "Missing", 1)).write(path))
	for _, unit := range []disk.Unit{nil, func([]byte) int { return 1 }} {
		var got []string
		found, err := disk.Salvage(t.Context(), path, "p", opts, unit, func(c journal.Change) error {
			got = append(got, fmt.Sprintf("%s=%s", c.Key, c.Value))
			return nil
		})
		require.NoError(t, err)
		require.NotEmpty(t, found)
		require.Equal(t, []string{"a=missing", "z=1"}, got)
	}
}

// What a salvage does not judge is left to who can: a directory in use, of a later version,
// or with something else than files. An error of emit comes out as it is.
func TestSalvageRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	salvage := func(emit func(journal.Change) error) error {
		_, err := disk.Salvage(t.Context(), path, "p", disk.Options{Timeout: -1}, nil, emit)
		return err
	}
	require.ErrorIs(t, salvage(nil), os.ErrNotExist)
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.ErrorIs(t, salvage(nil), journal.ErrInUse)
	require.NoError(t, j.Close(t.Context()))
	d := readDir(t, path)

	for name, d := range map[string]directory{"format": d.without("pages"), "pages": d.without("format")} {
		require.NoError(t, d.write(path))
		f, err := os.Open(filepath.Join(path, name))
		require.NoError(t, err)
		locked, err := files.TryLock(f)
		require.NoError(t, err)
		require.True(t, locked)
		require.ErrorIs(t, salvage(nil), journal.ErrInUse, "another process has locked the %s", name)
		require.NoError(t, f.Close())
	}

	why := errors.New("why")
	for name, d := range map[string]directory{"whole": d, "damaged": d.without("format"), "without pages": d.without("pages")} {
		require.NoError(t, d.write(path))
		require.Equal(t, why, salvage(func(journal.Change) error { return why }), name)
		require.PanicsWithValue(t, "mine", func() { _ = salvage(func(journal.Change) error { panic("mine") }) }, name)
		require.NoError(t, salvage(func(journal.Change) error { return nil }), "nothing is left open")
		require.Equal(t, d, readDir(t, path))
	}
	require.NoError(t, d.with("format", "loopstore journal, version 4, and what that says\n").write(path))
	require.ErrorIs(t, salvage(nil), journal.ErrNewerFormat)
	require.NoError(t, d.with("format", strings.Replace(d["format"], "version 3", "version 7", 1)).write(path))
	found, err := disk.Salvage(t.Context(), path, "p", disk.Options{}, nil, func(journal.Change) error { return nil })
	require.NoError(t, err, "the sum says that it is of this version")
	require.Equal(t, []disk.Damage{{File: "format", Reason: "the version is damaged"}}, found)
	require.Equal(t, "format, byte 0: the version is damaged", found[0].String())
	for _, name := range []string{"format", "pages", "log-0000000000000001"} {
		require.NoError(t, d.without(name).write(path))
		require.NoError(t, os.Mkdir(filepath.Join(path, name), 0o700))
		require.ErrorIs(t, salvage(nil), disk.ErrKind, name)
	}
	require.NoError(t, directory{"notes": ""}.write(path))
	require.ErrorContains(t, salvage(nil), "holds no journal")
	require.NoError(t, directory{"pages": "?"}.write(path))
	require.ErrorContains(t, salvage(nil), `nothing can be seen of partition "p"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, d.without("format").write(path))
	_, err = disk.Salvage(ctx, path, "p", disk.Options{}, nil, nil)
	require.ErrorIs(t, err, context.Canceled)
}
