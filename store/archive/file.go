package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
)

// WriteFile writes a file that only its user may read and write. The file gets
// its name once it is whole and on disk, and replaces what had the name before.
// After an error the old file is still there, with one exception: if the sync of the
// folder fails, the new file is there, but a power failure may undo that.
// No other file is left behind, even if write panics or ends the goroutine.
//
// If name is a link, the file that it leads to is replaced, and the link stays.
// What is there must be a regular file.
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
	names, err := openFolder(folder) // before the rename, after which only its sync may fail
	if err != nil {
		return err
	}
	defer func() { _ = names.Close() }()
	if room := maxFileName - len(".4294967295"); len(base) > room {
		base = strings.ToValidUTF8(base[:room], "")
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
	if named = true; names == nil {
		return nil
	}
	return names.Sync()
}

// maxFileName is the most bytes that a name has in most file systems.
const maxFileName = 255

// openFolder opens a folder, to put the names in it on disk. Windows cannot be asked to:
// there it is nil.
func openFolder(name string) (*os.File, error) {
	if goruntime.GOOS == "windows" {
		return nil, nil
	}
	return os.Open(name)
}
