//go:build unix

package disk_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// What is removed, moved or replaced under its owner takes no acknowledgement with it, and a
// Compact does not put its own in the place of another's. Whether the directory has changed
// long ago, or just now, makes no difference.
func TestWhatIsNoLongerInPlace(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	fill(t, other, small, 0)
	theirs := readDir(t, other)
	beside := func(path string) string { return filepath.Join(t.TempDir(), filepath.Base(path)) }
	moves := map[string]func(t *testing.T, path string) error{
		"removed":    func(_ *testing.T, path string) error { return os.RemoveAll(path) },
		"moved away": func(_ *testing.T, path string) error { return os.Rename(path, beside(path)) },
		"replaced": func(t *testing.T, path string) error {
			require.NoError(t, os.Rename(path, beside(path)))
			if filepath.Base(path) == "journal" {
				return theirs.write(path)
			}
			text := theirs[filepath.Base(path)]
			return os.WriteFile(path, []byte(text), 0o600)
		},
	}
	for _, what := range []string{".", "format", "pages", "log-0000000000000001"} {
		for how, move := range moves {
			for _, rest := range []time.Duration{0, 1100 * time.Millisecond} {
				if rest > 0 && (how != "replaced" || testing.Short()) {
					continue
				}
				t.Run(strings.Join([]string{what, how, rest.String()}, "/"), func(t *testing.T) {
					t.Parallel()
					path := filepath.Join(t.TempDir(), "journal")
					j, _, err := load(t, disk.New(path, disk.Options{}), "p")
					require.NoError(t, err)
					appendTo(t, j, put("a", "1"))
					time.Sleep(rest)
					appendTo(t, j, put("a", "2"))
					require.NoError(t, move(t, filepath.Join(path, what)))
					before, _ := tryReadDir(path)
					for range 2 {
						_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("a", "3")}})
						require.ErrorIs(t, err, journal.ErrAmbiguous)
						require.ErrorIs(t, err, files.ErrMoved)
					}
					after, _ := tryReadDir(path)
					if what == "." {
						assert.True(t, maps.Equal(before, after), "what is there now is another's")
					}
					assert.Equal(t, before[what], after[what])
					require.NoError(t, j.Close(context.WithoutCancel(t.Context())))
				})
			}
		}
	}
}

// A Compact does not put its own in the place of another's pages.
func TestACompactReplacesNoOthersPages(t *testing.T) {
	for how, move := range map[string]func(pages string) error{
		"removed": os.Remove,
		"replaced": func(pages string) error {
			return errors.Join(os.Rename(pages, pages+".old"), os.WriteFile(pages, []byte("another's"), 0o600))
		},
	} {
		t.Run(how, func(t *testing.T) {
			for _, pending := range []bool{false, true} { // in the log, for the pages
				path := filepath.Join(t.TempDir(), "journal")
				full := failing(t, syscall.ENOSPC, func(c files.Change) bool {
					return c.Op == files.Created && strings.HasSuffix(c.Path, "pages.new")
				})
				j := openWith(t, path, disk.Options{Logger: silent})
				for range 3 {
					appendTo(t, j, put("a", strings.Repeat("v", 1<<20)))
				}
				require.NoError(t, j.Compact(t.Context(), nil))
				appendTo(t, j, remove("a"))
				if !pending {
					full.Store(true)
					require.ErrorIs(t, j.Compact(t.Context(), nil), syscall.ENOSPC)
					full.Store(false)
				}
				require.NoError(t, move(filepath.Join(path, "pages")))
				before := settled(t, path)
				for range 2 {
					require.ErrorIs(t, j.Compact(t.Context(), nil), files.ErrMoved)
				}
				require.Equal(t, before["pages"], settled(t, path)["pages"])
				require.NoFileExists(t, filepath.Join(path, "pages.new"))
				_, err := j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("a", "3")}})
				require.Error(t, err)
				require.NoError(t, j.Close(t.Context()))
			}
		})
	}
}

