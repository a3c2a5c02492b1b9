package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// Options configure an [Engine]. The zero value is useful.
type Options struct {
	// Timeout is how long Open waits for a directory that another process has locked.
	// 0 means a second; a negative Timeout does not wait.
	Timeout time.Duration

	// CheckpointBytes is how much of the log is brought into the pages at a time. A
	// larger one writes less in all, and takes more memory, room, and time to open.
	// 0 means 32 MiB.
	CheckpointBytes int64

	// CompactAt is the free share of the pages, from 0 to 1, at which a checkpoint is
	// followed by a compaction. 0 means a half; a negative CompactAt leaves it to
	// Compact.
	CompactAt float64

	// Logger is told of a checkpoint or a compaction that fails, while the log grows,
	// and when checkpoints go on. nil is silent.
	Logger *slog.Logger

	segment int64 // the size of one of the log; tests alone change it
	waste   int64 // bytes of pages that are free, for a compaction by itself; likewise
}

const (
	defaultCheckpoint = 32 << 20
	defaultCompactAt  = 0.5

	maxKey   = pages.MaxKey
	maxValue = 256 << 20 // in the format: see limits
	maxBatch = 512 << 20

	// MaxName is the most bytes that a partition's name can have.
	MaxName = pages.MaxName
)

// An Engine is a [journal.Engine] on one directory. The first Open opens the directory,
// and creates it if there is none; the Close of the last journal closes it. Until then
// no other process, and no other Engine, can open it.
//
// emit must not call this engine, nor its journals.
type Engine struct {
	path string
	opts Options

	turn    chan struct{}   // has room for one: who has filled it uses what follows, opens and closes
	current *directory      // nil while no partition is open
	open    map[string]bool // by the partition's name
}

// An Error says what failed, and in which directory. It wraps the cause and, where one
// fits, an error of package journal.
type Error struct {
	Op, Path string
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("disk: %s %q: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrapped returns an error that says what failed, nil for nil. An error of emit
// stays as it is.
func wrapped(op, path string, err error) error {
	if emitted, ok := errors.AsType[pages.EmitError](err); ok {
		return emitted.Unwrap()
	}
	if err != nil {
		return &Error{op, path, err}
	}
	return nil
}

// New returns an engine on the directory at path. It touches nothing; Open does.
func New(path string, opts Options) *Engine {
	return &Engine{path: path, opts: opts.withDefaults(), turn: make(chan struct{}, 1), open: map[string]bool{}}
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.CheckpointBytes <= 0 {
		o.CheckpointBytes = defaultCheckpoint
	}
	if o.CompactAt == 0 {
		o.CompactAt = defaultCompactAt
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.waste == 0 {
		o.waste = minWaste
	}
	return o
}

// Open implements [journal.Engine]. A partition that is open already, or a directory
// that another process or Engine has open, is journal.ErrInUse. A name of more than
// [MaxName] bytes is refused. Opening the directory checks all of its structure, and
// every record of the partition is checked before the first is emitted.
func (e *Engine) Open(ctx context.Context, name string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	defer func() { err = wrapped("open", e.path, err) }()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if len(name) > MaxName {
		return nil, fmt.Errorf("the partition's name has %d bytes, the limit is %d", len(name), MaxName)
	}
	d, err := e.reserve(ctx, name)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened { // or emit has panicked
			err = cmp.Or(err, e.release(ctx, name))
		}
	}()
	p := &partition{engine: e, directory: d, name: name}
	if err := p.start(ctx, emit); err != nil {
		return nil, err
	}
	opened = true
	return p, nil
}

// reserve notes that a partition is open, and returns the directory.
func (e *Engine) reserve(ctx context.Context, name string) (*directory, error) {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if e.open[name] {
		return nil, fmt.Errorf("%w: partition %.40q is open already", journal.ErrInUse, name)
	}
	if e.current == nil {
		d, err := openDirectory(ctx, e.path, e.opts, true)
		if err != nil {
			return nil, err
		}
		d.start(d)
		e.current = d
	}
	e.open[name] = true
	return e.current, nil
}

// grace is how long the directory may take to close after a context has ended. It is there for
// a checkpoint or a compaction under way: all else takes no time.
const grace = time.Second

// release undoes reserve, and closes the directory with the last partition. If that outlasts
// ctx and the grace, it goes on behind release, and an Open of this engine waits for it.
func (e *Engine) release(ctx context.Context, name string) error {
	e.turn <- struct{}{} // nobody has it for long while a partition is open
	delete(e.open, name)
	if len(e.open) > 0 {
		<-e.turn
		return nil
	}
	d := e.current
	e.current = nil
	stopped := make(chan error, 1)
	go func() {
		err := d.stop()
		<-e.turn
		stopped <- err
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-stopped:
		return err
	case <-time.After(grace):
		return context.Cause(ctx)
	}
}
