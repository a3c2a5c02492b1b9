package crash

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// An Event is a change of the disk, or a mark.
type Event struct {
	Op     files.Op
	Path   string // below the root, of what has changed
	To     string // of what was renamed
	Offset int64
	Data   []byte
	Sync   string // what called a sync and what is synced: its kind
	Mark   any    // of the test; then nothing else is there
	Within bool   // the file has no name yet under which anybody looks for it

	number int
	file   int
	began  int // a sync: with this event
}

// A Recorder records the changes below a directory, in the order in which they were made.
type Recorder struct {
	// Hold, of tests, is called before each change.
	Hold func(files.Change) error

	root   string
	mu     sync.Mutex
	events []Event
	names  map[string]int // as a process sees them
	files  []*seen
	begun  map[string][]int // events at which syncs have begun, by path
}

// seen is what a process sees of a file.
type seen struct {
	info    os.FileInfo
	content []byte
}

// Record makes a directory, which is not there yet, what d is without a power failure, and
// begins to record what changes there. There is one Recorder at a time.
func Record(root string, d *Disk) (*Recorder, error) {
	r := &Recorder{root: root, names: map[string]int{}, begun: map[string][]int{}}
	for _, f := range d.files {
		r.files = append(r.files, &seen{content: applied(f.durable, f.pending)})
	}
	if err := d.Settled().Write(root); err != nil {
		return nil, err
	}
	for p, of := range d.dirs {
		for name, at := range named(of.durable, of.pending) {
			p := filepath.Join(p, name)
			r.names[p] = at
			if at != noFile {
				var err error
				if r.files[at].info, err = os.Stat(filepath.Join(root, p)); err != nil {
					return nil, err
				}
			}
		}
	}
	files.Before, files.After = r.before, r.after
	return r, nil
}

