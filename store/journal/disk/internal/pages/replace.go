package pages

import (
	"bytes"
	"context"
	"errors"
	"os"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Suffix ends the name of a file that is being written.
const Suffix = ".new"

func (f *File) beside() string { return f.path + Suffix }

// clearBeside removes what a killed process has left beside, a link too, which leads to
// what is not ours. To leave it does no harm.
func (f *File) clearBeside() {
	if _, err := os.Lstat(f.beside()); err == nil {
		_ = files.Remove(f.beside())
	}
}

// Create writes a new file that holds what from holds, or, if that is nil, nothing, and
// puts it in place. dir is its directory.
func Create(ctx context.Context, path string, dir *os.File, from *File) error {
	f := &File{path: path, dir: dir}
	next, err := f.writeBeside(ctx, from)
	if err != nil {
		return err
	}
	if err := f.replaceBy(next); err != nil {
		return err
	}
	return f.Close()
}

// Waste returns how many bytes of the file are free, and how many it has.
func (f *File) Waste() (free, size int64, err error) {
	stats := f.db.Stats()
	err = f.view(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return int64(stats.FreePageN+stats.PendingPageN) * pageSize, size, err
}

// Rewrite writes all that stands to a new file, and puts that in the place of this one,
// lock and all. An error before that leaves this file
// as it is; an error after it ends the use of the file.
func (f *File) Rewrite(ctx context.Context) error {
	if f.failed != nil {
		return f.failed
	}
	next, err := f.writeBeside(ctx, f)
	if err != nil {
		return err
	}
	if err := f.InPlace(); err != nil {
		f.failed = err
		return errors.Join(err, next.discard())
	}
	return f.replaceBy(next)
}

// writeBeside returns a new file that holds what from holds, durable and checked. It
// belongs to whom this one belongs, if there is one.
func (f *File) writeBeside(ctx context.Context, from *File) (_ *File, err error) {
	next := &File{path: f.path, dir: f.dir}
	f.clearBeside()
	if next.fd, err = files.OpenFile(f.beside(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, next.discard())
		}
	}()
	if f.fd != nil {
		if err := files.SameAccess(next.fd, f.fd); err != nil {
			return nil, err
		}
	}
	if next.info, err = next.fd.Stat(); err != nil {
		return nil, err
	}
	if err := files.Committing(next.fd, func() error {
		if next.db, err = openDB(next.fd, bbolt.Options{NoSync: true, NoGrowSync: true}); err != nil {
			return err
		}
		return next.fill(ctx, from)
	}); err != nil {
		return nil, err
	}
	if err := files.Sync(next.fd); err != nil { // once, for all of it
		return nil, err
	}
	next.db.NoSync, next.db.NoGrowSync = false, false
	if _, err := checkStructure(ctx, next.fd); err != nil {
		return nil, err
	}
	return next, next.view(func(tx *bbolt.Tx) error { return checkAll(ctx, tx) })
}

// fill writes what from holds, or nothing, to a new file.
func (f *File) fill(ctx context.Context, from *File) error {
	heads := func(tx *bbolt.Tx) (*bbolt.Bucket, error) {
		b, err := tx.CreateBucket(headsBucket)
		if err != nil {
			return nil, err
		}
		return b, b.Put(formatKey, encodeFormat(formatVersion))
	}
	if from == nil {
		return f.commit(wal.Mark{}, func(tx *bbolt.Tx) error {
			_, err := heads(tx)
			return err
		})
	}
	return from.view(func(old *bbolt.Tx) error {
		if err := old.ForEach(func(name []byte, records *bbolt.Bucket) error {
			if bytes.Equal(name, headsBucket) {
				return nil
			}
			return tooLarge(copyRecords(ctx, records, f.db, name))
		}); err != nil {
			return err
		}
		f.heads = from.heads
		return f.commit(from.log, func(tx *bbolt.Tx) error {
			b, err := heads(tx)
			if err != nil {
				return err
			}
			return eachHead(old.Bucket(headsBucket), b.Put)
		})
	})
}

// discard gives up a file that was written beside.
func (f *File) discard() error { return errors.Join(files.Remove(f.beside()), f.Close()) }

// replaceBy puts a file that was written beside in the place of this one.
func (f *File) replaceBy(next *File) error {
	replaced := f.db // before it is another
	if err := f.moveIn(next); err != nil {
		return errors.Join(err, next.discard())
	}
	f.failed = files.Sync(f.dir)
	var err error
	if replaced != nil {
		err = guarded(replaced.Close)
	}
	return errors.Join(f.failed, err)
}

func (f *File) moveIn(next *File) error {
	f.place.Lock()
	defer f.place.Unlock()
	if err := files.Rename(f.beside(), f.path); err != nil {
		return err
	}
	f.db, f.fd, f.info, f.heads, f.log = next.db, next.fd, next.info, next.heads, next.log
	return nil
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
