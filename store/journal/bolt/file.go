package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// A file is a journal file that is open, or about to be.
type file struct {
	path     string
	timeout  time.Duration // for the lock
	readOnly bool

	mu         sync.Mutex     // guards all below, and every transaction
	db         *bbolt.DB      // nil while it is not open
	fd         *os.File       // of db
	dir        *os.File       // to make the file's name durable; nil of one that is written beside
	heads      journal.Digest // of all heads in db
	registered string         // the path in inProcess
	failed     error          // why nothing is written any more
	stuck      bool           // db has panicked while it held its locks
}

// inProcess has the paths of the files that this process has open. Another Engine
// finds its file here at once, instead of waiting for a lock that is not released.
var inProcess sync.Map

var errMoved = errors.New("it was removed, or another file has taken its place")

// start opens the file, or creates it, if it is not open yet.
func (f *file) start(ctx context.Context) error {
	if f.db != nil || f.failed != nil {
		return f.failed
	}
	path, err := filepath.Abs(f.path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if _, taken := inProcess.LoadOrStore(path, true); taken {
		return fmt.Errorf("%w: this process has it open", journal.ErrInUse)
	}
	f.path, f.registered = path, path
	if !f.readOnly {
		f.dir, err = os.Open(filepath.Dir(path))
	}
	for err = cmp.Or(err, errMoved); errors.Is(err, errMoved); {
		err = f.open(ctx)
	}
	if err != nil {
		err = errors.Join(err, f.close())
		f.failed = nil // so that another Open may try
	}
	return err
}

func (f *file) open(ctx context.Context) error {
	flag := os.O_RDWR
	if f.readOnly {
		flag = os.O_RDONLY
	}
	fd, err := os.OpenFile(f.path, flag, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.readOnly:
		return f.create(ctx)
	case err != nil:
		return err
	}
	if err = f.lock(ctx, fd); err == nil {
		err = f.openLocked(ctx, fd)
	}
	if err != nil && f.db == nil {
		err = errors.Join(err, closeAgain(fd))
	}
	return err
}

// closeAgain closes a file that bbolt may have closed already.
func closeAgain(fd *os.File) error {
	if err := fd.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// lock waits for a lock on the file, and checks that the file is still at its path.
func (f *file) lock(ctx context.Context, fd *os.File) error {
	opened, err := fd.Stat()
	if err != nil {
		return err
	}
	if !opened.Mode().IsRegular() {
		return fmt.Errorf("it is no regular file but %v", opened.Mode())
	}
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(max(f.timeout, 0))
	defer tick.Stop()
	defer end.Stop()
	for {
		locked, err := tryLock(fd)
		if err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if locked {
			break
		}
		select {
		case <-tick.C:
		case <-end.C:
			return fmt.Errorf("%w: another process has locked it", journal.ErrInUse)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return stillAt(fd.Name(), opened)
}

// openLocked checks the file before it gives it to bbolt.
func (f *file) openLocked(ctx context.Context, fd *os.File) error {
	m, err := checkStructure(ctx, fd)
	if err != nil {
		return err
	}
	db, err := openDB(fd, bbolt.Options{ReadOnly: f.readOnly})
	if err != nil {
		return err
	}
	f.db, f.fd = db, fd
	if err := f.view(func(tx *bbolt.Tx) error {
		version, heads, err := checkHeads(tx)
		if err == nil && version < m.sealed {
			err = corrupt("its heads are of version %d, and it was written in version %d since", version, m.sealed)
		}
		f.heads = heads
		return err
	}); err != nil || f.readOnly {
		return err
	}
	f.clearBeside()
	return f.settle()
}

// settle makes the file durable as it was found, its name too. What a killed process
// has written may be in the system's memory alone, and what is written next builds on it.
func (f *file) settle() error { return errors.Join(syncFile(f.fd), syncFile(f.dir)) }

// syncFile makes a file, or the names in a directory, durable.
var syncFile = (*os.File).Sync // but for tests

// inPlace checks that the file is still at its path, unless it has yet to come there.
func (f *file) inPlace() error {
	if f.dir == nil {
		return nil
	}
	opened, err := f.fd.Stat()
	if err != nil {
		return err
	}
	return stillAt(f.path, opened)
}

func stillAt(path string, opened os.FileInfo) error {
	if now, err := os.Stat(path); err != nil || !os.SameFile(now, opened) {
		return errMoved
	}
	return nil
}

// checkStructure checks what bbolt takes on trust. It returns the newest meta.
func checkStructure(ctx context.Context, fd *os.File) (m meta, err error) {
	info, err := fd.Stat()
	if err == nil {
		err = checkVersion(fd)
	}
	if err != nil {
		return m, err
	}
	if m, err = checkMetas(fd, info.Size()); err != nil {
		return m, err
	}
	return m, checkPages(ctx, fd, m)
}

// openDB opens a file that is locked. An empty one becomes a database.
func openDB(fd *os.File, opts bbolt.Options) (db *bbolt.DB, err error) {
	opts.Timeout = time.Second
	opts.NoFreelistSync, opts.FreelistType = true, bbolt.FreelistMapType
	opts.PageSize = pageSize
	opts.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return fd, nil }
	err = guarded(func() error {
		db, err = bbolt.Open(fd.Name(), 0o600, &opts)
		return err
	})
	return db, err
}

// guarded returns a panic of bbolt as an error, and so a fault on a mapped page that
// cannot be read.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *emitPanic:
			panic(v.value)
		default:
			err = fmt.Errorf("bbolt panicked: %v", v)
		}
	}()
	return do()
}

