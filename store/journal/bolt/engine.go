package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// Options are those of an [Engine]. The zero value is useful.
type Options struct {
	// Timeout is how long Open waits for a file that another process holds. 0
	// means a second, less than 0 not at all.
	Timeout time.Duration
}

// An Engine is a [journal.Engine] on one file. The first Open opens the file, and
// makes it if there is none; the Close of the last journal closes it. Until then
// no other process, and no other Engine, can open it.
//
// An emit must not call this engine, nor its journals: the file is theirs one
// call at a time.
type Engine struct {
	path string
	opts Options

	mu   sync.Mutex
	file *file           // nil while no partition is open
	open map[string]bool // the partitions
}

// An Error says which file an error is of, and what was done with it. It wraps
// an error of package journal where there is one that fits, and the cause.
type Error struct {
	Op, Path string
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("bolt: %s %q: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an engine on the file at path. It touches nothing; Open does.
func New(path string, opts Options) *Engine {
	if opts.Timeout == 0 {
		opts.Timeout = time.Second
	}
	return &Engine{path: path, opts: opts, open: map[string]bool{}}
}

// Open is that of [journal.Engine]. A partition that is open already, or a file
// that another process or Engine holds, is journal.ErrInUse. A name of more
// than [MaxName] bytes is refused. All of the file's structure is checked when it
// is opened, and every record of the partition before the first is emitted.
func (e *Engine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	opened := false
	defer func() { err = wrapped("open", e.path, err) }()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(partition) > MaxName {
		return nil, fmt.Errorf("the name of the partition has %d bytes, the limit is %d", len(partition), MaxName)
	}
	f, err := e.claim(partition)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !opened {
			err = errors.Join(err, e.release(partition))
		}
	}()
	j := &owned{engine: e, file: f, partition: partition, bucket: bucketOf(partition)}
	if err := j.start(ctx, emit); err != nil {
		return nil, err
	}
	opened = true
	return j, nil
}

// wrapped says what an error is of, unless it is emit's own.
func wrapped(op, path string, err error) error {
	var emitted *emitError
	switch {
	case errors.As(err, &emitted):
		return emitted.err
	case err != nil:
		return &Error{op, path, err}
	}
	return nil
}

// claim notes that a partition is open, and returns the file.
func (e *Engine) claim(partition string) (*file, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open[partition] {
		return nil, fmt.Errorf("%w: partition %.40q is open already", journal.ErrInUse, partition)
	}
	if e.file == nil {
		e.file = &file{path: e.path, timeout: e.opts.Timeout}
	}
	e.open[partition] = true
	return e.file, nil
}

// release takes claim back, and closes the file with the last partition.
func (e *Engine) release(partition string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, partition)
	if len(e.open) > 0 {
		return nil
	}
	f := e.file
	e.file = nil
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.close()
}
