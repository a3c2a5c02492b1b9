package bolt

import (
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

// A file is one that is open, or is about to be.
type file struct {
	path     string
	timeout  time.Duration // for a lock
	readOnly bool

	mu     sync.Mutex // guards all below, and every transaction
	db     *bbolt.DB  // nil until it is open
	fd     *os.File   // that of db
	claim  string     // of inProcess
	failed error      // what made it of no use: nothing is written any more
	stuck  bool       // db has panicked with its locks held
}

// inProcess has the files that this process has open, so that another Engine
// need not wait for a lock that is not given up.
var inProcess sync.Map

// start opens the file if it is not open yet.
func (f *file) start(ctx context.Context) error {
	if f.db != nil || f.failed != nil {
		return f.failed
	}
	return f.open(func() error { return f.openOrCreate(ctx) })
}

// open claims the file for this process, and opens it.
func (f *file) open(try func() error) error {
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
	f.path, f.claim = path, path
	for err = errMoved; errors.Is(err, errMoved); {
		err = try()
	}
	if err != nil {
		err = errors.Join(err, f.close())
		f.failed = nil // another may try
	}
	return err
}

var errMoved = errors.New("another file has taken its place")

func (f *file) openOrCreate(ctx context.Context) error {
	fd, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return f.create(ctx)
	}
	return f.lockAndOpen(ctx, fd, err)
}

// lockAndOpen opens a file, or closes it again.
func (f *file) lockAndOpen(ctx context.Context, fd *os.File, err error) error {
	if err != nil {
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

// closeAgain closes a file that bbolt may have closed.
func closeAgain(fd *os.File) error {
	if err := fd.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// lock waits for a lock on the file, and looks whether it is still at its path.
func (f *file) lock(ctx context.Context, fd *os.File) error {
	opened, err := fd.Stat()
	if err != nil {
		return err
	}
	if !opened.Mode().IsRegular() {
		return fmt.Errorf("it is not a regular file but %v", opened.Mode())
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
	if now, err := os.Stat(fd.Name()); err != nil || !os.SameFile(now, opened) {
		return errMoved
	}
	return nil
}

// openLocked checks the file, and only then gives it to bbolt.
func (f *file) openLocked(ctx context.Context, fd *os.File) error {
	if err := checkStructure(ctx, fd); err != nil {
		return err
	}
	db, err := openDB(fd, bbolt.Options{ReadOnly: f.readOnly})
	if err != nil {
		return err
	}
	f.db, f.fd = db, fd
	return f.view(func(tx *bbolt.Tx) error {
		heads := tx.Bucket(headsBucket)
		if heads == nil {
			return corrupt("it is not a file of this package")
		}
		return checkFormat(heads.Get(formatKey))
	})
}

// checkStructure looks at all that bbolt takes on trust.
func checkStructure(ctx context.Context, fd *os.File) error {
	info, err := fd.Stat()
	if err != nil {
		return err
	}
	m, err := checkMetas(fd, info.Size())
	if err != nil {
		return err
	}
	return checkPages(ctx, fd, m)
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

// guarded turns a panic of bbolt, and a fault on a page of the map that cannot
// be read, into an error.
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

// view reads in a transaction. A panic is due to what is read.
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

// commit changes the file in a transaction that is durable when it returns nil.
// After an error nothing is written any more, whatever the error is: what the
// disk has then is not known.
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
		return tx.Commit()
	})
	if err != nil {
		f.failed = fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
		if tx != nil { // if it is done already this does nothing
			f.stuck = guarded(func() error { _ = tx.Rollback(); return nil }) != nil
		}
		return f.failed
	}
	if err := writeSeal(f.fd, txid); err != nil {
		f.failed = fmt.Errorf("after a batch that was stored: %w", err)
	}
	return nil
}

// close closes the file, and lets others have it.
func (f *file) close() (err error) {
	if f.db != nil {
		if f.failed == nil && !f.readOnly {
			err = f.fd.Sync() // of the latest seal
		}
		if f.stuck { // what it has mapped stays so
			err = errors.Join(err, f.fd.Close())
		} else {
			err = errors.Join(err, guarded(f.db.Close))
		}
	}
	if f.claim != "" {
		inProcess.Delete(f.claim)
	}
	f.db, f.fd, f.claim = nil, nil, ""
	return err
}
