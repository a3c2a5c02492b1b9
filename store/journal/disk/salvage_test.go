package disk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
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

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/state"
)

// unitOf is what keys of a State are units: what stands at one place of a list. Parts of
// texts never change.
func unitOf(key []byte) int {
	if len(key) == 1+8 && key[0] == 0 {
		return 0
	}
	return min(len(key), 1+8)
}

// views show all runtimes of a State.
type views map[store.RuntimeID]string

func viewsOf(t testing.TB, s *state.State) views {
	all := views{}
	for more, paging := true, (state.Paging{}); more; {
		page := s.Runtimes(paging)
		for _, sum := range page.Items {
			all[sum.RuntimeID] = viewed(s.View(sum.RuntimeID))
		}
		paging.From, more = page.Next, page.More
	}
	require.Len(t, all, s.Totals().Runtimes)
	return all
}

// viewed is all that a View shows.
func viewed(v *state.View) string {
	var b strings.Builder
	held := v.Summary()
	held.Held = store.Totals{} // what texts share depends on who else is there
	fmt.Fprintln(&b, held.RuntimeID, held.Version, held.RuntimeState, held.Ended)
	for s := range v.Sessions() {
		fmt.Fprintln(&b, s.Number, s.Made, s.Committed, s.RunID, s.Sequence, s.Snapshot.Format(), sha256.Sum256(s.Snapshot.Bytes()))
	}
	for input := range v.InputStates() {
		text, err := input.MarshalJSON()
		fmt.Fprintln(&b, string(text), err)
	}
	for id := range v.Runs() {
		highest, _ := v.HighestSequence(id)
		fmt.Fprintln(&b, id, highest)
		for r := range v.Receipts(id) {
			text, err := r.MarshalJSON()
			fmt.Fprintln(&b, string(text), err)
		}
	}
	for id, highest := range v.DroppedRuns() {
		fmt.Fprintln(&b, id, highest)
	}
	latest, ok := v.LatestReceipt()
	text, err := latest.MarshalJSON()
	fmt.Fprintln(&b, string(text), err, ok)
	return b.String()
}

// A recorder is an engine that knows what was appended.
type recorder struct {
	journal.Engine
	batches [][]journal.Change
}

type recorded struct {
	journal.Journal
	to *recorder
}

func (r *recorder) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := r.Engine.Open(ctx, partition, emit)
	return recorded{j, r}, err
}

func (r recorded) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	var copied []journal.Change
	for _, c := range b.Changes {
		copied = append(copied, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value), Delete: c.Delete})
	}
	r.to.batches = append(r.to.batches, copied)
	return r.Journal.Append(ctx, b)
}

// replayed replays what is emitted.
func replayed(t testing.TB, all []journal.Change) (*state.State, state.Salvaged) {
	t.Helper()
	s := new(state.State)
	r := state.NewReplay(s)
	defer r.Close()
	r.Salvage()
	for _, c := range all {
		require.NoError(t, r.Put(c))
	}
	require.NoError(t, r.Done())
	return s, r.Salvaged()
}

// A wrecked directory is to be damaged. It knows what each runtime was at any time.
type wrecked struct {
	directory
	opts disk.Options
	path string
	now  views
	ever map[store.RuntimeID]map[string]bool
	all  []journal.Change
}

