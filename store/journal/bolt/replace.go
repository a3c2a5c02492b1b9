package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
)

// beside is where a file is written before it takes its place. Whoever holds the
// lock on it may write it; a file that a killed process left there is overwritten.
func (f *file) beside() string {
	folder, name := filepath.Split(f.path)
	if len(name) > maxFileName-len(suffix) {
		name = fmt.Sprintf("%s.%08x", strings.ToValidUTF8(name[:maxFileName/2], ""), crc32.Checksum([]byte(name), castagnoli))
	}
	return folder + name + suffix
}

const (
	suffix      = ".new"
	maxFileName = 255 // bytes, of most file systems
)

// clearBeside removes what a killed process has left beside, unless somebody is
// writing there, and a link, which leads to what is not ours. To leave it does no harm:
// it is written anew, and a link is not followed.
func (f *file) clearBeside() {
	info, err := os.Lstat(f.beside())
	switch {
	case err != nil:
	case info.Mode().Type() == fs.ModeSymlink:
		_ = os.Remove(f.beside())
	default:
		fd, err := os.OpenFile(f.beside(), os.O_RDWR|noFollow, 0)
		if err != nil {
			return
		}
		if locked, err := tryLock(fd); err == nil && locked {
			if now, err := os.Lstat(f.beside()); err == nil && os.SameFile(now, info) {
				_ = os.Remove(f.beside())
			}
		}
		_ = fd.Close()
	}
}

// create writes a new file, without partitions, and puts it in place.
func (f *file) create(ctx context.Context) error {
	next, err := f.writeBeside(ctx, nil, func(next *file) error {
		if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
			if _, err = os.Stat(f.path); err == nil {
				err = errMoved // another process was faster; else it is a link to nothing
			}
			return err
		}
		return next.commit(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket(headsBucket)
			return err
		})
	})
	if err != nil {
		return err
	}
	return f.replaceBy(next)
}

// compact writes all that stands to a new file, and puts that in the place of this
// one, lock and all, if at least a quarter of this file is free. An error before that
// leaves this file as it is; an error after it ends the use of the file.
func (f *file) compact(ctx context.Context) error {
	if f.failed != nil {
		return f.failed
	}
	stats, worth := f.db.Stats(), false
	if err := f.view(func(tx *bbolt.Tx) error {
		worth = 4*int64(stats.FreePageN+stats.PendingPageN) >= tx.Size()/pageSize
		return nil
	}); err != nil || !worth {
		return err
	}
	info, err := f.fd.Stat()
	if err != nil {
		return err
	}
	next, err := f.writeBeside(ctx, info, func(next *file) error { return f.copyTo(ctx, next) })
	if err != nil {
		return err
	}
	if err := f.inPlace(); err != nil { // others take its place only while they hold the lock beside
		f.failed = err
		return errors.Join(err, next.discard())
	}
	return f.replaceBy(next)
}

// writeBeside returns a new file that fill has written, durable and checked. It belongs
// to whom the replaced one belongs, if there is one.
func (f *file) writeBeside(ctx context.Context, replaced fs.FileInfo, fill func(next *file) error) (_ *file, err error) {
	next := &file{path: f.path, timeout: f.timeout}
	if next.fd, err = next.openBeside(ctx, replaced); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, next.discard())
		}
	}()
	if next.db, err = openDB(next.fd, bbolt.Options{}); err != nil {
		return nil, err
	}
	if err := fill(next); err != nil {
		return nil, err
	}
	if err := next.fd.Sync(); err != nil {
		return nil, err
	}
	if _, err := checkStructure(ctx, next.fd); err != nil {
		return nil, err
	}
	return next, next.view(func(tx *bbolt.Tx) error { return checkAll(ctx, tx) })
}

// openBeside returns an empty file, locked.
func (f *file) openBeside(ctx context.Context, replaced fs.FileInfo) (*os.File, error) {
	f.clearBeside()
	fd, err := os.OpenFile(f.beside(), os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	if err = f.lock(ctx, fd); err == nil {
		err = fd.Truncate(0)
	}
	if mode := fs.FileMode(0o600); err == nil {
		if replaced != nil {
			mode, err = replaced.Mode().Perm(), sameOwner(fd, replaced)
		}
		err = errors.Join(err, fd.Chmod(mode))
	}
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return fd, nil
}

// discard gives up a file that was written beside.
func (f *file) discard() error {
	err := os.Remove(f.beside()) // while it is still locked
	if f.db == nil {
		return errors.Join(err, closeAgain(f.fd))
	}
	return errors.Join(err, f.close())
}

// replaceBy puts a file that was written beside in the place of this one.
func (f *file) replaceBy(next *file) (err error) {
	if err := os.Rename(f.beside(), f.path); err != nil {
		return errors.Join(err, next.discard())
	}
	replaced := f.db
	f.db, f.fd, f.heads = next.db, next.fd, next.heads
	f.failed = syncFile(f.dir)
	if replaced != nil {
		err = guarded(replaced.Close)
	}
	return errors.Join(f.failed, err)
}

// copyTo copies the records of all partitions, and then, durably, the heads.
func (f *file) copyTo(ctx context.Context, next *file) error {
	next.db.NoSync = true
	return f.view(func(from *bbolt.Tx) error {
		if err := from.ForEach(func(name []byte, records *bbolt.Bucket) error {
			if bytes.Equal(name, headsBucket) {
				return nil
			}
			return copyRecords(ctx, records, next.db, name)
		}); err != nil {
			return err
		}
		next.db.NoSync = false
		next.heads = f.heads
		return next.commit(func(to *bbolt.Tx) error {
			heads, err := to.CreateBucket(headsBucket)
			if err != nil {
				return err
			}
			return eachHead(from.Bucket(headsBucket), heads.Put)
		})
	})
}

// chunk is about how many bytes a transaction of copyRecords writes.
const chunk = 16 << 20

func copyRecords(ctx context.Context, from *bbolt.Bucket, db *bbolt.DB, name []byte) error {
	c := from.Cursor()
	k, v := c.First()
	for first := true; first || k != nil; first = false {
		if err := db.Update(func(tx *bbolt.Tx) error {
			to, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			to.FillPercent = 0.9 // the keys come in order
			for size := 0; k != nil && size < chunk; k, v = c.Next() {
				if err := errors.Join(to.Put(k, v), context.Cause(ctx)); err != nil {
					return err
				}
				size += len(k) + len(v)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
