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
	unchanged   time.Time // the directory's, when all in it was in place
}

// aWhile is how long after a change the directory's time is sure to be another after the
// next one.
const aWhile = 100 * time.Millisecond

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
	now, err := os.Stat(d.path)
	if err != nil || !os.SameFile(now, p.dir) {
		return fmt.Errorf("%q: %w", d.path, files.ErrMoved)
	}
	changed := now.ModTime()
	if changed.Equal(p.unchanged) {
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
	if time.Since(changed) > aWhile {
		p.unchanged = changed
	}
	return nil
}
