package postgres

import (
	"context"
	"errors"
	"iter"

	"github.com/loopstore/loopstore/store/journal"
)

// A partition is a [journal.Journal]: a partition, from Open to Close.
type partition struct {
	engine *Engine
	name   string
	id     [16]byte
	holder [16]byte // random, of this Open

	head journal.Head
	// digests are of all records. They spare an append from reading what it
	// replaces, which may be large, and so make it one round trip.
	digests map[[16]byte]journal.Digest // by the idOf a key
	ended   error                       // why it is finished
}

// Append implements [journal.Journal].
func (p *partition) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if p.ended != nil {
		return journal.Position{}, p.wrap("append", p.ended)
	}
	if err := p.Limits().Check(b); err != nil {
		return journal.Position{}, p.wrap("append", err)
	}
	w := p.prepare(b)
	if err := p.store(ctx, w); err != nil {
		if !errors.Is(err, journal.ErrRejected) {
			p.end(err)
		}
		return journal.Position{}, p.wrap("append", err)
	}
	p.stored(w)
	return p.head.Position, nil
}

// Compact implements [journal.Journal]. It does nothing: the server's autovacuum
// removes what was replaced.
func (p *partition) Compact(context.Context, iter.Seq[journal.Change]) error { return nil }

// Limits implements [journal.Journal].
func (p *partition) Limits() journal.Limits {
	return journal.Limits{KeyBytes: maxKey, ValueBytes: maxValue, BatchBytes: maxBatch}
}

// Fenced implements [journal.Journal]: only Append notices.
func (p *partition) Fenced() <-chan struct{} { return nil }

// Close implements [journal.Journal]. The server holds nothing between calls.
func (p *partition) Close(context.Context) error {
	p.end(journal.ErrClosed)
	return nil
}

func (p *partition) end(err error) { p.ended, p.digests = err, nil }

func (p *partition) wrap(op string, err error) error {
	return &Error{op, p.engine.schema, p.name, err}
}
