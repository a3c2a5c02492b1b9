package disk

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// places are where the directory and its files must still be when something is
// acknowledged: in what was removed, moved or replaced, nothing would be found again.
type places struct {
	dir, format fs.FileInfo
	pages       *pages.File
	unchanged   time.Time // when the directory last changed, and all in it was in place
	segment     uint64    // of the log, then
}

// settled reports whether the directory's time is sure to be another after the next change:
// it is of a clock that stands still for some milliseconds, or for a second.
func settled(changed time.Time) bool {
	aWhile := 100 * time.Millisecond
	if changed.Nanosecond() == 0 {
		aWhile = 3 * time.Second
	}
	return !changed.IsZero() && time.Since(changed) > aWhile
}

func (d *directory) remember(file *pages.File) (err error) {
	if d.places.dir, err = d.dir.Stat(); err != nil {
		return err
	}
	d.places.format, err = d.format.Stat()
	d.places.pages = file
	return err
}

// stillThere checks all places. What is in a directory has been looked at already if the
// directory has not changed since.
func (d *directory) stillThere() error {
	p := &d.places
	now, err := os.Stat(d.given)
	if err != nil || !os.SameFile(now, p.dir) {
		return fmt.Errorf("%q: %w", d.given, files.ErrMoved)
	}
	changed, segment := files.Changed(now), d.log.Segment()
	if segment == p.segment && changed.Equal(p.unchanged) {
		return nil
	}
	if err := files.StillAt(d.file(formatName), p.format); err != nil {
		return fmt.Errorf("%q: %w", formatName, err)
	}
	if err := p.pages.InPlace(); err != nil {
		return fmt.Errorf("%q: %w", pagesName, err)
	}
	if err := d.log.InPlace(); err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	if settled(changed) {
		p.unchanged, p.segment = changed, segment
	}
	return nil
}
