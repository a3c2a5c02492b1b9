package bolt_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// Each engine of the suite has a file in a directory of its own. A crash is a
// copy of the file as it is, which is what the next process finds.
func TestConformance(t *testing.T) {
	paths := map[journal.Engine]string{}
	at := func(path string) journal.Engine {
		e := bolt.New(path, bolt.Options{})
		paths[e] = path
		return e
	}
	journaltest.Run(t, journaltest.Factory{
		Exclusive: true,
		Open:      func(t testing.TB) journal.Engine { return at(filepath.Join(t.TempDir(), "journal")) },
		Reopen:    func(_ testing.TB, e journal.Engine) journal.Engine { return at(paths[e]) },
		Crash: func(t testing.TB, e journal.Engine) journal.Engine {
			path := filepath.Join(t.TempDir(), "journal")
			copyFile(t, path, paths[e])
			return at(path)
		},
	})
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}

// contents are what stands, values by keys.
type contents map[string]string

// load opens a partition and returns what stands in it.
func load(t testing.TB, e *bolt.Engine, partition string) (journal.Journal, contents, error) {
	t.Helper()
	all := contents{}
	j, err := e.Open(t.Context(), partition, func(c journal.Change) error {
		all[string(c.Key)] = string(c.Value)
		return nil
	})
	return j, all, err
}

// open opens a partition, and closes it with the test.
func open(t testing.TB, path string) journal.Journal {
	t.Helper()
	j, _, err := load(t, bolt.New(path, bolt.Options{Timeout: -1}), "p")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close(t.Context())) })
	return j
}

func put(key, value string) journal.Change {
	return journal.Change{Key: []byte(key), Value: []byte(value)}
}

func appendTo(t testing.TB, j journal.Journal, changes ...journal.Change) journal.Position {
	t.Helper()
	at, err := j.Append(t.Context(), journal.Batch{Changes: changes})
	require.NoError(t, err)
	return at
}

// fill makes a file with a tree of some depth, an inline partition, and pages
// that are free.
func fill(t testing.TB, path string) map[string]contents {
	t.Helper()
	e := bolt.New(path, bolt.Options{})
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
				if testing.Short() && round > 0 && i > 50 {
					break
				}
			}
		}
		require.NoError(t, j.Close(t.Context()))
	}
	return want
}

func TestCompactGivesRoomBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for i := range 40 {
		appendTo(t, j, put(fmt.Sprint(i), string(make([]byte, 100_000))))
	}
	for i := range 39 {
		appendTo(t, j, journal.Change{Key: fmt.Append(nil, i), Delete: true})
	}
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, j.Compact(t.Context(), nil))
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, after.Size(), before.Size()/4)
	require.Equal(t, before.Mode(), after.Mode())
	_, _, err = load(t, bolt.New(path, bolt.Options{Timeout: -1}), "p")
	require.ErrorIs(t, err, journal.ErrInUse, "the new file is locked too")
	require.NoFileExists(t, path+".new")
	appendTo(t, j, put("after", "1"))
}

func TestAPanicOfEmitLeavesNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	require.PanicsWithValue(t, "mine", func() {
		_, _ = bolt.New(path, bolt.Options{}).Open(t.Context(), "p", func(journal.Change) error { panic("mine") })
	})
	open(t, path)
}