// Write writes a state into a directory, which is not there yet.
func (s State) Write(root string) error {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	for p, content := range s {
		p = filepath.Join(root, p)
		if content == nil {
			if err := os.MkdirAll(p, 0o700); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(p, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the recording and returns the events. Nothing may change meanwhile.
func (r *Recorder) Stop() []Event {
	files.Before, files.After = nil, nil
	return r.events
}

// Mark notes a moment.
func (r *Recorder) Mark(m any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(Event{Mark: m})
}

func (r *Recorder) add(e Event) {
	e.number = len(r.events)
	r.events = append(r.events, e)
}

func (r *Recorder) below(path string) string {
	below, err := filepath.Rel(r.root, path)
	if err != nil {
		panic(err)
	}
	return below
}

// find returns which file an open one is, and its path, which may be gone.
func (r *Recorder) find(f *os.File) (int, string) {
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	if info.IsDir() {
		return noFile, r.below(f.Name())
	}
	for at, file := range slices.Backward(r.files) { // a number of the system is used again
		if file.info != nil && os.SameFile(file.info, info) {
			for p, named := range r.names {
				if named == at {
					return at, p
				}
			}
			return at, ""
		}
	}
	panic("a file that was never created: " + f.Name())
}

func (r *Recorder) before(c files.Change) error {
	if r.Hold != nil {
		if err := r.Hold(c); err != nil {
			return err
		}
	}
	if c.Op == files.Synced {
		r.mu.Lock()
		defer r.mu.Unlock()
		name := c.File.Name()
		r.begun[name] = append(r.begun[name], len(r.events))
	}
	return nil
}

func (r *Recorder) after(c files.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch c.Op {
	case files.Created:
		r.created(r.below(c.Path), c.Path)
	case files.Renamed:
		from, to := r.below(c.Path), r.below(c.To)
		at := r.names[from]
		delete(r.names, from)
		r.names[to] = at
		r.add(Event{Op: c.Op, Path: from, To: to, file: at})
	case files.Removed:
		p := r.below(c.Path)
		r.add(Event{Op: c.Op, Path: p, file: r.names[p]})
		delete(r.names, p)
	case files.Written, files.Resized:
		at, p := r.find(c.File)
		r.change(Event{Op: c.Op, Path: p, Offset: c.Offset, Data: bytes.Clone(c.Data), file: at})
	case files.Synced:
		at, p := r.find(c.File)
		begun := r.begun[c.File.Name()]
		r.begun[c.File.Name()] = begun[1:]
		r.add(Event{Op: c.Op, Path: p, Sync: r.kind(p), file: at, began: begun[0]})
	case files.Committed:
		r.committed(c.File)
	}
}

// created notes a file that may have been there before, and may be empty since.
func (r *Recorder) created(p, path string) {
	info, err := os.Stat(path)
	if err != nil {
		panic(err)
	}
	at, known := r.names[p]
	switch {
	case info.IsDir():
		r.names[p] = noFile
		r.add(Event{Op: files.Created, Path: p, file: noFile})
	case !known:
		r.names[p] = len(r.files)
		r.files = append(r.files, &seen{info: info, content: []byte{}})
		r.add(Event{Op: files.Created, Path: p, file: r.names[p]})
	case info.Size() < int64(len(r.files[at].content)):
		r.change(Event{Op: files.Resized, Path: p, Offset: info.Size(), file: at})
	}
}

// change notes a change of a file's content.
func (r *Recorder) change(e Event) {
	f := r.files[e.file]
	f.content = applied(f.content, []change{{resize: e.Op == files.Resized, offset: e.Offset, data: e.Data}})
	r.add(e)
}

// The syncs of a transaction of bbolt.
const (
	PagesSync = "bbolt: pages, before the meta page"
	MetaSync  = "bbolt: the meta page"
)

const (
	pageSize  = 4096
	metaPages = 2
)

// committed finds out what a transaction has changed. bbolt writes pages and syncs them,
// and then the meta page. In a file that is written beside, with any number of
// transactions, it syncs nothing.
func (r *Recorder) committed(fd *os.File) {
	at, p := r.find(fd)
	content, err := io.ReadAll(io.NewSectionReader(fd, 0, 1<<40))
	if err != nil {
		panic(err)
	}
	within := strings.HasSuffix(p, ".new")
	old := r.files[at].content
	if len(content) != len(old) {
		r.change(Event{Op: files.Resized, Path: p, Offset: int64(len(content)), Within: within, file: at})
	}
	old = r.files[at].content
	write := func(from, to int) {
		for ; from < to; from += pageSize {
			end := from
			for end < to && !bytes.Equal(content[end:end+pageSize], old[end:end+pageSize]) {
				end += pageSize
			}
			if end > from {
				r.change(Event{Op: files.Written, Path: p, Offset: int64(from), Data: content[from:end], Within: within, file: at})
				from = end - pageSize
			}
		}
	}
	sync := func(kind string) {
		if !within {
			r.add(Event{Op: files.Synced, Path: p, Sync: kind, file: at, began: len(r.events)})
		}
	}
	write(metaPages*pageSize, len(content))
	sync(PagesSync)
	write(0, metaPages*pageSize)
	sync(MetaSync)
}

var number = regexp.MustCompile(`[0-9a-f]{16}`)

// kind says what calls a sync, and what is synced.
func (r *Recorder) kind(p string) string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		name := frame.Function[strings.LastIndex(frame.Function, "/")+1:]
		if !strings.HasPrefix(name, "crash.") && !strings.HasPrefix(name, "files.") || !more {
			name = strings.NewReplacer("(*", "", ")", "").Replace(name)
			name, _, _ = strings.Cut(name, ".func")
			return name + ": " + number.ReplaceAllString(r.label(p), "N")
		}
	}
}

// label names what is synced. Names are those of a journal from when it has its format.
func (r *Recorder) label(p string) string {
	switch at, ok := r.names[p]; {
	case p == ".":
		return "the root"
	case !ok || at != noFile:
		return filepath.Base(p)
	}
	if _, ok := r.names[filepath.Join(p, "format")]; ok {
		return "names"
	}
	return "names before format"
}