// view reads in a transaction. A panic counts as corruption: what was read caused it.
func (f *file) view(read func(*bbolt.Tx) error) error {
	var failed error
	panicked := guarded(func() error {
		var tx *bbolt.Tx
		if tx, failed = f.db.Begin(false); failed == nil {
			defer func() { _ = tx.Rollback() }()
			failed = read(tx)
		}
		return nil
	})
	if panicked != nil {
		return fmt.Errorf("%w: %w", journal.ErrCorrupt, panicked)
	}
	return failed
}

// commit changes the file in a transaction, which is durable when it returns nil.
// After any error nothing is written any more, because what the disk holds is
// unknown.
func (f *file) commit(change func(*bbolt.Tx) error) error {
	if f.failed != nil {
		return f.failed
	}
	var tx *bbolt.Tx
	var txid uint64
	err := guarded(func() (err error) {
		if tx, err = f.db.Begin(true); err != nil {
			return err
		}
		txid = uint64(tx.ID())
		if err := change(tx); err != nil {
			return err
		}
		if err := f.stamp(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
	if err != nil {
		f.failed = fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
		if tx != nil { // a finished one does nothing
			f.stuck = guarded(func() error { _ = tx.Rollback(); return nil }) != nil
		}
		return f.failed
	}
	if err := f.inPlace(); err != nil {
		f.failed = fmt.Errorf("%w: the batch was stored in a file that is no longer at its path: %w", journal.ErrAmbiguous, err)
		return f.failed
	}
	if err := writeSeal(f.fd, txid); err != nil {
		f.failed = fmt.Errorf("the last batch was stored, but its seal was not written: %w", err)
	}
	return nil
}

// close closes the file, so that others can open it.
func (f *file) close() (err error) {
	if f.db != nil {
		if f.failed == nil && !f.readOnly {
			err = f.fd.Sync() // for the last seal
		}
		if f.stuck { // its map stays
			err = errors.Join(err, f.fd.Close())
		} else {
			err = errors.Join(err, guarded(f.db.Close))
		}
	}
	if f.dir != nil {
		err = errors.Join(err, f.dir.Close())
	}
	if f.registered != "" {
		inProcess.Delete(f.registered)
	}
	f.db, f.fd, f.dir, f.registered = nil, nil, nil, ""
	return err
}
