package bolt

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// Partitions returns the names of the partitions in a file, in ascending order.
// It checks all of them as Open does, and changes nothing: read permission is
// enough. Nobody else can open the file meanwhile; a file that somebody has open
// is journal.ErrInUse.
func Partitions(ctx context.Context, path string, opts Options) (names []string, err error) {
	err = read(ctx, path, opts, func(tx *bbolt.Tx) error {
		if err := checkAll(ctx, tx); err != nil {
			return err
		}
		return eachHead(tx.Bucket(headsBucket), func(name, _ []byte) error {
			names = append(names, string(name[1:]))
			return nil
		})
	})
	return names, err
}

// Read emits every key of a partition, as Open does, and returns its head. It
// takes nothing over and changes nothing, like [Partitions].
func Read(ctx context.Context, path, partition string, opts Options, emit func(journal.Change) error) (head journal.Head, err error) {
	err = read(ctx, path, opts, func(tx *bbolt.Tx) error {
		var records *bbolt.Bucket
		if head, records, err = checkPartition(ctx, tx, bucketOf(partition)); err != nil {
			return err
		}
		if records == nil {
			return fmt.Errorf("it has no partition %.40q", partition)
		}
		return emitAll(ctx, records, emit)
	})
	return head, err
}

// read opens a file for look alone.
func read(ctx context.Context, path string, opts Options, look func(*bbolt.Tx) error) error {
	f := &file{path: path, timeout: New(path, opts).opts.Timeout, readOnly: true}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.start(ctx)
	if err == nil {
		err = errors.Join(f.view(look), f.close())
	}
	return wrapped("read", path, err)
}
