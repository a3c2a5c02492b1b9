package disk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// partitionsOf returns the heads and contents of all partitions of a directory.
func partitionsOf(t testing.TB, path string) (map[string]journal.Head, map[string]contents) {
	t.Helper()
	names, err := disk.Partitions(t.Context(), path, disk.Options{})
	require.NoError(t, err)
	heads, all := map[string]journal.Head{}, map[string]contents{}
	for _, name := range names {
		all[name] = contents{}
		heads[name], err = disk.Read(t.Context(), path, name, disk.Options{}, func(c journal.Change) error {
			all[name][string(c.Key)] = string(c.Value)
			return nil
		})
		require.NoError(t, err)
	}
	return heads, all
}

// oldPartitions returns what an old file holds.
func oldPartitions(t testing.TB, path string) (map[string]journal.Head, map[string]contents) {
	t.Helper()
	f, err := pages.Open(t.Context(), path, nil, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	positions, err := f.Positions()
	require.NoError(t, err)
	heads, all := map[string]journal.Head{}, map[string]contents{}
	for name := range positions {
		all[name] = contents{}
		pending, err := f.Pending()
		require.NoError(t, err)
		heads[name], err = f.Emit(t.Context(), name, pending, func(c journal.Change) error {
			all[name][string(c.Key)] = string(c.Value)
			return nil
		})
		require.NoError(t, err)
	}
	return heads, all
}

// All of an old file is carried: every partition with its epoch, its index and its keys. The
// file stays as it is.
func TestCarry(t *testing.T) {
	for _, old := range oldFiles {
		for name, prepare := range map[string]func(path string) error{
			"the directory is not there": func(string) error { return nil },
			"it is empty":                func(path string) error { return os.Mkdir(path, 0o700) },
			"an earlier Carry has ended in the middle": func(path string) error {
				return directory{"format.new": "", "pages": "?", "log-0000000000000001": "\x00", "pages.new": "?"}.write(path)
			},
		} {
			t.Run(filepath.Base(old)+"/"+name, func(t *testing.T) {
				file, path := copyOf(t, old), filepath.Join(t.TempDir(), "journal")
				require.NoError(t, prepare(path))
				require.NoError(t, os.Chmod(file, 0o400))
				before := stampsOf(t, filepath.Dir(file))
				wantHeads, want := oldPartitions(t, file)
				require.NotZero(t, wantHeads["p0"].Keys)
				require.NotZero(t, wantHeads["p0"].Epoch)
				require.NotZero(t, wantHeads["p0"].Index)

				require.NoError(t, disk.Carry(t.Context(), file, path, disk.Options{}))
				require.Equal(t, before, stampsOf(t, filepath.Dir(file)))
				heads, got := partitionsOf(t, path)
				require.Equal(t, wantHeads, heads)
				require.Equal(t, want, got)
				require.NotContains(t, readDir(t, path), "format.new")

				j, _, err := load(t, disk.New(path, disk.Options{}), "p0")
				require.NoError(t, err)
				at := appendTo(t, j, put("more", "1"))
				require.Equal(t, journal.Position{Epoch: wantHeads["p0"].Epoch + 1, Index: wantHeads["p0"].Index + 1}, at)
				require.NoError(t, j.Close(t.Context()))
			})
		}
	}
}

// A directory that holds anything of a journal is not carried into, and stays as it is.
func TestCarryReplacesNothing(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	fill(t, whole, small)
	d := readDir(t, whole)
	for name, there := range map[string]directory{
		"a journal":              d,
		"one without its format": d.without("format"),
		"pages alone":            {"pages": d["pages"]},
		"a segment alone":        {"log-0000000000000007": ""},
		"a damaged one":          d.with("format", "?"),
	} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, there.write(path))
		before := stampsOf(t, path)
		require.Error(t, disk.Carry(t.Context(), copyOf(t, oldFiles[1]), path, disk.Options{}), name)
		require.Equal(t, before, stampsOf(t, path), name)
	}
	held := filepath.Join(t.TempDir(), "held")
	open(t, held)
	require.ErrorIs(t, disk.Carry(t.Context(), copyOf(t, oldFiles[1]), held, disk.Options{}), journal.ErrInUse)
	file := copyOf(t, oldFiles[0])
	require.Error(t, disk.Carry(t.Context(), copyOf(t, oldFiles[1]), file, disk.Options{}), "into a file")
	require.Equal(t, readOld(t, oldFiles[0]), readOld(t, file))
}

