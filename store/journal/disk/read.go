package disk

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Partitions returns the names of the partitions in a directory, in ascending order. It
// checks all of them as Open does, and changes nothing: read permission is enough. Nobody
// else can open the directory meanwhile; one that somebody has open is journal.ErrInUse.
func Partitions(ctx context.Context, path string, opts Options) (names []string, err error) {
	err = read(ctx, path, opts, func(d *directory, file *pages.File) error {
		names = slices.Sorted(maps.Keys(d.positions))
		return file.CheckAll(ctx)
	})
	return names, err
}

// Read emits every key of a partition, as Open does, and returns its head. It takes
// nothing over and changes nothing, like [Partitions].
func Read(ctx context.Context, path, partition string, opts Options, emit func(journal.Change) error) (head journal.Head, err error) {
	err = read(ctx, path, opts, func(d *directory, file *pages.File) error {
		if _, ok := d.positions[partition]; !ok {
			return d.noPartition(partition)
		}
		if err := file.Check(ctx, partition); err != nil {
			return err
		}
		head, err = d.emit(ctx, file, partition, emit)
		return err
	})
	return head, err
}

// read opens a directory for look alone, and closes it when look has returned or panicked.
func read(ctx context.Context, path string, opts Options, look func(*directory, *pages.File) error) (err error) {
	defer func() { err = wrapped("read", path, err) }()
	d, err := openDirectory(ctx, path, opts.withDefaults(), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	file := <-d.pages
	defer func() { d.pages <- file }()
	return look(d, file)
}

// emit emits what stands in a partition: in the pages, and in the log behind them.
func (d *directory) emit(ctx context.Context, file *pages.File, partition string, emit func(journal.Change) error) (head journal.Head, err error) {
	pending, err := file.Pending()
	r := *d.reader
	for size := int64(1); size > 0 && err == nil; {
		size, err = r.Next(func(e wal.Entry) error {
			if e.Partition != partition {
				return nil
			}
			return pending.Add(e)
		})
	}
	if err != nil {
		return head, err
	}
	return file.Emit(ctx, partition, pending, emit)
}