// wreck makes a directory in which a loop did something of every kind. What the last rounds
// did is in the log alone.
func wreck(t *testing.T, segment int64) *wrecked {
	t.Helper()
	w := &wrecked{
		path: filepath.Join(t.TempDir(), "journal"), ever: map[store.RuntimeID]map[string]bool{},
		opts: disk.WithSegments(disk.Options{Timeout: -1, CompactAt: -1}, segment),
	}
	r := &recorder{Engine: disk.New(w.path, w.opts)}
	ctx := t.Context()
	open := func() *loopstore.Loop {
		l, err := loopstore.Open(context.WithoutCancel(ctx), r, "p0", loopstore.Options{})
		require.NoError(t, err)
		return l
	}
	l := open()
	runs := map[store.RuntimeID]store.RunID{}
	inputs := map[store.RuntimeID][]store.InputState{}
	for round := range 6 {
		for n := range 24 {
			if n%3 != round%3 && round > 0 {
				continue // so many are in the pages alone
			}
			id := store.RuntimeID(fmt.Sprint("runtime-", n))
			if runs[id] == (store.RunID{}) {
				runs[id] = store.NewRunID()
			}
			input := store.NewInputState(store.NewInputID(), store.Time{})
			input.PersistedInput = fmt.Appendf(nil, `{"n":%d}`, round)
			require.NoError(t, l.PersistInputState(ctx, id, input))
			inputs[id] = append(inputs[id], input)
			again := inputs[id][0]
			again.PersistedInput = fmt.Appendf(nil, `{"again":%d}`, round)
			_, err := l.CommitSessionBoundary(ctx, id, store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: snapshotOf(1 + round)}, RunID: runs[id], Boundary: store.RunCheckpoint,
				ContributingInputIDs: []store.InputID{input.InputID}, InputUpdates: []store.InputState{again},
			})
			require.NoError(t, err)
			require.NoError(t, l.PersistRuntimeState(ctx, id, store.RuntimeIdle))
			if n%5 == 4 {
				_, err := l.DeleteRuntime(ctx, id)
				require.NoError(t, err)
				delete(runs, id)
				delete(inputs, id)
			}
		}
		if round < 4 {
			require.NoError(t, l.Compact(ctx))
		}
	}
	require.NoError(t, l.Close())
	require.NoError(t, open().Close()) // so that the last frame is none that anybody was told of
	w.directory = readDir(t, w.path)

	stands := map[string]journal.Change{}
	for _, batch := range r.batches {
		for _, c := range batch {
			if stands[string(c.Key)] = c; c.Delete {
				delete(stands, string(c.Key))
			}
		}
		w.all = nil
		for _, key := range slices.Sorted(keys(stands)) {
			w.all = append(w.all, stands[key])
		}
		s, _ := replayed(t, w.all)
		w.now = viewsOf(t, s)
		for id, what := range w.now {
			if w.ever[id] == nil {
				w.ever[id] = map[string]bool{}
			}
			w.ever[id][what] = true
		}
	}
	return w
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// A tally counts what came out.
type tally struct{ damages, runtimes, current, older, aside int }

func (n tally) String() string {
	all := float64(n.runtimes)
	return fmt.Sprintf("%d damages: %.1f %% of the runtimes are as they were last, %.1f %% as they were before, %.1f %% are named and set aside",
		n.damages, 100*float64(n.current)/all, 100*float64(n.older)/all, 100*float64(n.aside)/all)
}

// salvaged salvages the directory with another content of one file, or without it, and puts
// it back. It fails the test if anything comes out that never was.
func (w *wrecked) salvaged(t *testing.T, what, name string, content []byte, n *tally) (got views, found []disk.Damage) {
	t.Helper()
	path := filepath.Join(w.path, name)
	if content == nil {
		require.NoError(t, os.Remove(path))
	} else {
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	defer func() { require.NoError(t, os.WriteFile(path, []byte(w.directory[name]), 0o600)) }()
	return w.salvage(t, what, n)
}

func (w *wrecked) salvage(t *testing.T, what string, n *tally) (got views, found []disk.Damage) {
	t.Helper()
	var all []journal.Change
	found, err := disk.Salvage(t.Context(), w.path, "p0", w.opts, unitOf, func(c journal.Change) error {
		require.False(t, c.Delete)
		if len(all) > 0 {
			require.Negative(t, bytes.Compare(all[len(all)-1].Key, c.Key), what)
		}
		all = append(all, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value)})
		return nil
	})
	require.NoError(t, err, what)
	s, left := replayed(t, all)
	if len(found) == 0 { // and so Open takes it
		_, err := disk.Read(t.Context(), w.path, "p0", w.opts, func(c journal.Change) error {
			require.NotEmpty(t, all, what)
			require.Equal(t, string(c.Key), string(all[0].Key), what)
			require.True(t, bytes.Equal(c.Value, all[0].Value), what)
			all = all[1:]
			return nil
		})
		require.NoError(t, err, what)
		require.Empty(t, all, what)
	}
	got = viewsOf(t, s)
	n.damages++
	n.runtimes += len(w.now)
	for id, is := range got {
		require.True(t, w.ever[id][is], "%s: runtime %s never was like that: %s\n%v", what, id, is, found)
		if is == w.now[id] {
			n.current++
		} else if w.now[id] != "" {
			n.older++
		}
	}
	n.aside += len(left.Asides)
	for _, d := range found {
		require.NotEmpty(t, d.Reason)
	}
	return got, found
}

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
		for _, unit := range []disk.Unit{unitOf, nil} {
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
	w := wreck(t, 64<<10)
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
