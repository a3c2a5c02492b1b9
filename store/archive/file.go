package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
)

// WriteFile writes a file that only its owner may read. The file gets its name
// when it is whole and on disk. After an error of write or of the file system
// the name has what it had before; only if the directory cannot be synced is the
// new file there, and may not outlast a power failure. Nothing else is left, even
// if write panics or ends the goroutine.
//
// A name that is a link to a file stays one: the file that it leads to is
// replaced. Anything but a regular file is refused.
func WriteFile(name string, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return &os.PathError{Op: "write", Path: name, Err: errors.New("not a regular file")}
	}
	folder, base := filepath.Split(name)
	if folder == "" {
		folder = "."
	}
	file, err := os.CreateTemp(folder, base+".*")
	if err != nil {
		return err
	}
	named := false
	defer func() {
		if !named {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return err
	}
	named = true
	return syncFolder(folder)
}

// syncFolder makes the names in a folder durable. Windows has no such call.
func syncFolder(name string) error {
	if goruntime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}
