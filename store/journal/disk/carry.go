package disk

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// Carry brings a journal of version 1 or 2, which was one file, into a directory: all
// partitions, with their epochs and indexes. It checks all of the file, which it does not
// change and which nobody else can open meanwhile. The directory must not be there, or hold
// no journal. It is a journal when Carry returns nil; after an error, or a crash, it is none,
// and Carry can be called again. Only if no more than the last sync has failed, it is one, and
// Carry says so when it is called again.
func Carry(ctx context.Context, file, path string, opts Options) (err error) {
	defer func() { err = wrapped("carry", file, err) }()
	opts = opts.withDefaults()
	from, err := pages.Open(ctx, file, nil, opts.Timeout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if !from.Alone() {
		return errors.New("it is the pages of a journal, and no journal without its log")
	}
	if err := from.CheckAll(ctx); err != nil {
		return err
	}
	d, err := claim(path, opts, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	made, err := d.openDir()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(d.file(formatName)); err == nil {
		return fmt.Errorf("%q holds a journal already", path)
	}
	if _, err := d.withoutFormat(ctx, from); err != nil {
		if errors.Is(err, files.ErrMoved) {
			err = fmt.Errorf("%q holds a journal already", path)
		}
		return err
	}
	return d.syncParent(made)
}