// What is no file of an earlier version is not carried, and leaves nothing behind.
func TestCarryOfWhatIsNoJournal(t *testing.T) {
	dir := t.TempDir()
	into := filepath.Join(dir, "into")
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("some text"), 0o600))
	require.ErrorIs(t, disk.Carry(t.Context(), text, into, disk.Options{}), journal.ErrCorrupt)
	require.ErrorIs(t, disk.Carry(t.Context(), filepath.Join(dir, "none"), into, disk.Options{}), os.ErrNotExist)
	require.Error(t, disk.Carry(t.Context(), dir, into, disk.Options{}), "a directory")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, disk.Carry(ended, copyOf(t, oldFiles[1]), into, disk.Options{}), context.Canceled)
	file := copyOf(t, oldFiles[1])
	held, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	locked, err := files.TryLock(held)
	require.NoError(t, err)
	require.True(t, locked)
	require.ErrorIs(t, disk.Carry(t.Context(), file, into, disk.Options{Timeout: -1}), journal.ErrInUse)
	require.NoError(t, held.Close())
	whole := filepath.Join(dir, "journal")
	fill(t, whole, small, 0)
	require.ErrorContains(t, disk.Carry(t.Context(), filepath.Join(whole, "pages"), into, disk.Options{}), "without its log")
	require.NoFileExists(t, into)
}

// Whichever step of a Carry, or of the creation of an empty journal, fails, the directory is
// no journal, or a whole one, and the call can be made again.
func TestAnyStepOfACreationMayFail(t *testing.T) {
	broken := errors.New("broken")
	want := fixture.At(fixture.OnState(t, fixture.All.State(t)), fixture.AllPlaces)
	for name, create := range map[string]func(path string) error{
		"carry": func(path string) error { return disk.Carry(t.Context(), copyOf(t, oldFiles[1]), path, disk.Options{}) },
		"open": func(path string) error {
			j, _, err := load(t, disk.New(path, disk.Options{}), "p0")
			if err == nil {
				err = j.Close(t.Context())
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			anew := create
			for failing := 1; ; failing++ {
				create = anew
				path := filepath.Join(t.TempDir(), "journal")
				n := 0
				var failed string
				hook(t, func(c files.Change) error {
					if n++; n == failing {
						failed = describe(c)
						return broken
					}
					return nil
				}, nil)
				err := create(path)
				files.Before = nil
				if failed == "" {
					require.NoError(t, err)
					break
				}
				steps++
				if err == nil {
					require.Contains(t, failed, ".new", "only what is cleared away may fail")
					continue
				}
				require.ErrorIs(t, err, broken, failed)
				if _, err := os.Stat(filepath.Join(path, "format")); err == nil {
					require.Regexp(t, "^synced|^written log|^created log|^resized log|^renamed log", failed, "the format comes last")
					if name == "carry" { // it is whole already
						require.ErrorContains(t, create(path), "holds a journal already")
						create = func(string) error { return nil }
					}
				} else {
					_, err := disk.Partitions(t.Context(), path, disk.Options{})
					require.Error(t, err, "it is no journal after %s", failed)
				}
				require.NoError(t, create(path), "again after %s", failed)
				if name == "carry" {
					l := openLoop(t, path)
					fixture.Compare(t, want, fixture.At(fixture.OnLoop(t, l), fixture.AllPlaces))
					require.NoError(t, l.Close())
				}
			}
			assert.Greater(t, steps, 12)
		})
	}
}

// An old file on a disk without room for the directory leaves what there was.
func TestCarryWithoutRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	hook(t, func(c files.Change) error {
		if c.Op == files.Resized && c.Offset > 0 {
			return syscall.ENOSPC
		}
		return nil
	}, nil)
	require.ErrorIs(t, disk.Carry(t.Context(), copyOf(t, oldFiles[0]), path, disk.Options{}), syscall.ENOSPC)
	files.Before = nil
	require.NoError(t, disk.Carry(t.Context(), copyOf(t, oldFiles[0]), path, disk.Options{}))
}
