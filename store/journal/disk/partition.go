package disk

import (
	"context"
	"iter"
	"math/bits"
	"sync/atomic"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A partition is a [journal.Journal].
type partition struct {
	*directory
	engine *Engine
	name   string
	at     journal.Position
	closed atomic.Bool
}

// start checks the partition, takes it over, and emits it.
func (p *partition) start(ctx context.Context, emit func(journal.Change) error) error {
	if err := p.withPages(ctx, func(file *pages.File) error { return file.Check(ctx, p.name) }); err != nil {
		return err
	}
	p.at = p.position(p.name)
	p.at.Epoch++
	if err := p.append(ctx, wal.Entry{Partition: p.name, Position: p.at}); err != nil {
		return err
	}
	return p.withPages(ctx, func(file *pages.File) error {
		_, err := p.emit(ctx, file, p.name, emit)
		return err
	})
}

func (p *partition) withPages(ctx context.Context, do func(*pages.File) error) error {
	file, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(file)
	return p.long(func() error { return do(file) })
}

// Append implements [journal.Journal]. It ignores ctx, because a write to a disk
// cannot be called off.
func (p *partition) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if p.closed.Load() {
		return journal.Position{}, p.wrap("append", journal.ErrClosed)
	}
	if err := p.Limits().Check(b); err != nil {
		return journal.Position{}, p.wrap("append", err)
	}
	next := p.at
	next.Index++
	if err := p.append(context.WithoutCancel(ctx), wal.Entry{Partition: p.name, Position: next, Changes: b.Changes}); err != nil {
		return journal.Position{}, p.wrap("append", err)
	}
	p.at = next
	return next, nil
}

// Compact implements [journal.Journal]. It brings the log into the pages and, if at least
// a quarter of them is free, writes them anew, those of all partitions. It may be called
// beside Append and Close.
func (p *partition) Compact(ctx context.Context, _ iter.Seq[journal.Change]) error {
	return p.CompactBeside(ctx)
}

// CompactBeside implements [journal.Beside].
func (p *partition) CompactBeside(ctx context.Context) error {
	if p.closed.Load() {
		return p.wrap("compact", journal.ErrClosed)
	}
	return p.wrap("compact", p.compact(ctx))
}

// Limits implements [journal.Journal].
func (p *partition) Limits() journal.Limits {
	return limits(bits.UintSize)
}

// Fenced implements [journal.Journal]: nobody can take the lock away.
func (p *partition) Fenced() <-chan struct{} { return nil }

// Close implements [journal.Journal]. If it returns the error of ctx, up to a second after that
// has ended, the directory is in use until a checkpoint or a compaction has ended too.
func (p *partition) Close(ctx context.Context) error {
	if p.closed.Swap(true) {
		return nil
	}
	return p.wrap("close", p.engine.release(ctx, p.name))
}

func (p *partition) wrap(op string, err error) error { return wrapped(op, p.engine.path, err) }
