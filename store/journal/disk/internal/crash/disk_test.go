package crash

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// left records what a run changes, and returns in which states it may be left: a text of
// all files and directories for each.
func left(t *testing.T, before State, run func(root string)) map[string]bool {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	d := NewDisk(before)
	r, err := Record(root, d)
	require.NoError(t, err)
	run(root)
	for _, e := range r.Stop() {
		d.Step(e, "")
	}
	all := map[string]bool{}
	d.States(50, rand.New(rand.NewPCG(1, 1)), func(s State) { all[text(s)] = true })
	require.Contains(t, all, text(d.Settled()))
	return all
}

// text is what a test compares of a state of three files at most. A run of the same byte
// counts once.
func text(s State) (out string) {
	for _, p := range []string{"a", "b", "d", "d/a"} {
		content, ok := s[p]
		if !ok {
			continue
		}
		out += p + "="
		for i, b := range content {
			if i == 0 || content[i-1] != b {
				out += string(b)
			}
		}
		out += " "
	}
	return out
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := files.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := files.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func syncDir(t *testing.T, path string) {
	t.Helper()
	dir, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, files.Sync(dir))
	require.NoError(t, dir.Close())
}

func states(texts ...string) map[string]bool {
	all := map[string]bool{}
	for _, s := range texts {
		all[s] = true
	}
	return all
}

func TestAWriteMayBeThereOrNot(t *testing.T) {
	before := State{"a": []byte("...")}
	two := func(synced bool) func(string) {
		return func(root string) {
			f := open(t, filepath.Join(root, "a"))
			require.NoError(t, files.WriteAt(f, []byte("x"), 0))
			if synced {
				require.NoError(t, files.SyncData(f))
			}
			require.NoError(t, files.WriteAt(f, []byte("y"), 2))
		}
	}
	assert.Equal(t, states("a=. ", "a=x. ", "a=.y ", "a=x.y "), left(t, before, two(false)))
	assert.Equal(t, states("a=x. ", "a=x.y "), left(t, before, two(true)))
}

func TestAWriteMayBeTorn(t *testing.T) {
	got := left(t, State{"a": bytes.Repeat([]byte("."), 1024)}, func(root string) {
		require.NoError(t, files.WriteAt(open(t, filepath.Join(root, "a")), bytes.Repeat([]byte("x"), 1024), 0))
	})
	assert.Equal(t, states("a=. ", "a=x. ", "a=.x ", "a=x "), got)
}

func TestASizeMayArriveBeforeAndAfterWhatItIsFor(t *testing.T) {
	got := left(t, State{"a": []byte(".")}, func(root string) {
		require.NoError(t, files.WriteAt(open(t, filepath.Join(root, "a")), []byte("x"), 1))
	})
	assert.Equal(t, states("a=. ", "a=.\x00 ", "a=.x "), got)
}

func TestNamesMayBeTheOldOnes(t *testing.T) {
	run := func(synced bool) func(string) {
		return func(root string) {
			require.NoError(t, files.Mkdir(filepath.Join(root, "d"), 0o700))
			f := create(t, filepath.Join(root, "d", "a"))
			require.NoError(t, files.WriteAt(f, []byte("x"), 0))
			require.NoError(t, files.Sync(f))
			if synced {
				syncDir(t, filepath.Join(root, "d"))
			}
		}
	}
	assert.Equal(t, states("", "d= ", "d= d/a=x "), left(t, State{}, run(false)))
	assert.Equal(t, states("", "d= d/a=x "), left(t, State{}, run(true)))
}

func TestARenameIsWhole(t *testing.T) {
	before := State{"a": []byte("x"), "b": []byte("y")}
	run := func(synced bool) func(string) {
		return func(root string) {
			require.NoError(t, files.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")))
			if synced {
				syncDir(t, root)
			}
			require.NoError(t, files.Remove(filepath.Join(root, "b")))
		}
	}
	assert.Equal(t, states("a=x b=y ", "b=x ", ""), left(t, before, run(false)))
	assert.Equal(t, states("b=x ", ""), left(t, before, run(true)))
}

func TestWhatWasPendingStaysSoForTheNextProcess(t *testing.T) {
	d := NewDisk(State{"a": []byte("."), "b": []byte(".")})
	for _, name := range []string{"a", "b"} { // each process writes one
		root := filepath.Join(t.TempDir(), "root")
		r, err := Record(root, d)
		require.NoError(t, err)
		require.NoError(t, files.WriteAt(open(t, filepath.Join(root, name)), []byte("x"), 0))
		for _, e := range r.Stop() {
			d.Step(e, "")
		}
		d = d.Clone()
	}
	all := map[string]bool{}
	d.States(50, rand.New(rand.NewPCG(1, 1)), func(s State) { all[text(s)] = true })
	assert.Equal(t, states("a=. b=. ", "a=x b=. ", "a=. b=x ", "a=x b=x "), all)
}
