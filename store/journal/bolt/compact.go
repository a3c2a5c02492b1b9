package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// chunk is about how many bytes a transaction of compact writes.
const chunk = 16 << 20

// compact writes all that stands to a file beside, checks it, and puts it in the
// place of this one, lock and all. An error before that leaves this one as it
// is; one after it ends its use.
func (f *file) compact(ctx context.Context) error {
	if f.failed != nil {
		return f.failed
	}
	if worth, err := f.worthCompacting(); err != nil || !worth {
		return err
	}
	next, err := f.copyBeside(ctx)
	if err != nil {
		return err
	}
	if err := os.Rename(f.beside(), f.path); err != nil {
		return errors.Join(err, next.discard())
	}
	replaced := f.db
	f.db, f.fd = next.db, next.fd
	f.failed = syncDir(filepath.Dir(f.path))
	return errors.Join(f.failed, guarded(replaced.Close))
}

// worthCompacting says whether a quarter of the file or more is free.
func (f *file) worthCompacting() (worth bool, err error) {
	stats := f.db.Stats()
	err = f.view(func(tx *bbolt.Tx) error {
		worth = 4*int64(stats.FreePageN+stats.PendingPageN) >= tx.Size()/pageSize
		return nil
	})
	return worth, err
}

// copyBeside returns a file with all that stands in f, durable and checked.
func (f *file) copyBeside(ctx context.Context) (_ *file, err error) {
	info, err := f.fd.Stat()
	if err != nil {
		return nil, err
	}
	next := &file{path: f.path, timeout: f.timeout}
	if next.fd, err = next.openBeside(ctx, info.Mode().Perm()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, next.discard())
		}
	}()
	if next.db, err = openDB(next.fd, bbolt.Options{NoSync: true}); err != nil {
		return nil, err
	}
	stopped := stopper(ctx)
	if err := f.view(func(tx *bbolt.Tx) error { return copyTo(next.db, tx, stopped) }); err != nil {
		return nil, err
	}
	next.db.NoSync = false
	if err := f.view(func(tx *bbolt.Tx) error { return next.copyHeads(tx) }); err != nil {
		return nil, err
	}
	if err := next.fd.Sync(); err != nil {
		return nil, err
	}
	if err := checkStructure(ctx, next.fd); err != nil {
		return nil, err
	}
	return next, next.view(func(tx *bbolt.Tx) error { return checkAll(tx, stopped) })
}

// discard gives up a file beside.
func (f *file) discard() error {
	err := closeAgain(f.fd)
	if f.db != nil {
		err = guarded(f.db.Close)
	}
	return errors.Join(err, os.Remove(f.beside()))
}

// copyTo copies the records of all partitions.
func copyTo(db *bbolt.DB, from *bbolt.Tx, stopped func() error) error {
	return from.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if bytes.Equal(name, headsBucket) {
			return nil
		}
		c := b.Cursor()
		k, v := c.First()
		for first := true; first || k != nil; first = false {
			if err := db.Update(func(tx *bbolt.Tx) error {
				to, err := tx.CreateBucketIfNotExists(name)
				if err != nil {
					return err
				}
				to.FillPercent = 0.9 // they come in order
				for size := 0; k != nil && size < chunk; k, v = c.Next() {
					if err := errors.Join(to.Put(k, v), stopped()); err != nil {
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
	})
}

// copyHeads copies the heads of all partitions, and the format.
func (f *file) copyHeads(from *bbolt.Tx) error {
	return f.commit(func(tx *bbolt.Tx) error {
		to, err := tx.CreateBucket(headsBucket)
		if err != nil {
			return err
		}
		return from.Bucket(headsBucket).ForEach(to.Put)
	})
}
