package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Damage is something that a salvage has found, and what comes of it.
type Damage struct {
	File   string // its name in the directory, "" of none
	At     int64  // the byte where it begins, -1 if that is not known
	Reason string

	// Older is the key of a unit that was emitted as it was before some of its changes, which
	// can be read in part only. It is "" of other damage.
	Older string
}

func (d Damage) String() string {
	switch {
	case d.File == "":
		return d.Reason
	case d.At < 0:
		return fmt.Sprintf("%s: %s", d.File, d.Reason)
	}
	return fmt.Sprintf("%s, byte %d: %s", d.File, d.At, d.Reason)
}

// A Unit says which keys belong together, by how many bytes of a key name the unit that it is
// of. The keys of a unit follow each other. 0 means that the key's value never changes: it
// is put once, perhaps deleted, and never put again.
type Unit func(key []byte) int

// Salvage emits what can be read of a partition in a directory that Open refuses, in ascending
// order of the keys, and returns what is damaged. It writes nothing, and holds the directory
// as [Read] does. If nothing is damaged it emits what Read emits.
//
// What is damaged in the pages is taken from what the last transaction but one has left there,
// and from the log, whose frames stay for a while. Frames that are whole are used although
// others before them are not. Keys may then be of different ages, and batches incomplete: what
// only a missing frame has changed is as it was before. With a unit, which for a
// loopstore.Loop is Unit of package store/state, its keys are emitted as they were at one moment, the last at
// which all are known; if that is before its last change, a Damage says so. If there is no such
// moment, those known last are emitted. A key whose value never changes is emitted if frames are
// missing, also if it was deleted, since a unit that is older may need it. A nil unit is each
// key by itself.
//
// A partition of which nothing can be seen is an error, and so is what Salvage does not judge:
// a directory that is in use, or of a later version, and files of another kind, or that it
// must not read. An error of emit is returned as it is.
func Salvage(ctx context.Context, path, partition string, opts Options, unit Unit, emit func(journal.Change) error) (found []Damage, err error) {
	err = salvage(ctx, path, opts, &found, func(d *directory, file *pages.File) error {
		if _, ok := d.positions[partition]; !ok {
			return d.noPartition(partition)
		}
		if err := file.Check(ctx, partition); err != nil {
			return err
		}
		_, err := d.emit(ctx, file, partition, emit)
		return err
	}, func(w *wreck) error { return w.emit(ctx, partition, unit, emit) })
	return found, err
}

// SalvagePartitions returns the names of the partitions that can still be seen in a directory,
// in ascending order, and what is damaged. It is like [Salvage] otherwise.
func SalvagePartitions(ctx context.Context, path string, opts Options) (names []string, found []Damage, err error) {
	err = salvage(ctx, path, opts, &found, func(d *directory, file *pages.File) error {
		names = slices.Sorted(maps.Keys(d.positions))
		return file.CheckAll(ctx)
	}, func(w *wreck) error {
		names, err = w.partitions(ctx)
		return err
	})
	return names, found, err
}

var errNoPartition = errors.New("it has no partition")

