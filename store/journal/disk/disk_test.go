package disk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// Each engine of the suite has a directory of its own. A crash is a copy of the
// directory as it is, which is what the next process finds.
func TestConformance(t *testing.T) {
	for name, opts := range map[string]disk.Options{
		"as it is":                               {},
		"checkpoints and segments at every turn": disk.WithSegments(disk.Options{CheckpointBytes: 1}, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			opts.Timeout = -1
			paths := map[journal.Engine]string{}
			at := func(path string) journal.Engine {
				e := disk.New(path, opts)
				paths[e] = path
				return e
			}
			journaltest.Run(t, journaltest.Factory{
				Exclusive: true,
				Open:      func(t testing.TB) journal.Engine { return at(filepath.Join(t.TempDir(), "journal")) },
				Reopen:    func(_ testing.TB, e journal.Engine) journal.Engine { return at(paths[e]) },
				Crash: func(t testing.TB, e journal.Engine) journal.Engine {
					path := filepath.Join(t.TempDir(), "journal")
					require.NoError(t, settled(t, paths[e]).write(path))
					return at(path)
				},
			})
		})
	}
}

// A directory is what a directory holds: files by names.
type directory map[string]string

// readDir reads a directory that nobody changes.
func readDir(t testing.TB, path string) directory {
	t.Helper()
	d, err := tryReadDir(path)
	require.NoError(t, err)
	return d
}

func tryReadDir(path string) (directory, error) {
	entries, err := os.ReadDir(path)
	d := directory{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		d[e.Name()] = string(text)
	}
	return d, err
}

// settled reads a directory whose owner may be in the middle of a checkpoint, or be
// preparing a segment: it reads until it has read the same twice.
func settled(t testing.TB, path string) directory {
	t.Helper()
	var before directory
	for range 1000 {
		now, err := tryReadDir(path)
		if err == nil && before.equal(now) {
			return now
		}
		before = now
	}
	t.Fatal("the directory is never at rest")
	return nil
}

func (d directory) equal(other directory) bool {
	if d == nil || len(d) != len(other) {
		return false
	}
	for name, text := range d {
		if got, ok := other[name]; !ok || got != text {
			return false
		}
	}
	return true
}

// with returns a directory in which one file is another.
func (d directory) with(name, text string) directory {
	next := directory{name: text}
	for other, text := range d {
		if other != name {
			next[other] = text
		}
	}
	return next
}

// without returns a directory without a file.
func (d directory) without(name string) directory {
	next := d.with(name, "")
	delete(next, name)
	return next
}

