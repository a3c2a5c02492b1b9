// Package pages keeps records by key in a file of bbolt: the pages that a log is brought
// into. It checks a file before bbolt may map it.
package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A File is a file that is open. One goroutine at a time uses it.
type File struct {
	path    string
	version uint32 // of the format
	db      *bbolt.DB
	fd      *os.File // of db
	dir     *os.File // to make the file's name durable; nil of one that only reads

	log    wal.Mark       // that the file has reached
	heads  journal.Digest // of all heads
	place  sync.Mutex     // while the file is replaced, and while somebody looks
	info   os.FileInfo    // of fd
	failed error          // why nothing is written any more
	stuck  bool           // db has panicked while it held its locks
}

// Open opens a file. Without a dir, its directory, it is opened for reading alone, in any
// version. It waits no longer than timeout for another process that has locked the file.
func Open(ctx context.Context, path string, dir *os.File, timeout time.Duration) (_ *File, err error) {
	flag := os.O_RDWR
	if dir == nil {
		flag = os.O_RDONLY
	}
	f := &File{path: path, dir: dir}
	if f.fd, err = files.OpenFile(path, flag, 0); err != nil {
		return nil, err
	}
	if f.info, err = f.fd.Stat(); err == nil {
		err = files.Lock(ctx, f.fd, timeout)
	}
	if err == nil {
		err = f.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open checks the file before it gives it to bbolt.
func (f *File) open(ctx context.Context) error {
	m, err := checkStructure(ctx, f.fd)
	if err != nil {
		return err
	}
	if f.db, err = openDB(f.fd, bbolt.Options{ReadOnly: f.dir == nil}); err != nil {
		return err
	}
	if err := f.view(func(tx *bbolt.Tx) error {
		version, found, err := checkHeads(tx)
		switch {
		case err != nil:
		case version < m.sealed:
			err = wal.Corrupt("its heads are of version %d, and it was written in version %d since", version, m.sealed)
		case version < formatVersion && f.dir != nil:
			err = wal.Corrupt("its pages are of version %d", version)
		}
		f.version = version
		f.heads, f.log = found.Heads, found.Log
		return err
	}); err != nil || f.dir == nil {
		return err
	}
	f.clearBeside()
	return f.Settle()
}

// Alone reports whether the file is a journal by itself, of a version that had no log.
func (f *File) Alone() bool { return f.version < loggedVersion }

// Log returns how far the log was brought into the file.
func (f *File) Log() wal.Mark { return f.log }

// Failed returns why nothing is written any more, nil if no write has failed. Only Reopen may
// help.
func (f *File) Failed() error { return f.failed }

// Settle makes the file durable as it was found. What a killed process has written may be
// in the system's memory alone, and what is written next builds on it.
func (f *File) Settle() error { return files.Sync(f.fd) }

// InPlace checks that the file is still at its path. It is safe beside everything else.
func (f *File) InPlace() error {
	f.place.Lock()
	defer f.place.Unlock()
	return files.StillAt(f.path, f.info)
}

// Reopen opens the file anew after an error, and writes all of it anew: what the last one
// left on the disk, or in the system's memory alone, is unknown.
func (f *File) Reopen(ctx context.Context) error {
	if f.stuck {
		return f.failed
	}
	if err := f.Close(); err != nil {
		return err
	}
	next, err := Open(ctx, f.path, f.dir, 0)
	if err != nil {
		return err
	}
	f.db, f.fd, f.log, f.heads, f.failed = next.db, next.fd, next.log, next.heads, nil
	err = f.Rewrite(ctx)
	f.failed = cmp.Or(f.failed, err)
	return err
}

// checkStructure checks what bbolt takes on trust. It returns the newest meta.
func checkStructure(ctx context.Context, fd *os.File) (m meta, err error) {
	info, err := fd.Stat()
	if err == nil {
		err = checkVersion(fd)
	}
	if err == nil && largestFile > 0 && info.Size() > int64(largestFile) {
		err = wal.Unsupported("the pages have %d bytes, and %d can be mapped", info.Size(), largestFile)
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
	opts.PageSize, opts.MaxSize = pageSize, largestFile
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
func (f *File) view(read func(*bbolt.Tx) error) error {
	if f.db == nil { // it could not be opened again
		return f.failed
	}
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

// commit changes the file in a transaction, which is durable when it returns nil. After
// any error nothing is written any more, because what the disk holds is unknown.
func (f *File) commit(log wal.Mark, change func(*bbolt.Tx) error) error {
	if f.failed != nil {
		return f.failed
	}
	var tx *bbolt.Tx
	err := guarded(func() (err error) {
		if tx, err = f.db.Begin(true); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		if err := f.stamp(tx, log); err != nil {
			return err
		}
		return files.Committing(f.fd, tx.Commit)
	})
	if err = tooLarge(err); err != nil {
		f.failed = err
		if tx != nil { // a finished one does nothing
			f.stuck = guarded(func() error { _ = tx.Rollback(); return nil }) != nil
		}
		return err
	}
	f.log = log
	return nil
}

// Close closes the file.
func (f *File) Close() (err error) {
	if f.db == nil || f.stuck { // its map stays
		return files.Close(f.fd)
	}
	err = guarded(f.db.Close)
	f.db = nil
	return err
}
