package bolt

import (
	"context"
	"errors"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// A partition is a [journal.Journal].
type partition struct {
	engine *Engine
	file   *file
	name   string
	bucket []byte
	head   journal.Head
	closed bool
}

var errClosed = errors.New("the journal is closed, nothing was stored")

// An emitError is an error that emit returned, an emitPanic what it panicked with.
type (
	emitError struct{ error }
	emitPanic struct{ value any }
)

// start opens the file, checks the partition, takes it over, and emits it.
func (p *partition) start(ctx context.Context, emit func(journal.Change) error) error {
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	if err := p.file.start(ctx); err != nil {
		return err
	}
	if err := p.file.view(func(tx *bbolt.Tx) (err error) {
		p.head, _, err = checkPartition(ctx, tx, p.bucket)
		return err
	}); err != nil {
		return err
	}
	p.head.Epoch++
	if err := p.file.commit(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(p.bucket); err != nil {
			return err
		}
		return p.file.putHead(tx, p.bucket, p.head)
	}); err != nil {
		return err
	}
	return p.file.view(func(tx *bbolt.Tx) error { return emitAll(ctx, tx.Bucket(p.bucket), emit) })
}

func emitAll(ctx context.Context, records *bbolt.Bucket, emit func(journal.Change) error) error {
	return visit(ctx, records, func(key, value []byte) error {
		defer func() {
			if v := recover(); v != nil {
				panic(&emitPanic{v}) // which passes through guarded
			}
		}()
		if err := emit(journal.Change{Key: key, Value: value}); err != nil {
			return emitError{err}
		}
		return nil
	})
}

// Append implements [journal.Journal]. It ignores ctx, because a write to a disk
// cannot be called off.
func (p *partition) Append(_ context.Context, b journal.Batch) (journal.Position, error) {
	if p.closed {
		return journal.Position{}, p.wrap("append", errClosed)
	}
	if err := p.Limits().Check(b); err != nil {
		return journal.Position{}, p.wrap("append", err)
	}
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	next := p.head
	next.Index++
	if err := p.file.commit(func(tx *bbolt.Tx) error {
		now, records, err := headOf(tx, p.bucket)
		if err != nil {
			return err
		}
		if records == nil || now != p.head {
			return corrupt("partition %.40q is not as this journal left it", p.name)
		}
		for _, c := range b.Changes {
			if err := apply(records, &next, c); err != nil {
				return err
			}
		}
		return p.file.putHead(tx, p.bucket, next)
	}); err != nil {
		return journal.Position{}, p.wrap("append", err)
	}
	p.head = next
	return next.Position, nil
}

// apply changes one key, and the head with it.
func apply(records *bbolt.Bucket, head *journal.Head, c journal.Change) error {
	stored := storedKey(c.Key)
	if old := records.Get(stored); old != nil {
		key, value, err := decode(stored, old)
		if err != nil {
			return err
		}
		head.Remove(key, value)
	}
	if c.Delete {
		return records.Delete(stored)
	}
	head.Put(c.Key, c.Value)
	return records.Put(stored, encodeValue(stored, c.Value))
}

// Compact implements [journal.Journal]. It compacts the whole file, if at least a
// quarter of it is free.
func (p *partition) Compact(ctx context.Context, _ iter.Seq[journal.Change]) error {
	if p.closed {
		return p.wrap("compact", errClosed)
	}
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	return p.wrap("compact", p.file.compact(ctx))
}

// Limits implements [journal.Journal].
func (p *partition) Limits() journal.Limits {
	return journal.Limits{KeyBytes: maxKey, ValueBytes: maxValue, BatchBytes: maxBatch}
}

// Fenced implements [journal.Journal]: nobody can take the lock away.
func (p *partition) Fenced() <-chan struct{} { return nil }

// Close implements [journal.Journal].
func (p *partition) Close(context.Context) error {
	if p.closed {
		return nil
	}
	p.closed = true
	return p.wrap("close", p.engine.release(p.name))
}

func (p *partition) wrap(op string, err error) error { return wrapped(op, p.engine.path, err) }
