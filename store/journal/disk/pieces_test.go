package disk_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

// limited is an engine with little room for a batch.
func limited(path string) journal.Engine {
	return journaltest.Limited(disk.New(path, disk.Options{}), journal.Limits{BatchBytes: 64 << 10})
}

// An import, a deletion and a prune in pieces keep the promises of small ones.
func TestLoopInPieces(t *testing.T) {
	type opened struct {
		path string
		opts loopstore.Options
	}
	all, dir := map[store.RuntimeStore]opened{}, t.TempDir()
	open := func(t testing.TB, o opened) store.RuntimeStore {
		l, err := loopstore.Open(context.WithoutCancel(t.Context()), limited(o.path), "p0", o.opts)
		require.NoError(t, err)
		all[l] = o
		return l
	}
	next := func() string { return filepath.Join(dir, fmt.Sprint(len(all))) }
	storetest.Run(t, storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{path: next()}) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore {
			return open(t, opened{next(), opts})
		},
		Chapters: []string{"pieces"},
	})
}

// exportOfMany exports a store of a runtime with some 500 KB of inputs, and another one.
func exportOfMany(t *testing.T) string {
	t.Helper()
	l := storetest.New(t)
	for n := range 1000 {
		require.NoError(t, l.PersistInputState(t.Context(), "many", inputWith(n)))
	}
	require.NoError(t, l.PersistRuntimeState(t.Context(), "other", store.RuntimeIdle))
	return exported(t, l)
}

func inputWith(n int) store.InputState {
	input := store.NewInputState(inputOf(uint64(n)), store.Time{})
	input.PersistedInput = fmt.Appendf(nil, `"%d %s"`, n, strings.Repeat("x", 400))
	return input
}

// importForEver imports what it reads, deletes the large runtime of it, and does so in
// the next directory.
func importForEver(t *testing.T, dir string) {
	file, err := io.ReadAll(os.Stdin)
	require.NoError(t, err)
	for n := 0; ; n++ {
		path := filepath.Join(dir, fmt.Sprint(n))
		l, err := loopstore.Open(t.Context(), limited(path), "p", loopstore.Options{})
		require.NoError(t, err)
		fmt.Println("opened", path)
		_, err = l.Import(t.Context(), strings.NewReader(string(file)))
		require.NoError(t, err)
		fmt.Println("imported", path)
		_, err = l.DeleteRuntime(t.Context(), "many")
		require.NoError(t, err)
		fmt.Println("deleted", path)
		time.Sleep(20 * time.Millisecond) // while the rest is cleared
		require.NoError(t, l.Close())
	}
}

// A process that is killed in the middle of an import, or of a deletion, leaves all of it
// or nothing.
func TestKilledImports(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 6
	}
	file := exportOfMany(t)
	seen, partly := map[string]int{}, 0
	for n := range kills {
		dir := t.TempDir()
		c := start(t, "import", dir)
		_, err := io.WriteString(c.in, file)
		require.NoError(t, err)
		require.NoError(t, c.in.Close())
		said := ""
		for range 1 + n%3 {
			require.True(t, c.out.Scan())
			said = c.out.Text()
		}
		switch what, _, _ := strings.Cut(said, " "); what {
		case "opened":
			time.Sleep(time.Duration(n) * time.Millisecond)
		case "deleted":
			time.Sleep(time.Duration(n) * time.Millisecond / 10)
		}
		if last := c.kill(t); last != "" {
			said = last
		}
		what, path, ok := strings.Cut(said, " ")
		require.True(t, ok, said)

		j, stands, err := load(t, disk.New(path, disk.Options{}), "p")
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
		open := func() *loopstore.Loop {
			l, err := loopstore.Open(t.Context(), limited(path), "p", loopstore.Options{})
			require.NoError(t, err)
			return l
		}
		l := open()
		held := l.Stats().Held
		seen[fmt.Sprint(what, ", and holds ", held.Runtimes)]++
		if len(stands) > 10 && held.InputStates == 0 {
			partly++
		}
		switch {
		case held.Runtimes == 0 && what == "opened":
			_, err := l.Import(t.Context(), strings.NewReader(file))
			require.NoError(t, err)
			require.Equal(t, file, exported(t, l))
		case held.Runtimes == 2 && what != "deleted":
			require.Equal(t, file, exported(t, l))
		case held.Runtimes == 1 && what != "opened":
			require.Zero(t, held.InputStates)
		default:
			require.Fail(t, "neither all nor nothing", "it said %q, and holds %+v", said, held)
		}
		for range 2 {
			want := exported(t, l)
			require.NoError(t, l.Close())
			l = open()
			require.Equal(t, want, exported(t, l))
			_, err = l.DeleteRuntime(t.Context(), "many")
			require.NoError(t, err)
			require.NoError(t, l.PersistInputState(t.Context(), "many", inputWith(1)))
		}
		require.NoError(t, l.Close())
	}
	t.Logf("%v, %d of them in pieces", seen, partly)
	if !testing.Short() {
		require.NotZero(t, partly)
	}
}

func TestLargeImport(t *testing.T) {
	journalbench.Import(t, journalbench.Large(t), disk.New(filepath.Join(t.TempDir(), "journal"), disk.Options{}))
}
