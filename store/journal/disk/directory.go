package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"sync"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// The names in a directory, beside those of the log's segments.
const (
	formatName = "format"
	pagesName  = "pages"
)

// A directory is a journal's directory that is open.
type directory struct {
	given    string // the path, absolute
	path     string // without symbolic links
	opts     Options
	writable bool
	dir      *os.File
	format   *os.File // has the lock
	log      *wal.Log

	writer
	checkpointer
}

// inProcess has the paths of the directories that this process has open. Another Engine
// finds its directory here at once, instead of waiting for a lock that is not released.
var inProcess sync.Map

// openDirectory opens a directory, and checks it. If it is writable, it is created if there
// is none, and made durable as it was found.
func openDirectory(ctx context.Context, path string, opts Options, writable bool) (_ *directory, err error) {
	d, err := claim(path, opts, writable)
	if err != nil {
		return nil, err
	}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// claim returns a directory that is not open yet, and that nobody else in this process opens
// until it is closed.
func claim(path string, opts Options, writable bool) (_ *directory, err error) {
	if err := files.Supported(); err != nil {
		return nil, err
	}
	d := &directory{opts: opts, writable: writable}
	if d.given, d.path, err = fullPath(path); err != nil {
		return nil, err
	}
	if _, taken := inProcess.LoadOrStore(d.path, true); taken {
		return nil, fmt.Errorf("%w: this process has %q open", journal.ErrInUse, path)
	}
	return d, nil
}

// fullPath returns an absolute path, and the same without symbolic links, as far as
// something stands there.
func fullPath(path string) (given, full string, err error) {
	if given, err = filepath.Abs(path); err != nil {
		return "", "", err
	}
	if full, err = filepath.EvalSymlinks(given); err != nil {
		full = given
	}
	return given, full, nil
}

func (d *directory) open(ctx context.Context) (err error) {
	made, err := d.openDir()
	if err != nil {
		return err
	}
	var id wal.ID
	for err = files.ErrMoved; errors.Is(err, files.ErrMoved); {
		if err = context.Cause(ctx); err == nil {
			id, err = d.lock(ctx)
		}
	}
	if err != nil {
		return err
	}
	file, err := d.openFiles(ctx, id)
	if err != nil || !d.writable {
		return err
	}
	if err := cmp.Or(d.log.Settle(), files.Sync(d.dir), d.syncParent(made)); err != nil {
		return err
	}
	d.turn = make(chan struct{}, 1)
	return d.remember(file)
}

// openFiles opens the pages and the log of a directory that is locked, and checks them.
func (d *directory) openFiles(ctx context.Context, id wal.ID) (*pages.File, error) {
	dir := d.dir
	if !d.writable {
		dir = nil
	}
	file, err := pages.Open(ctx, d.file(pagesName), dir, d.opts.Timeout)
	if errors.Is(err, fs.ErrNotExist) {
		err = wal.Corrupt("it has no file %q", pagesName)
	}
	if err != nil {
		return nil, err
	}
	d.pages = make(chan *pages.File, 1)
	d.pages <- file
	if d.positions, err = file.Positions(); err != nil {
		return nil, err
	}
	d.log, d.reader, err = wal.Open(d.dir, id, d.opts.segment, file.Log(), d.writable, func(e wal.Entry) error {
		return cmp.Or(context.Cause(ctx), fits(e), d.positions.Add(e))
	})
	return file, err
}

// fits checks that an entry is within the limits. What is not was never appended, and no
// checkpoint could bring it into the pages.
func fits(e wal.Entry) error {
	if n := len(e.Partition); n > MaxName {
		return wal.Corrupt("a partition's name has %d bytes, the limit is %d", n, MaxName)
	}
	for _, c := range e.Changes {
		if len(c.Key) > maxKey || len(c.Value) > maxValue {
			return wal.Corrupt("a key has %d bytes, its value %d, the limits are %d and %d", len(c.Key), len(c.Value), maxKey, maxValue)
		}
		if most := limits(bits.UintSize).ValueBytes; len(c.Value) > most {
			return wal.Unsupported("a value has %d bytes, the limit here is %d", len(c.Value), most)
		}
	}
	return nil
}

// openDir opens the directory, and makes it if there is none.
func (d *directory) openDir() (made bool, err error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.writable:
		if err := files.Mkdir(d.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		made = true
	case err != nil:
		return false, err
	case info.Mode().IsRegular():
		return false, fmt.Errorf("it is no directory but %w", ErrFile)
	case !info.IsDir():
		return false, fmt.Errorf("%w: %v", ErrKind, info.Mode())
	}
	d.dir, err = os.OpenFile(d.path, os.O_RDONLY|files.NoWait, 0)
	return made, err
}

// ErrKind means that something of another kind, such as a named pipe, stands where the
// journal's directory or one of its files should be.
var ErrKind = files.ErrKind

// ErrFile means that a file stands where the journal's directory should be. If it is a
// journal of version 1 or 2, Carry brings it into a directory.
var ErrFile = errors.New("a file: Carry and loopstore carry bring a journal of an earlier version into a directory")

// syncParent makes the directory's name durable. One that this process has not made may
// stand where it must not look.
func (d *directory) syncParent(made bool) error {
	parent, err := os.Open(filepath.Dir(d.path))
	if errors.Is(err, fs.ErrPermission) && !made {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(files.Sync(parent), parent.Close())
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

// close closes the files, so that others can open the directory.
func (d *directory) close() (err error) {
	if d.pages != nil {
		err = (<-d.pages).Close()
	}
	if d.log != nil {
		err = errors.Join(err, d.log.Close())
	}
	for _, f := range []*os.File{d.format, d.dir} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	inProcess.Delete(d.path)
	return err
}

// stop ends the checkpoints, and closes the directory. Nobody appends any more.
func (d *directory) stop() error {
	d.checkpointer.stop()
	return d.close()
}
