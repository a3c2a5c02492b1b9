package disk

import (
	"context"
	"errors"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// FormatVersion is the version of the directories that are written.
const FormatVersion = formatVersion

// FormatAgain reads a format, and writes it again.
func FormatAgain(text string) (string, error) {
	id, err := decodeFormat(text)
	return encodeFormat(id), err
}

// WithSegments returns options with segments of the log of a size.
func WithSegments(opts Options, size int64) Options {
	opts.segment = size
	return opts
}

// SegmentOf returns the size that [WithSegments] has given, 0 for none.
func SegmentOf(opts Options) int64 { return opts.segment }

// SalvageAnyway is [Salvage] of a directory that may be whole, as if it were damaged.
func SalvageAnyway(ctx context.Context, path, partition string, opts Options, unit Unit, emit func(journal.Change) error) (found []Damage, err error) {
	err = salvage(ctx, path, opts, &found, func(*directory, *pages.File) error { return errors.New("anyway") },
		func(w *wreck) error { return w.emit(ctx, partition, unit, emit) })
	return found, err
}