// noPartition says which there are.
func (d *directory) noPartition(partition string) error {
	const most = 10
	names := slices.Sorted(maps.Keys(d.positions))
	there := make([]string, min(most, len(names)))
	for i := range there {
		there[i] = fmt.Sprintf("%.40q", names[i])
	}
	if more := len(names) - most; more > 0 {
		there = append(there, fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 {
		there = []string{"none"}
	}
	return fmt.Errorf("%w %.40q; there are: %s", errNoPartition, partition, strings.Join(there, ", "))
}

// salvage opens a directory. If it is whole it calls read, else, or if read finds it damaged,
// salvaging.
func salvage(ctx context.Context, path string, opts Options, found *[]Damage, read func(*directory, *pages.File) error, salvaging func(*wreck) error) (err error) {
	defer func() { err = wrapped("salvage", path, err) }()
	d, err := claim(path, opts.withDefaults(), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if _, err := d.openDir(); err != nil {
		return err
	}
	w := &wreck{dir: d, found: found, noted: map[Damage]bool{}}
	if err := w.readFormat(ctx); err != nil {
		return err
	}
	cause := error(nil)
	if len(*found) == 0 {
		if cause = d.whole(ctx, *w.id, read); cause == nil || !isDamage(ctx, cause) {
			return cause
		}
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx); err != nil {
		return err
	}
	if err := salvaging(w); err != nil {
		return err
	}
	if len(*found) == 0 {
		w.note("", -1, strings.TrimPrefix(cause.Error(), journal.ErrCorrupt.Error()+": "))
	}
	return nil
}

// whole opens the files of a directory that is locked, and calls read, if they are whole. It
// closes them again.
func (d *directory) whole(ctx context.Context, id wal.ID, read func(*directory, *pages.File) error) (err error) {
	defer func() {
		if d.pages != nil {
			err = errors.Join(err, (<-d.pages).Close())
		}
		if d.log != nil {
			err = errors.Join(err, d.log.Close())
		}
		d.pages, d.log = nil, nil
	}()
	if _, err := d.openFiles(ctx, id); err != nil {
		return err
	}
	file := <-d.pages
	defer func() { d.pages <- file }()
	return read(d, file)
}

// isDamage reports whether what has ended a reading is damage, and a salvage may find more. What
// stands in the way of both ends the salvage too.
func isDamage(ctx context.Context, err error) bool {
	_, emitted := errors.AsType[pages.EmitError](err)
	return !emitted && ctx.Err() == nil &&
		!errors.Is(err, journal.ErrInUse) && !errors.Is(err, journal.ErrNewerFormat) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, errNoPartition)
}

// A wreck is a directory that is damaged, and locked.
type wreck struct {
	dir   *directory
	found *[]Damage
	noted map[Damage]bool
	id    *wal.ID // nil if that is lost

	file  *files.Patient // the pages
	trees []*pages.Tree  // the newest first
	log   *wal.Wreck
}

// note takes notice of damage, once.
func (w *wreck) note(file string, at int64, reason string) {
	d := Damage{File: file, At: at, Reason: reason}
	if !w.noted[d] {
		w.noted[d] = true
		*w.found = append(*w.found, d)
	}
}

// readFormat locks the format, and reads it. Without one the pages alone have the lock: see
// open.
func (w *wreck) readFormat(ctx context.Context) error {
	f, err := files.OpenFile(w.dir.file(formatName), 0, 0)
	if errors.Is(err, fs.ErrNotExist) {
		rest, err := w.dir.rest()
		if err == nil && len(rest) == 0 {
			err = errors.New("it holds no journal")
		}
		w.note(formatName, -1, "the file is missing")
		return err
	}
	if err != nil {
		return err
	}
	w.dir.format = f
	if err := files.Lock(ctx, f, w.dir.opts.Timeout); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		w.note(formatName, 0, fmt.Sprintf("it cannot be read: %v", err))
		return nil
	}
	id, err := decodeFormat(string(text))
	if errors.Is(err, journal.ErrNewerFormat) {
		// The sum may say that no more than the version is damaged.
		_, rest, _ := strings.Cut(string(text), ", log ")
		var other error
		if id, other = decodeFormat(fmt.Sprintf("loopstore journal, version %d, log %s", formatVersion, rest)); other != nil {
			return err
		}
		w.note(formatName, 0, "the version is damaged")
	} else if err != nil {
		w.note(formatName, 0, "the file is damaged")
		return nil
	}
	w.id = &id
	return nil
}

// open opens what there is of the pages and the log.
func (w *wreck) open(ctx context.Context) (err error) {
	note := func(at int64, reason string) { w.note(pagesName, at, reason) }
	w.file, err = files.OpenPatient(w.dir.file(pagesName), func(at int64, err error) { note(at, fmt.Sprintf("it cannot be read: %v", err)) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		note(-1, "the file is missing")
	case err != nil:
		return err
	default:
		if err := files.Lock(ctx, w.file.File, w.dir.opts.Timeout); err != nil {
			return err
		}
		if w.trees, err = pages.Trees(ctx, w.file, w.file.Size, note); err != nil {
			return err
		}
		if len(w.trees) == 0 {
			note(0, "nothing that leads to records is whole: all that the log does not have is lost")
		}
	}
	if w.log, err = wal.Salvage(ctx, w.dir.path, w.id, w.dir.opts.segment, w.note); err != nil {
		return err
	}
	var reached wal.Mark
	known := false
	if len(w.trees) > 0 {
		w.trees[0].Use()
		reached, known = w.trees[0].Log()
	}
	w.log.Check(reached, known)
	return nil
}

func (w *wreck) close() (err error) {
	if w.log != nil {
		err = w.log.Close()
	}
	if w.file != nil {
		err = errors.Join(err, w.file.File.Close())
	}
	return err
}

// partitions returns the names of those that the pages or the log have.
func (w *wreck) partitions(ctx context.Context) ([]string, error) {
	names := map[string]bool{}
	for _, t := range w.trees {
		for _, name := range t.Partitions() {
			names[name] = true
		}
	}
	err := w.log.Each(ctx, func(_ uint64, e wal.Entry) error {
		names[e.Partition] = true
		return nil
	})
	return slices.Sorted(maps.Keys(names)), err
}