// write makes a directory what d is.
func (d directory) write(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for name, text := range d {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// flipped returns a directory with a bit of a file flipped.
func (d directory) flipped(name string, bit int) directory {
	text := []byte(d[name])
	text[bit/8] ^= 1 << (bit % 8)
	return d.with(name, string(text))
}

// segments returns the names of the log's segments, in order.
func (d directory) segments() (names []string) {
	for name := range d {
		if strings.HasPrefix(name, "log-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// contents are what stands, values by keys.
type contents map[string]string

// load opens a partition and returns what stands in it.
func load(t testing.TB, e *disk.Engine, partition string) (journal.Journal, contents, error) {
	t.Helper()
	all := contents{}
	j, err := e.Open(t.Context(), partition, func(c journal.Change) error {
		all[string(c.Key)] = string(c.Value)
		return nil
	})
	return j, all, err
}

// reload opens a partition, closes it again, and returns what stands in it.
func reload(t testing.TB, path string, opts disk.Options) contents {
	t.Helper()
	opts.Timeout = -1
	j, got, err := load(t, disk.New(path, opts), "p")
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	return got
}

// open opens a partition, and closes it with the test.
func open(t testing.TB, path string) journal.Journal {
	t.Helper()
	return openWith(t, path, disk.Options{})
}

func openWith(t testing.TB, path string, opts disk.Options) journal.Journal {
	t.Helper()
	opts.Timeout = -1
	j, _, err := load(t, disk.New(path, opts), "p")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close(context.WithoutCancel(t.Context()))) })
	return j
}

func put(key, value string) journal.Change {
	return journal.Change{Key: []byte(key), Value: []byte(value)}
}

func remove(key string) journal.Change { return journal.Change{Key: []byte(key), Delete: true} }

func appendTo(t testing.TB, j journal.Journal, changes ...journal.Change) journal.Position {
	t.Helper()
	at, err := j.Append(t.Context(), journal.Batch{Changes: changes})
	require.NoError(t, err)
	return at
}

// fill makes a journal with two partitions, one of them large enough for pages of some
// depth. What is compacted goes into the pages, and what comes after stays in the log.
func fill(t testing.TB, path string, opts disk.Options, compacted ...int) map[string]contents {
	t.Helper()
	e := disk.New(path, opts)
	want := map[string]contents{"p": {}, "small": {}}
	for _, partition := range []string{"p", "small"} {
		keys := map[string]int{"p": 400, "small": 2}[partition]
		j, _, err := load(t, e, partition)
		require.NoError(t, err)
		for round := range 3 {
			for i := range keys {
				key, value := fmt.Sprintf("key %03d", i*7%keys), fmt.Sprintf("value %d of %d %0200d", round, i, i)
				if i%97 == 0 {
					value = fmt.Sprintf("%010000d", i)
				}
				want[partition][key] = value
				if i%8 == 0 {
					appendTo(t, j, put(key, value))
				} else {
					appendTo(t, j, put(key, value), put("last", key))
					want[partition]["last"] = key
				}
				if round > 0 && i > 50 {
					break
				}
			}
			if slices.Contains(compacted, round) {
				require.NoError(t, j.Compact(t.Context(), nil))
			}
		}
		require.NoError(t, j.Close(t.Context()))
	}
	return want
}

func describe(c files.Change) string {
	switch {
	case c.Op == files.Renamed:
		return fmt.Sprintf("%s %s to %s", c.Op, filepath.Base(c.Path), filepath.Base(c.To))
	case c.File != nil:
		return fmt.Sprintf("%s %s", c.Op, filepath.Base(c.File.Name()))
	}
	return fmt.Sprintf("%s %s", c.Op, filepath.Base(c.Path))
}

// rolling are options with which a few batches fill several segments.
var rolling = disk.WithSegments(disk.Options{}, 1<<20)

// writeAllAnew writes until no file of a journal but format is what it was.
func writeAllAnew(t *testing.T, j journal.Journal, path string) {
	t.Helper()
	before, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	for range 10 {
		appendTo(t, j, put("a", strings.Repeat("v", 800_000)))
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	appendTo(t, j, remove("a"))
	require.NoError(t, j.Compact(t.Context(), nil))
	after, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after), "it was compacted")
}

// hook sets what is called around each change of the disk, until the test ends. What
// used the disk must be closed then.
func hook(t testing.TB, before func(files.Change) error, after func(files.Change)) {
	t.Helper()
	files.Before, files.After = before, after
	t.Cleanup(func() { files.Before, files.After = nil, nil })
}

// Batches that wait at the same time share a frame, and so a sync, whatever partitions
// they are of.
func TestPartitionsShareASync(t *testing.T) {
	const partitions = 8
	var syncs atomic.Int64
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	var holding atomic.Bool
	hook(t, func(c files.Change) error {
		if c.Op == files.Written && holding.CompareAndSwap(true, false) {
			held <- struct{}{}
			<-hold // while the others come
		}
		return nil
	}, func(c files.Change) {
		if c.Op == files.Synced && strings.Contains(c.File.Name(), "log-") {
			syncs.Add(1)
		}
	})
	path := filepath.Join(t.TempDir(), "journal")
	e := disk.New(path, disk.Options{})
	journals := make([]journal.Journal, partitions)
	for i := range journals {
		var err error
		journals[i], _, err = load(t, e, fmt.Sprint(i))
		require.NoError(t, err)
	}
	appendTo(t, journals[0], put("a", "0"))
	before := syncs.Load()
	holding.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { appendTo(t, journals[0], put("a", "1")) })
	<-held
	for _, j := range journals[1:] {
		wg.Go(func() { appendTo(t, j, put("a", "1")) })
	}
	// All of them wait for the turn to write.
	require.Eventually(t, func() bool { return goroutinesIn("disk.(*directory).append") == partitions }, 10*time.Second, time.Millisecond)
	close(hold)
	wg.Wait()
	assert.EqualValues(t, 2, syncs.Load()-before, "one that was held, and one for all the others")
	for _, j := range journals {
		require.NoError(t, j.Close(t.Context()))
	}
	e = disk.New(path, disk.Options{})
	for i := range partitions {
		j, got, err := load(t, e, fmt.Sprint(i))
		require.NoError(t, err)
		require.Equal(t, contents{"a": "1"}, got)
		require.NoError(t, j.Close(t.Context()))
	}
}

// goroutinesIn counts the goroutines that are in a function.
func goroutinesIn(function string) (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, function) {
			n++
		}
	}
	return n
}

