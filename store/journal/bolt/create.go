package bolt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// beside is where a file is written before it takes its place. Whoever has it
// locked may write it; one that was left there is written anew.
func (f *file) beside() string { return f.path + ".new" }

// openBeside returns an empty file there, locked.
func (f *file) openBeside(ctx context.Context, mode fs.FileMode) (*os.File, error) {
	fd, err := os.OpenFile(f.beside(), os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if err = f.lock(ctx, fd); err == nil {
		err = errors.Join(fd.Truncate(0), fd.Chmod(mode))
	}
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return fd, nil
}

// create makes a new file beside, whole, and puts it in its place.
func (f *file) create(ctx context.Context) error {
	fd, err := f.openBeside(ctx, 0o600)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
		if _, err = os.Stat(f.path); err == nil {
			err = errMoved // another was faster; else it is a link to nothing
		}
		return errors.Join(err, os.Remove(f.beside()), fd.Close())
	}
	db, err := openDB(fd, bbolt.Options{})
	if err != nil {
		return errors.Join(err, closeAgain(fd), os.Remove(f.beside()))
	}
	f.db, f.fd = db, fd
	err = f.commit(func(tx *bbolt.Tx) error {
		heads, err := tx.CreateBucket(headsBucket)
		if err != nil {
			return err
		}
		return heads.Put(formatKey, encodeFormat(formatVersion))
	})
	if err == nil {
		err = fd.Sync()
	}
	if err == nil {
		err = os.Rename(f.beside(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.beside()))
	}
	return syncDir(filepath.Dir(f.path))
}
