package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// Options configure an [Engine]. The zero value is useful.
type Options struct {
	// Timeout is how long Open waits for a file that another process has locked.
	// 0 means a second; a negative Timeout does not wait.
	Timeout time.Duration
}

// An Engine is a [journal.Engine] on one file. The first Open opens the file, and
// creates it if there is none; the Close of the last journal closes it. Until then
// no other process, and no other Engine, can open it.
//
// emit must not call this engine, nor its journals: all of them use the file one
// call at a time.
type Engine struct {
	path string
	opts Options

	mu   sync.Mutex
	file *file           // nil while no partition is open
	open map[string]bool // by the partition's name
}

// An Error says what failed, and on which file. It wraps the cause and, where one
// fits, an error of package journal.
type Error struct {
	Op, Path string
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("bolt: %s %q: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrapped returns an error that says what failed, nil for nil. An error of emit
// stays as it is.
func wrapped(op, path string, err error) error {
	if emitted, ok := errors.AsType[emitError](err); ok {
		return emitted.error
	}
	if err != nil {
		return &Error{op, path, err}
	}
	return nil
}

// New returns an engine on the file at path. It touches no file; Open does.
func New(path string, opts Options) *Engine {
	if opts.Timeout == 0 {
		opts.Timeout = time.Second
	}
	return &Engine{path: path, opts: opts, open: map[string]bool{}}
}

// Open implements [journal.Engine]. A partition that is open already, or a file
// that another process or Engine has open, is journal.ErrInUse. A name of more
// than [MaxName] bytes is refused. Opening the file checks all of its structure,
// and every record of the partition is checked before the first is emitted.
func (e *Engine) Open(ctx context.Context, name string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	defer func() { err = wrapped("open", e.path, err) }()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if len(name) > MaxName {
		return nil, fmt.Errorf("the partition's name has %d bytes, the limit is %d", len(name), MaxName)
	}
	f, err := e.reserve(name)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened { // or emit has panicked
			err = errors.Join(err, e.release(name))
		}
	}()
	p := &partition{engine: e, file: f, name: name, bucket: bucketOf(name)}
	if err := p.start(ctx, emit); err != nil {
		return nil, err
	}
	opened = true
	return p, nil
}

// reserve notes that a partition is open, and returns the file.
func (e *Engine) reserve(name string) (*file, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open[name] {
		return nil, fmt.Errorf("%w: partition %.40q is open already", journal.ErrInUse, name)
	}
	if e.file == nil {
		e.file = &file{path: e.path, timeout: e.opts.Timeout}
	}
	e.open[name] = true
	return e.file, nil
}

// release undoes reserve, and closes the file with the last partition.
func (e *Engine) release(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, name)
	if len(e.open) > 0 {
		return nil
	}
	f := e.file
	e.file = nil
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.close()
}