// A link beside leads to what is not the journal's.
func TestALinkBesideIsNotFollowed(t *testing.T) {
	path, precious := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("precious"), 0o600))
	require.NoError(t, os.Mkdir(path, 0o700))
	link := func(name string) { require.NoError(t, os.Symlink(precious, filepath.Join(path, name))) }
	link("format.new")
	_ = refused(t, path)
	require.NoError(t, os.Remove(filepath.Join(path, "format.new")))
	opts := disk.WithSegments(disk.Options{}, 4096)
	require.NoError(t, openWith(t, path, opts).Close(t.Context()))
	link("log-0000000000000002.new")
	j := openWith(t, path, opts)
	link("pages.new")
	for range 3 {
		appendTo(t, j, put("a", strings.Repeat("v", 3000)))
		require.NoError(t, j.Compact(t.Context(), nil))
	}
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, os.RemoveAll(filepath.Join(path, "pages.new")))
	link("pages.new")
	reload(t, path, opts)
	assert.NoFileExists(t, filepath.Join(path, "pages.new"))
	left, err := os.ReadFile(precious)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(left))
}

// A pipe or a device in the place of the directory or of a file is neither waited for nor
// read: nobody may ever write to it, or stop.
func TestAPipeOrADeviceIsNotOpened(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	fill(t, whole, small, 0)
	d := readDir(t, whole)
	reading := func(path string) error {
		_, err := disk.Partitions(t.Context(), path, disk.Options{})
		_, other := disk.Read(t.Context(), path, "p", disk.Options{}, nil)
		return errors.Join(err, other)
	}
	salvaging := func(path string) error {
		_, err := disk.Salvage(t.Context(), path, "p", disk.Options{}, nil, func(journal.Change) error { return nil })
		return err
	}
	opening := func(path string) error {
		_, _, err := load(t, disk.New(path, disk.Options{}), "p")
		return err
	}
	carrying := func(path string) error {
		return disk.Carry(t.Context(), copyOf(t, oldFiles[1]), path, disk.Options{})
	}
	for kind, put := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		for _, tc := range []struct {
			name string
			in   directory
			do   func(path string) error
		}{
			{".", nil, opening}, {".", nil, reading}, {".", nil, salvaging}, {".", nil, carrying},
			{"format", d, opening}, {"format", d, reading}, {"format", d, salvaging},
			{"pages", d, opening}, {"pages", d, reading}, {"pages", d, salvaging},
			{"log-0000000000000001", d, opening}, {"log-0000000000000001", d, reading}, {"log-0000000000000001", d, salvaging},
			{"log-00000000000000ff", d, opening}, {"log-00000000000000ff", d, reading}, {"log-00000000000000ff", d, salvaging},
			{"log-0000000000000001", directory{"format.new": ""}, opening}, // a creation goes on
			{"log-0000000000000001", directory{"format.new": ""}, carrying},
			{"format.new", directory{}, opening}, {"format.new", directory{}, carrying},
			{".", nil, func(path string) error { // the file to carry
				return disk.Carry(t.Context(), path, path+" into", disk.Options{})
			}},
		} {
			path := filepath.Join(t.TempDir(), "journal")
			if tc.in != nil {
				require.NoError(t, tc.in.without(tc.name).write(path))
			}
			require.NoError(t, put(filepath.Join(path, tc.name)))
			answer := make(chan error, 1)
			go func() { answer <- tc.do(path) }()
			select {
			case err := <-answer:
				require.ErrorIs(t, err, disk.ErrKind, "%s for %s", kind, tc.name)
			case <-time.After(10 * time.Second):
				t.Fatalf("a %s for %s is waited for", kind, tc.name)
			}
		}
	}
}

// What a killed process has written may be in memory alone, and so may the names of its
// files: Open makes all of it durable before it writes. When a sync fails, nothing is
// written.
func TestOpenBuildsOnWhatIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1}, 4096)
	j := openWith(t, path, opts)
	for range 3 {
		appendTo(t, j, put("a", strings.Repeat("v", 3000)))
	}
	require.NoError(t, j.Close(t.Context()))
	var mu sync.Mutex
	var order []string
	hook(t, func(c files.Change) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, describe(c))
		return nil
	}, nil)
	j, _, err := load(t, disk.New(path, opts), "p")
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	settle := []string{
		"synced pages", "synced log-0000000000000001", "synced log-0000000000000002", "synced log-0000000000000003",
		"synced journal", "synced " + filepath.Base(filepath.Dir(path)),
	}
	require.GreaterOrEqual(t, len(order), len(settle)+2)
	require.ElementsMatch(t, settle, order[:len(settle)])
	require.Contains(t, order[len(settle)], "written log-")
	require.Contains(t, order[len(settle)+1], "synced log-")

	found := stampsOf(t, path)
	broken := errors.New("broken")
	for fail := range settle {
		n := 0
		files.Before = func(c files.Change) error {
			require.Equal(t, files.Synced, c.Op, "nothing is written before, nor after")
			if n++; n == fail+1 {
				return broken
			}
			return nil
		}
		_, _, err = load(t, disk.New(path, opts), "p")
		require.ErrorIs(t, err, broken, "%s", settle[fail])
		require.Equal(t, found, stampsOf(t, path))
	}
}

