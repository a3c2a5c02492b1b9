package disk_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
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
)

// A log that is far behind when it is opened is caught up with, and Open does not wait for
// itself.
func TestOpenOfALogThatIsFarBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	want := contents{}
	for i := range 100 {
		key, value := fmt.Sprint(i), strings.Repeat("v", 1000)
		appendTo(t, j, put(key, value))
		want[key] = value
	}
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, want, reload(t, path, disk.Options{CheckpointBytes: 1}))
}

// Many times what a directory holds is written to it, and it stays small by itself: the log is
// cut, its segments are used again, and the pages are compacted.
func TestADirectoryStaysSmall(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]int{}
	hook(t, nil, func(c files.Change) {
		mu.Lock()
		defer mu.Unlock()
		what := ""
		switch {
		case c.Op == files.Renamed && strings.HasSuffix(c.Path, "pages.new"):
			what = "compacted"
		case c.Op == files.Renamed && strings.Contains(c.Path, "log-") && !strings.HasSuffix(c.Path, ".new"):
			what = "used again"
		case c.Op == files.Resized && ofLog(c):
			what = "made"
		case c.Op == files.Committed:
			what = "checkpoints"
		}
		counts[what]++
	})
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{CheckpointBytes: 512 << 10, CompactAt: 0.3}, 256<<10)
	e := disk.New(path, opts)
	want := map[string]contents{"p": {}, "q": {}}
	journals := map[string]journal.Journal{}
	for name := range want {
		var err error
		journals[name], _, err = load(t, e, name)
		require.NoError(t, err)
	}
	largest := 0
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		for name, j := range journals {
			for i := range 10 { // most are deleted again, so that pages become free
				key, value := fmt.Sprint(round, i), strings.Repeat("v", 50_000)
				changes := []journal.Change{put(key, value)}
				want[name][key] = value
				if round >= 12 {
					gone := fmt.Sprint(round-12, i)
					changes = append(changes, remove(gone))
					delete(want[name], gone)
				}
				appendTo(t, j, changes...)
			}
		}
		if round%10 == 9 {
			size := 0
			for _, text := range settled(t, path) {
				size += len(text)
			}
			largest = max(largest, size)
		}
	}
	for name, j := range journals {
		for key := range want[name] {
			if len(want[name]) > 3 {
				appendTo(t, j, remove(key))
				delete(want[name], key)
			}
		}
		appendTo(t, j, put("pushed", strings.Repeat("v", 600_000)))
		want[name]["pushed"] = strings.Repeat("v", 600_000)
	}
	compacted := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return counts["compacted"] >= 2 // the creation is one
	}
	assert.Eventually(t, compacted, 10*time.Second, 10*time.Millisecond, "the pages were compacted by themselves")
	for _, j := range journals {
		require.NoError(t, j.Close(t.Context()))
	}
	mu.Lock()
	t.Logf("%v, %d bytes at most", counts, largest)
	assert.Greater(t, counts["used again"], counts["made"])
	assert.Less(t, largest, 60<<20, "some 24 MB stand")
	assert.Greater(t, counts["checkpoints"], 10)
	mu.Unlock()
	e = disk.New(path, opts)
	for name := range want {
		j, got, err := load(t, e, name)
		require.NoError(t, err)
		require.True(t, maps.Equal(want[name], got))
		require.NoError(t, j.Close(t.Context()))
	}
}

// A negative CompactAt leaves the pages to Compact.
func TestCompactAtNegative(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var mu sync.Mutex
	compactions, checkpoints := 0, 0
	hook(t, nil, func(c files.Change) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Op == files.Renamed && strings.HasSuffix(c.Path, "pages.new"):
			compactions++
		case c.Op == files.Committed:
			checkpoints++
		}
	})
	counted := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return compactions, checkpoints
	}
	j := openWith(t, path, disk.Options{CheckpointBytes: 1 << 20, CompactAt: -1})
	for i := range 20 {
		appendTo(t, j, put(fmt.Sprint(i), strings.Repeat("v", 1<<20)))
	}
	for i := range 20 {
		appendTo(t, j, remove(fmt.Sprint(i)))
	}
	_, before := counted()
	require.Eventually(t, func() bool {
		appendTo(t, j, put("x", strings.Repeat("v", 1<<20)))
		_, now := counted()
		return now > before+30 // which is behind all of that
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, j.Close(t.Context()))
	compactions, _ = counted()
	require.Equal(t, 1, compactions, "the creation")
}

