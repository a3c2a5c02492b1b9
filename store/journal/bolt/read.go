package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// Partitions returns the names of the partitions in a file, in ascending order.
// It checks what Open checks, in all of them, and changes nothing: a file that
// may only be read will do. While it looks nobody else can open the file, and
// where somebody has it is journal.ErrInUse.
func Partitions(ctx context.Context, path string, opts Options) (names []string, err error) {
	err = read(ctx, path, opts, func(tx *bbolt.Tx) error {
		if err := checkAll(tx, stopper(ctx)); err != nil {
			return err
		}
		return tx.Bucket(headsBucket).ForEach(func(name, _ []byte) error {
			if !bytes.Equal(name, formatKey) {
				names = append(names, string(name[1:]))
			}
			return nil
		})
	})
	return names, err
}

// Read emits every key of a partition, as Open does, and returns its head. It
// takes nothing over and changes nothing: see Partitions.
func Read(ctx context.Context, path, partition string, opts Options, emit func(journal.Change) error) (head journal.Head, err error) {
	err = read(ctx, path, opts, func(tx *bbolt.Tx) error {
		var data *bbolt.Bucket
		if head, data, err = headOf(tx, bucketOf(partition)); err != nil {
			return err
		}
		if data == nil {
			return fmt.Errorf("it has no partition %.40q", partition)
		}
		if err := checkPartition(head, data, stopper(ctx)); err != nil {
			return err
		}
		return emitAll(data, emit, stopper(ctx))
	})
	return head, err
}

// read looks at a file that nobody has open.
func read(ctx context.Context, path string, opts Options, look func(*bbolt.Tx) error) error {
	f := &file{path: path, timeout: New(path, opts).opts.Timeout, readOnly: true}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.open(func() error {
		fd, err := os.Open(f.path)
		return f.lockAndOpen(ctx, fd, err)
	})
	if err == nil {
		err = errors.Join(f.view(look), f.close())
	}
	return wrapped("read", path, err)
}