// A batch is one write and one sync, and the log grows by little more than the batch.
func TestABatchIsOneSync(t *testing.T) {
	var mu sync.Mutex
	var ops []files.Op
	var bytes int
	hook(t, nil, func(c files.Change) {
		mu.Lock()
		defer mu.Unlock()
		ops, bytes = append(ops, c.Op), bytes+len(c.Data)
	})
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	mu.Lock()
	ops, bytes = nil, 0
	mu.Unlock()
	for range 10 {
		appendTo(t, j, put("key", strings.Repeat("v", 1000)))
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, slices.Repeat([]files.Op{files.Written, files.Synced}, 10), ops)
	assert.Less(t, bytes, 10*1100)
}

func TestCompactGivesRoomBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for i := range 40 {
		appendTo(t, j, put(fmt.Sprint(i), string(make([]byte, 100_000))))
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	before, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	require.Greater(t, before.Size(), int64(40*100_000), "it is in the pages")
	for i := range 39 {
		appendTo(t, j, remove(fmt.Sprint(i)))
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	after, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	require.Less(t, after.Size(), before.Size()/4)
	require.Equal(t, before.Mode(), after.Mode())
	_, _, err = load(t, disk.New(path, disk.Options{Timeout: -1}), "p")
	require.ErrorIs(t, err, journal.ErrInUse)
	require.NoFileExists(t, filepath.Join(path, "pages.new"))
	appendTo(t, j, put("after", "1"))
	require.NoError(t, j.Compact(t.Context(), nil), "it goes on with the new file")
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, contents{"39": string(make([]byte, 100_000)), "after": "1"}, reload(t, path, disk.Options{}))
}

// An emit that fails or panics, and a ctx that ends, leave nothing open and everything
// as it was, but for the epoch.
func TestWhatEndsAnOpenLeavesNothingOpen(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		want := contents{}
		for i := range 10 {
			want[fmt.Sprint(i)] = "v"
			appendTo(t, j, put(fmt.Sprint(i), "v"))
		}
		if compacted {
			require.NoError(t, j.Compact(t.Context(), nil))
		}
		require.NoError(t, j.Close(t.Context()))
		e := disk.New(path, disk.Options{Timeout: -1})
		require.PanicsWithValue(t, "mine", func() {
			_, _ = e.Open(t.Context(), "p", func(journal.Change) error { panic("mine") })
		})
		require.Equal(t, want, reload(t, path, disk.Options{}))

		mine := errors.New("mine")
		n := 0
		_, err := e.Open(t.Context(), "p", func(journal.Change) error {
			if n++; n == 3 {
				return mine
			}
			return nil
		})
		require.Equal(t, mine, err)
		require.Equal(t, want, reload(t, path, disk.Options{}))

		ended, cancel := context.WithCancelCause(t.Context())
		cancel(mine)
		_, err = e.Open(ended, "p", func(journal.Change) error { return nil })
		require.ErrorIs(t, err, mine)
		require.Equal(t, want, reload(t, path, disk.Options{}))

		within, cancel := context.WithCancelCause(t.Context())
		n = 0
		j, err = e.Open(within, "p", func(journal.Change) error {
			if n++; n == 3 {
				cancel(mine)
			}
			return nil
		})
		if err == nil { // it had read all before
			require.NoError(t, j.Close(t.Context()))
		} else {
			require.ErrorIs(t, err, mine)
		}
		require.Equal(t, want, reload(t, path, disk.Options{}))
	}
}

// A journal that is closed stores nothing, and its Close may be called again.
func TestAClosedJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, j.Close(t.Context()))
	_, err := j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("a", "2")}})
	require.ErrorIs(t, err, journal.ErrClosed)
	require.ErrorIs(t, j.Compact(t.Context(), nil), journal.ErrClosed)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, j.Compact(ended, nil))
	require.Equal(t, contents{"a": "1"}, reload(t, path, disk.Options{}))
}

// A stamp is what changes when a file does.
type stamp struct {
	text     string
	modified time.Time
	mode     os.FileMode
}

// stampsOf returns the stamps of a directory and of all in it.
func stampsOf(t testing.TB, path string) map[string]stamp {
	t.Helper()
	all := map[string]stamp{}
	texts := readDir(t, path)
	for _, name := range append(slices.Collect(maps.Keys(texts)), ".") {
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		all[name] = stamp{texts[name], info.ModTime(), info.Mode()}
	}
	return all
}

// silent is told of checkpoints that fail.
var silent = slog.New(slog.DiscardHandler)
