package disk_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// refused opens a directory that must be refused, with an error that names it.
func refused(t *testing.T, path string) error {
	t.Helper()
	j, _, err := load(t, disk.New(path, disk.Options{Timeout: -1}), "p")
	require.Error(t, err)
	require.Nil(t, j)
	var typed *disk.Error
	require.True(t, errors.As(err, &typed))
	require.Equal(t, path, typed.Path)
	require.Contains(t, err.Error(), fmt.Sprintf("%q", path))
	return err
}

// A directory with files that are not a journal's becomes one beside them; it is refused
// where they have the names of a journal's, or do not hold what they should.
func TestWhatIsNoJournalIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "a text": "some text\n", "zeros": string(make([]byte, 100_000)),
		"a long text": strings.Repeat("some text\n", 10_000),
	} {
		for _, file := range []string{"format", "pages", "pages.new", "log-0000000000000001"} {
			path := filepath.Join(t.TempDir(), "journal")
			d := directory{file: content, "notes": "of mine"}
			require.NoError(t, d.write(path))
			require.ErrorIs(t, refused(t, path), journal.ErrCorrupt, name)
			require.Equal(t, d, readDir(t, path), "%s: it was left as it is", name)
		}
	}
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, directory{"notes": "of mine"}.write(path))
	require.NoError(t, open(t, path).Close(t.Context()))
	require.Equal(t, "of mine", readDir(t, path)["notes"])

	dir := t.TempDir()
	require.ErrorIs(t, refused(t, filepath.Join(dir, "missing", "journal")), os.ErrNotExist)
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "link")))
	_ = refused(t, filepath.Join(dir, "link"))
	_ = refused(t, os.DevNull)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "format"), 0o700))
	_ = refused(t, dir)
}

// A directory in the place of one of a journal's files is no reason to make a new one.
func TestADirectoryInThePlaceOfAFile(t *testing.T) {
	for _, name := range []string{"format", "pages", "log-0000000000000001", "log-0000000000000009"} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, open(t, path).Close(t.Context()))
		require.NoError(t, os.RemoveAll(filepath.Join(path, name)))
		require.NoError(t, os.Mkdir(filepath.Join(path, name), 0o700))
		before := names(t, path)
		_ = refused(t, path)
		_, err := disk.Partitions(t.Context(), path, disk.Options{Timeout: -1})
		require.Error(t, err, name)
		require.Equal(t, before, names(t, path))
	}
}

func names(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A file in the place of the directory may be a journal of an earlier version.
func TestAFileIsToBeCarried(t *testing.T) {
	path := copyOf(t, oldFiles[1])
	err := refused(t, path)
	require.ErrorContains(t, err, "loopstore carry")
	require.ErrorIs(t, err, disk.ErrFile)
	_, err = disk.Partitions(t.Context(), path, disk.Options{})
	require.ErrorContains(t, err, "loopstore carry")
	require.Equal(t, readOld(t, oldFiles[1]), readOld(t, path))
}

// Of a directory of a later version nothing else is judged, and nothing in it is changed.
func TestTheVersionIsReadFirst(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	fill(t, whole, small, 0)
	d := readDir(t, whole)
	for name, later := range map[string]directory{
		"all else is in order":  d,
		"nothing else is there": {},
		"all else is damaged":   {"pages": "?", "pages.new": "?", "log-0000000000000001": "?", "log-0000000000000002.new": "?"},
	} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, later.with("format", "loopstore journal, version 4, and what that says\n").write(path))
		before := stampsOf(t, path)
		require.ErrorIs(t, refused(t, path), journal.ErrNewerFormat, name)
		_, err := disk.Partitions(t.Context(), path, disk.Options{})
		require.ErrorIs(t, err, journal.ErrNewerFormat, name)
		_, err = disk.Read(t.Context(), path, "p", disk.Options{}, nil)
		require.ErrorIs(t, err, journal.ErrNewerFormat, name)
		require.ErrorContains(t, disk.Carry(t.Context(), copyOf(t, oldFiles[1]), path, disk.Options{}), "holds a journal already")
		require.Equal(t, before, stampsOf(t, path), name)
	}
}

func TestASecondEngineOfThisProcessIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	open(t, path)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	for _, other := range []string{path, filepath.Join(dir, "..", filepath.Base(dir), "journal"), link} {
		_, _, err := load(t, disk.New(other, disk.Options{Timeout: 1 << 62}), "q") // it does not wait for that
		require.ErrorIs(t, err, journal.ErrInUse)
		require.ErrorIs(t, disk.Carry(t.Context(), copyOf(t, oldFiles[1]), other, disk.Options{}), journal.ErrInUse)
	}
}

func TestAPartitionIsOpenOnce(t *testing.T) {
	e := disk.New(filepath.Join(t.TempDir(), "journal"), disk.Options{})
	j, _, err := load(t, e, "p")
	require.NoError(t, err)
	_, _, err = load(t, e, "p")
	require.ErrorIs(t, err, journal.ErrInUse)
	require.NoError(t, j.Close(t.Context()))
	j, _, err = load(t, e, "p")
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
}

func TestModesOfTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, open(t, path).Close(t.Context()))
	for name, at := range stampsOf(t, path) {
		want := os.FileMode(0o600)
		if name == "." {
			want = os.ModeDir | 0o700
		}
		require.Equal(t, want, at.mode, name)
	}
}

// What a killed process has left unfinished goes.
func TestWhatIsLeftBesideGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	d := readDir(t, path)
	left := d.with("pages.new", "left").with("log-0000000000000003.new", "left")
	require.NoError(t, left.write(path))
	require.Equal(t, contents{"a": "1"}, reload(t, path, disk.Options{}))
	now := readDir(t, path)
	require.NotContains(t, now, "pages.new")
	require.NotContains(t, now, "log-0000000000000003.new")

	// A creation that did not end is begun anew, whatever it has left.
	for _, left := range []directory{{}, {"pages": "?"}, {"pages.new": "?", "log-0000000000000001": "\x00"}} {
		require.NoError(t, left.with("format.new", "loop").write(path))
		require.Equal(t, contents{}, reload(t, path, disk.Options{}))
		require.NotContains(t, readDir(t, path), "format.new")
	}
}

func TestALongNameIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	_, err := disk.New(path, disk.Options{}).Open(t.Context(), strings.Repeat("n", disk.MaxName+1), nil)
	require.Error(t, err)
	require.NoDirExists(t, path)
	longest := strings.Repeat("n", disk.MaxName)
	e := disk.New(path, disk.Options{})
	j, _, err := load(t, e, longest)
	require.NoError(t, err)
	appendTo(t, j, put(longest, "1"))
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	j, got, err := load(t, e, longest)
	require.NoError(t, err)
	require.Equal(t, contents{longest: "1"}, got)
	require.NoError(t, j.Close(t.Context()))
}

// mount mounts a tmpfs of some size, where that is allowed.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("it needs a tmpfs to mount")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("it may not mount a tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return dir
}

func TestAReadOnlyDirectory(t *testing.T) {
	dir := mount(t, "size=64m")
	path := filepath.Join(dir, "journal")
	want := contents{"a": "1"}
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	remount := func(how string) {
		out, err := exec.Command("mount", "-o", "remount,"+how, dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	remount("ro")
	_ = refused(t, path)
	_ = refused(t, filepath.Join(dir, "another"))
	names, err := disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"p"}, names)
	remount("rw")
	require.Equal(t, want, reload(t, path, disk.Options{}))
}

// A disk that is really full rejects batches, stores none of them in part, and goes on when
// there is room.
func TestAFullDisk(t *testing.T) {
	dir := mount(t, "size=4m")
	path := filepath.Join(dir, "journal")
	opts := disk.WithSegments(disk.Options{CheckpointBytes: 128 << 10}, 256<<10)
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	j := openWith(t, path, opts)
	want := contents{}
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000, "the disk is never full")
		key, value := fmt.Sprintf("key %d", i), strings.Repeat("v", 20_000)
		if _, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put(key, value)}}); err == nil {
			want[key] = value
		}
	}
	require.ErrorIs(t, err, journal.ErrRejected)
	require.NotEmpty(t, want)
	t.Logf("after %d batches: %v", len(want), err)
	require.Error(t, j.Compact(t.Context(), nil))
	require.NoError(t, os.Remove(ballast))
	appendTo(t, j, put("late", "1"))
	want["late"] = "1"
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, want, reload(t, path, opts))
}
