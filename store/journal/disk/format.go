package disk

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// formatVersion is the version of the format that package disk describes.
const formatVersion = 3

// encodeFormat returns what the file format holds. The start of it is the same in every
// version.
func encodeFormat(id wal.ID) string {
	text := fmt.Sprintf("loopstore journal, version %d, log %x", formatVersion, id)
	return fmt.Sprintf("%s, sum %08x\n", text, wal.Sum([]byte(text)))
}

// decodeFormat returns the log's ID. The version comes before anything else, also before
// the sum: of a later version nothing else is known.
func decodeFormat(text string) (id wal.ID, err error) {
	var version uint64
	start, rest, _ := strings.Cut(text, ", log ")
	if n, _ := fmt.Sscanf(start+",", "loopstore journal, version %d,", &version); n == 1 && version > formatVersion {
		return id, fmt.Errorf("%w: version %d, this program knows %d", journal.ErrNewerFormat, version, formatVersion)
	}
	if len(rest) > 2*len(id) {
		if _, err := hex.Decode(id[:], []byte(rest[:2*len(id)])); err == nil && text == encodeFormat(id) {
			return id, nil
		}
	}
	return id, wal.Corrupt("its file %q is damaged", formatName)
}

// lock opens and locks the format, and reads it. Nothing else is looked at before. A
// directory without one becomes a journal if it is to be written to.
func (d *directory) lock(ctx context.Context) (id wal.ID, err error) {
	flag := os.O_RDONLY
	if d.writable {
		flag = os.O_RDWR
	}
	f, err := files.OpenFile(d.file(formatName), flag, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return d.withoutFormat(ctx, nil)
	}
	if err != nil {
		return id, err
	}
	if err := files.Lock(ctx, f, d.opts.Timeout); err != nil {
		return id, errors.Join(err, f.Close())
	}
	d.format = f
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return id, err
	}
	if id, err = decodeFormat(string(text)); err == nil && d.writable {
		err = d.forget(formatName + pages.Suffix) // of a process that came too late to create it
	}
	return id, err
}

// withoutFormat creates the journal, or says why not. A directory in which a creation
// has begun has an unfinished format; one in which the rest of a journal stands has lost it.
func (d *directory) withoutFormat(ctx context.Context, from *pages.File) (id wal.ID, err error) {
	_, err = os.Lstat(d.file(formatName + pages.Suffix))
	begun := err == nil
	rest, err := d.rest()
	switch {
	case err != nil:
		return id, err
	case len(rest) > 0 && !begun:
		if _, err := os.Stat(d.file(formatName)); err == nil { // another process has just finished
			return id, files.ErrMoved
		}
		return id, wal.Corrupt("it has files of a journal, such as %q, and no file %q", rest[0], formatName)
	case !d.writable:
		return id, errors.New("it holds no journal")
	}
	return d.create(ctx, from)
}

// rest returns the names of a journal's files but for its format.
func (d *directory) rest() (names []string, err error) {
	entries, err := os.ReadDir(d.path)
	for _, e := range entries {
		if name := e.Name(); name == pagesName || name == pagesName+pages.Suffix || strings.HasPrefix(name, wal.Prefix) {
			names = append(names, name)
		}
	}
	return names, err
}

// create makes the directory a journal, which holds what from holds, or nothing. The
// format comes into its place when all the rest is durable, and has the lock already.
func (d *directory) create(ctx context.Context, from *pages.File) (id wal.ID, err error) {
	next := d.file(formatName + pages.Suffix)
	f, err := files.OpenFile(next, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return id, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := files.Lock(ctx, f, d.opts.Timeout); err != nil {
		return id, err
	}
	if _, err := os.Lstat(d.file(formatName)); err == nil { // another process was faster
		if _, err := os.Stat(d.file(formatName)); err != nil { // or it is a link to nothing
			return id, err
		}
		return id, errors.Join(files.ErrMoved, files.Remove(next))
	}
	if used, err := wal.Used(d.path); err != nil || used {
		return id, cmp.Or(err, wal.Corrupt("its log was written to, and it has no file %q", formatName))
	}
	rand.Read(id[:])
	for _, step := range []func() error{
		func() error { return files.Resize(f, 0) },
		func() error { return files.WriteAt(f, []byte(encodeFormat(id)), 0) },
		func() error { return files.Sync(f) },
		func() error { return files.Sync(d.dir) }, // from here on the creation has begun
		d.clear,
		func() error { return pages.Create(ctx, d.file(pagesName), d.dir, from) },
		func() error { return wal.Create(d.dir, d.opts.segment) },
		func() error { return files.Rename(next, d.file(formatName)) },
		func() error { return files.Sync(d.dir) },
	} {
		if err := step(); err != nil {
			return id, err
		}
	}
	info, err := f.Stat()
	if err == nil {
		err = files.StillAt(d.file(formatName), info)
	}
	if err == nil {
		d.format = f
	}
	return id, err
}

// forget removes a file, if it is there.
func (d *directory) forget(name string) error {
	if _, err := os.Lstat(d.file(name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return files.Remove(d.file(name))
}

// clear removes what an unfinished creation has left.
func (d *directory) clear() error {
	rest, err := d.rest()
	for _, name := range rest {
		err = errors.Join(err, files.Remove(d.file(name)))
	}
	return err
}
