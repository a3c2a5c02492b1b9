// Package files is the layer through which the engine changes a disk. Each of its
// functions makes one change, and tells tests about it: so they can record what a run
// does, make what a power failure may leave of that, and make any change fail.
package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// An Op is a kind of change.
type Op string

// The kinds of changes. A sync of a directory makes the names in it durable.
const (
	Created   Op = "created"   // Path, an empty file, or an empty directory
	Written   Op = "written"   // Data at Offset of File
	Resized   Op = "resized"   // File to Offset bytes; what is new reads as zeros
	Synced    Op = "synced"    // File
	Renamed   Op = "renamed"   // Path to To
	Removed   Op = "removed"   // Path
	Committed Op = "committed" // a transaction of bbolt: pages of File, a sync, a meta page, a sync
)

// A Change is one change of the disk.
type Change struct {
	Op       Op
	Path, To string
	File     *os.File
	Offset   int64
	Data     []byte // of the caller; to be copied
}

// Before and After, of tests alone, are called around each change, from the goroutine
// that makes it. What Before returns is the change's error, and it is not made. After
// is called when it has been made.
var (
	Before func(Change) error
	After  func(Change)
)

// do makes a change.
func do(c Change, change func() error) error {
	if Before != nil {
		if err := Before(c); err != nil {
			return err
		}
	}
	err := change()
	if err == nil && After != nil {
		After(c)
	}
	return err
}

// ErrKind means that something else stands where a regular file, or a directory, should.
var ErrKind = errors.New("it is of the wrong kind")

// OpenFile is os.OpenFile for a regular file. It follows no symbolic link at the name when it
// creates.
func OpenFile(path string, flag int, perm os.FileMode) (f *os.File, err error) {
	if flag&os.O_CREATE == 0 {
		return openRegular(path, flag, perm)
	}
	err = do(Change{Op: Created, Path: path}, func() error {
		f, err = openRegular(path, flag|noFollow, perm)
		return err
	})
	return f, err
}

// openRegular looks before it opens, since to open a device may do something. A pipe that is
// put there in between is not waited for.
func openRegular(path string, flag int, perm os.FileMode) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, wrongKind(path, info)
	}
	f, err := os.OpenFile(path, flag|NoWait, perm)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = wrongKind(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func wrongKind(path string, info os.FileInfo) error {
	return fmt.Errorf("%q: %w: %v", filepath.Base(path), ErrKind, info.Mode())
}

// Mkdir is os.Mkdir.
func Mkdir(path string, perm os.FileMode) error {
	return do(Change{Op: Created, Path: path}, func() error { return os.Mkdir(path, perm) })
}

// WriteAt writes all of data at an offset.
func WriteAt(f *os.File, data []byte, offset int64) error {
	return do(Change{Op: Written, File: f, Offset: offset, Data: data}, func() error {
		_, err := f.WriteAt(data, offset)
		return err
	})
}

// Resize gives a file a size, and room on the disk for all of it where the system can.
func Resize(f *os.File, size int64) error {
	return do(Change{Op: Resized, File: f, Offset: size}, func() error {
		if err := f.Truncate(size); err != nil {
			return err
		}
		return allocate(f, size)
	})
}

// Sync makes a file durable with all that belongs to it, or the names in a directory.
func Sync(f *os.File) error { return do(Change{Op: Synced, File: f}, f.Sync) }

// SyncData makes what a file holds durable, and its size.
func SyncData(f *os.File) error {
	return do(Change{Op: Synced, File: f}, func() error { return datasync(f) })
}

// Rename is os.Rename.
func Rename(from, to string) error {
	return do(Change{Op: Renamed, Path: from, To: to}, func() error { return os.Rename(from, to) })
}

// Remove is os.Remove.
func Remove(path string) error {
	return do(Change{Op: Removed, Path: path}, func() error { return os.Remove(path) })
}

// Committing runs a transaction's commit, which changes f.
func Committing(f *os.File, commit func() error) error {
	return do(Change{Op: Committed, File: f}, commit)
}

// ErrMoved means that a file is not at its path any more.
var ErrMoved = errors.New("it was removed, moved or replaced")

// StillAt checks that a file, or a directory, that was opened is what stands at a path.
func StillAt(path string, opened os.FileInfo) error {
	if now, err := os.Stat(path); err != nil || !os.SameFile(now, opened) {
		return ErrMoved
	}
	return nil
}
