package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func created(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, Close(f)) })
	return f
}

// A lock on a file that was replaced or removed meanwhile is a lock on nothing.
func TestALockIsOnTheFileInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, move := range []func() error{
		func() error { return os.Rename(path+".new", path) },
		func() error { return os.Remove(path) },
	} {
		f := created(t, path)
		created(t, path+".new")
		require.NoError(t, Lock(t.Context(), f, -1))
		require.NoError(t, move())
		require.ErrorIs(t, Lock(t.Context(), f, -1), ErrMoved)
		require.NoError(t, f.Close())
	}
}

// A lock is waited for no longer than it should be.
func TestALockIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	holder, f := created(t, path), created(t, path)
	require.NoError(t, Lock(t.Context(), holder, 0))
	require.ErrorIs(t, Lock(t.Context(), f, -1), journal.ErrInUse)
	start := time.Now()
	require.ErrorIs(t, Lock(t.Context(), f, 50*time.Millisecond), journal.ErrInUse)
	require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	require.ErrorIs(t, Lock(ctx, f, time.Hour), why)
	time.AfterFunc(20*time.Millisecond, func() { _ = holder.Close() })
	require.NoError(t, Lock(t.Context(), f, time.Hour))
}

func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	require.NoError(t, err)
	_, err = OpenFile(dir.Name(), os.O_RDONLY, 0)
	require.ErrorIs(t, err, ErrKind)
	require.NoError(t, dir.Close())
	require.ErrorIs(t, Lock(t.Context(), dir, -1), os.ErrClosed)
	_, err = TryLock(dir)
	require.Error(t, err)
	require.NoError(t, Close(dir), "again")
	_, err = TryLock(nil)
	require.Error(t, err)
	require.Error(t, SyncData(nil))
}

// Each change is told before and after it is made, and one that Before refuses is not made.
func TestHooks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	opened, err := os.Open(dir)
	require.NoError(t, err)
	f := created(t, path)
	broken := errors.New("broken")
	var before, after []string
	refuse := true
	Before = func(c Change) error {
		before = append(before, string(c.Op))
		if refuse {
			return broken
		}
		return nil
	}
	After = func(c Change) { after = append(after, string(c.Op)) }
	t.Cleanup(func() { Before, After = nil, nil })
	committed := 0
	steps := []func() error{
		func() error { return Mkdir(path+".dir", 0o700) },
		func() error { return WriteAt(f, []byte("text"), 3) },
		func() error { return Resize(f, 100) },
		func() error { return Resize(f, 0) },
		func() error { return Sync(f) },
		func() error { return SyncData(f) },
		func() error { return Sync(opened) },
		func() error { return Committing(f, func() error { committed++; return nil }) },
		func() error { return Rename(path, path+".moved") },
		func() error { return Remove(path + ".moved") },
		func() error {
			f, err := OpenFile(path+".2", os.O_RDWR|os.O_CREATE, 0o600)
			if err == nil {
				err = f.Close()
			}
			return err
		},
	}
	for _, step := range steps {
		require.ErrorIs(t, step(), broken)
	}
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
	require.Zero(t, committed)
	require.Empty(t, after)
	want := "created written resized resized synced synced synced committed renamed removed created"
	require.Equal(t, want, strings.Join(before, " "))
	refuse = false
	for _, step := range steps {
		require.NoError(t, step())
	}
	require.Equal(t, want, strings.Join(after, " "))
	require.Equal(t, 1, committed)
	require.Error(t, Mkdir(path+".dir", 0o700))
	require.Equal(t, want, strings.Join(after, " "), "a change that fails is not told")
	require.NoError(t, opened.Close())
}

// What has room has it on the disk, and a file is not followed where it is a link.
func TestResizeAndLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := created(t, path)
	require.NoError(t, Resize(f, 1<<20))
	info, err := f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, info.Size())
	require.NoError(t, WriteAt(f, []byte("x"), 600_000))
	assert.LessOrEqual(t, NextData(f, 100), int64(600_000), "nothing that was written is passed over")
	assert.LessOrEqual(t, NextData(f, 700_000), int64(1<<20))
	require.NoError(t, f.Close())
	require.Error(t, Resize(f, 10))
	require.Error(t, SyncData(f))
	assert.EqualValues(t, 7, NextData(f, 7))
	require.Error(t, SameAccess(f, f))

	require.NoError(t, os.Symlink(path, path+".link"))
	_, err = OpenFile(path+".link", os.O_RDWR|os.O_CREATE, 0o600)
	require.Error(t, err)
	require.ErrorIs(t, StillAt(path+".none", info), ErrMoved)
	require.NoError(t, StillAt(path, info))
}

// What cannot be read reads as zeros, and is noted once, each block of it.
func TestAPatientRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("content!"), 1500)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	var notes []int64
	p, err := OpenPatient(path, func(at int64, _ error) { notes = append(notes, at) })
	require.NoError(t, err)
	require.EqualValues(t, len(content), p.Size)
	read := func(at int64, size int) ([]byte, error) {
		b := bytes.Repeat([]byte{1}, size)
		n, err := p.ReadAt(b, at)
		return b[:n], err
	}
	got, err := read(5000, 100)
	require.NoError(t, err)
	require.Equal(t, content[5000:5100], got)
	require.NoError(t, p.File.Close())
	for range 2 {
		got, err = read(4000, 5000)
		require.NoError(t, err)
		require.Equal(t, make([]byte, 5000), got)
		require.Equal(t, []int64{0, 4096, 8192}, notes)
	}
	got, err = read(11_999, 10)
	require.Equal(t, io.EOF, err)
	require.Equal(t, []byte{0}, got)
	got, err = read(13_000, 10)
	require.Equal(t, io.EOF, err)
	require.Empty(t, got)
}