// The names of a journal that is created, of a segment that is made, and of pages that are
// compacted are durable before anything is acknowledged that stands in them.
func TestANameIsDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var mu sync.Mutex
	unsynced := map[string]string{} // directories in which a name was changed since a sync, and by what
	hook(t, nil, func(c files.Change) {
		mu.Lock()
		defer mu.Unlock()
		switch c.Op {
		case files.Created, files.Removed:
			unsynced[filepath.Dir(c.Path)] = describe(c)
		case files.Renamed:
			unsynced[filepath.Dir(c.To)] = describe(c)
		case files.Synced:
			delete(unsynced, c.File.Name())
		}
	})
	durable := func(what string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for dir, change := range unsynced {
			assert.NotContains(t, change, "renamed", "%s: in %s", what, dir)
			assert.NotEqual(t, filepath.Dir(path), dir, what)
		}
	}
	j := openWith(t, path, disk.WithSegments(disk.Options{}, 1<<20))
	durable("it is created")
	renamed := func() bool { return len(settled(t, path).segments()) > 0 }
	for i := range 5 {
		appendTo(t, j, put(fmt.Sprint(i%2), strings.Repeat("v", 900_000)))
		require.True(t, renamed())
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	appendTo(t, j, remove("0"))
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context())) // when no segment is prepared any more
	durable("all is done")
}

// Files that an administrator writes anew stay their owner's, and what is changed while the
// journal is open stays too.
func TestOwnerAndModeStay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file away")
	}
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, openWith(t, path, rolling).Close(t.Context()))
	change := func(uid, gid int, mode os.FileMode) {
		for name := range readDir(t, path) {
			require.NoError(t, os.Chown(filepath.Join(path, name), uid, gid))
			require.NoError(t, os.Chmod(filepath.Join(path, name), mode))
		}
	}
	change(1234, 5678, 0o640)
	j := openWith(t, path, rolling)
	writeAllAnew(t, j, path)
	checkAccess(t, path, 1234, 5678, 0o640)
	settled(t, path)
	change(4321, 8765, 0o664)
	writeAllAnew(t, j, path)
	require.NoError(t, j.Close(t.Context()))
	checkAccess(t, path, 4321, 8765, 0o664)
}

// A member of the group can do all that the owner can, but give a file away.
func TestAMemberOfTheGroupGoesOn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may run a process for another user")
	}
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
	require.NoError(t, openWith(t, path, rolling).Close(t.Context()))
	names := readDir(t, path).with(".", "")
	for name := range names {
		require.NoError(t, os.Chown(filepath.Join(path, name), 1234, 5678))
		require.NoError(t, os.Chmod(filepath.Join(path, name), 0o660))
	}
	require.NoError(t, os.Chmod(path, 0o770))
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	run := filepath.Join(filepath.Dir(path), "run")
	require.NoError(t, os.WriteFile(run, binary, 0o755))
	for _, groups := range [][]uint32{{5678}, {}} {
		c := exec.Command(run, "-test.run=^TestChild$", "-test.count=1", "-test.v")
		c.Dir, c.Env = filepath.Dir(path), append(os.Environ(), childEnv+"=roll", pathEnv+"="+path)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4321, Gid: 4321, Groups: groups}}
		out, err := c.CombinedOutput()
		if len(groups) > 0 {
			require.NoError(t, err, "%s", out)
			checkAccess(t, path, 1234, 5678, 0o660, 4321)
			require.NoError(t, os.Chmod(path, 0o777))
			for name := range readDir(t, path) {
				require.NoError(t, os.Chmod(filepath.Join(path, name), 0o666))
			}
			continue
		}
		require.Error(t, err)
		require.Contains(t, string(out), "a new file cannot have the group 5678")
		require.Contains(t, string(out), "operation not permitted")
	}
	reload(t, path, rolling)
}

// checkAccess checks to whom the files belong: to an owner, or to others.
func checkAccess(t *testing.T, path string, uid, gid uint32, mode os.FileMode, others ...uint32) {
	t.Helper()
	for name := range settled(t, path) {
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), name)
		stat := info.Sys().(*syscall.Stat_t)
		assert.Contains(t, append(others, uid), stat.Uid, name)
		assert.Equal(t, gid, stat.Gid, name)
	}
}