// Compact goes beside the appends of its own journal and of others, from any goroutine, and
// Close beside it.
func TestCompactBesideAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{CheckpointBytes: 64 << 10}, 32<<10)
	e := disk.New(path, opts)
	names := []string{"p", "q", "r"}
	want := make([]contents, len(names))
	var appends, compacts sync.WaitGroup
	done := make(chan struct{})
	var journals []journal.Beside
	for _, name := range names {
		j, _, err := load(t, e, name)
		require.NoError(t, err)
		journals = append(journals, j.(journal.Beside))
	}
	for i, j := range journals {
		want[i] = contents{}
		appends.Go(func() {
			for n := range 150 {
				key, value := fmt.Sprint(n%20), fmt.Sprint(n, strings.Repeat("v", n%7*1000))
				if n%3 == 2 {
					appendTo(t, j, remove(key))
					delete(want[i], key)
				} else {
					appendTo(t, j, put(key, value))
					want[i][key] = value
				}
			}
		})
		compacts.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					assert.NoError(t, j.CompactBeside(t.Context()))
				}
			}
		})
	}
	appends.Wait()
	close(done)
	compacts.Wait()
	for _, j := range journals {
		require.NoError(t, j.Close(t.Context()))
	}
	e = disk.New(path, opts)
	for i, name := range names {
		j, got, err := load(t, e, name)
		require.NoError(t, err)
		require.Equal(t, want[i], got)
		require.NoError(t, j.Close(t.Context()))
	}
}

// A Close ends a Compact that runs, wherever it is, and so does the end of its ctx. Nothing
// is lost.
func TestCloseWhileCompactRuns(t *testing.T) {
	for _, how := range []string{"closed", "ctx ended"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			want := contents{}
			running, closed := make(chan struct{}), make(chan struct{})
			var holding atomic.Bool
			hook(t, func(c files.Change) error {
				if holding.Load() && c.Op == files.Created && strings.HasSuffix(c.Path, "pages.new") {
					close(running)
					<-closed
				}
				return nil
			}, nil)
			j := openWith(t, path, disk.Options{})
			for i := range 50 {
				key, value := fmt.Sprint(i%5), fmt.Sprint(i, strings.Repeat("v", 50_000))
				appendTo(t, j, put(key, value))
				want[key] = value
			}
			require.NoError(t, j.Compact(t.Context(), nil))
			for i := range 4 {
				appendTo(t, j, remove(fmt.Sprint(i)))
				delete(want, fmt.Sprint(i))
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("why")
			holding.Store(true)
			ended := make(chan error, 1)
			go func() { ended <- j.(journal.Beside).CompactBeside(ctx) }()
			<-running
			if how == "closed" {
				go func() {
					for goroutinesIn("disk.(*checkpointer).stop") == 0 && goroutinesIn("disk.(*directory).close") == 0 {
						time.Sleep(time.Millisecond)
					}
					time.AfterFunc(10*time.Millisecond, func() { close(closed) })
				}()
				require.NoError(t, j.Close(t.Context()))
				require.ErrorIs(t, <-ended, journal.ErrClosed)
			} else {
				cancel(why)
				close(closed)
				require.ErrorIs(t, <-ended, why)
				appendTo(t, j, put("after", "1"))
				want["after"] = "1"
				require.NoError(t, j.Close(t.Context()))
			}
			cancel(nil)
			holding.Store(false)
			require.Equal(t, want, reload(t, path, disk.Options{}))
			require.NotContains(t, readDir(t, path), "pages.new")
		})
	}
}

// One partition's appends go on while another one is opened, however long its emit takes.
func TestAppendsBesideAnOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	e := disk.New(path, disk.WithSegments(disk.Options{CheckpointBytes: 4 << 10}, 4<<10))
	other, _, err := load(t, e, "q")
	require.NoError(t, err)
	appendTo(t, other, put("a", "1"))
	require.NoError(t, other.Close(t.Context()))
	j, _, err := load(t, e, "p")
	require.NoError(t, err)
	other, err = e.Open(t.Context(), "q", func(journal.Change) error {
		for i := range 100 {
			appendTo(t, j, put(fmt.Sprint(i%10), strings.Repeat("v", 1000)))
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, other.Close(t.Context()))
	require.NoError(t, j.Close(t.Context()))
	require.Len(t, reload(t, path, disk.WithSegments(disk.Options{}, 4<<10)), 10)
}
