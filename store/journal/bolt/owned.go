package bolt

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// owned is a journal.Journal.
type owned struct {
	engine    *Engine
	file      *file
	partition string
	bucket    []byte
	head      journal.Head
	closed    bool
}

var errClosed = errors.New("the journal is closed, nothing was stored")

// An emitError is one that emit returned, an emitPanic what it panicked with.
type (
	emitError struct{ err error }
	emitPanic struct{ value any }
)

func (e *emitError) Error() string { return e.err.Error() }

// start opens the file, checks the partition, takes it over, and emits it.
func (j *owned) start(ctx context.Context, emit func(journal.Change) error) error {
	j.file.mu.Lock()
	defer j.file.mu.Unlock()
	if err := j.file.start(ctx); err != nil {
		return err
	}
	stopped := stopper(ctx)
	if err := j.file.view(func(tx *bbolt.Tx) error {
		head, data, err := headOf(tx, j.bucket)
		if err != nil || data == nil {
			return err
		}
		j.head = head
		if err := checkPartition(head, data, stopped); err != nil {
			return fmt.Errorf("partition %.40q: %w", j.partition, err)
		}
		return nil
	}); err != nil {
		return err
	}
	next := j.head
	next.Epoch++
	if err := j.file.commit(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(j.bucket); err != nil {
			return err
		}
		return tx.Bucket(headsBucket).Put(j.bucket, encodeHead(j.bucket, next))
	}); err != nil {
		return err
	}
	j.head = next
	return j.file.view(func(tx *bbolt.Tx) error { return emitAll(tx.Bucket(j.bucket), emit, stopped) })
}

// stopper returns what says now and then whether ctx has ended.
func stopper(ctx context.Context) func() error {
	calls := 0
	return func() error {
		if calls++; calls%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
}

func emitAll(data *bbolt.Bucket, emit func(journal.Change) error, stopped func() error) error {
	c := data.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		key, value, err := decode(k, v)
		if err != nil {
			return err
		}
		if err := emitOne(journal.Change{Key: key, Value: value}, emit); err != nil {
			return &emitError{err}
		}
		if err := stopped(); err != nil {
			return err
		}
	}
	return nil
}

// emitOne lets a panic of emit pass through guarded.
func emitOne(c journal.Change, emit func(journal.Change) error) error {
	defer func() {
		if v := recover(); v != nil {
			panic(&emitPanic{v})
		}
	}()
	return emit(c)
}

// Append is that of journal.Journal. It does not look at ctx: a write to a disk
// cannot be called off.
func (j *owned) Append(_ context.Context, b journal.Batch) (journal.Position, error) {
	if j.closed {
		return journal.Position{}, j.wrap("append", errClosed)
	}
	if err := j.Limits().Check(b); err != nil {
		return journal.Position{}, j.wrap("append", err)
	}
	j.file.mu.Lock()
	defer j.file.mu.Unlock()
	next := j.head
	next.Index++
	err := j.file.commit(func(tx *bbolt.Tx) error {
		now, data, err := headOf(tx, j.bucket)
		if err != nil {
			return err
		}
		if data == nil || now != j.head {
			return corrupt("partition %.40q is not as this journal has left it", j.partition)
		}
		for _, c := range b.Changes {
			if err := apply(data, &next, c); err != nil {
				return err
			}
		}
		return tx.Bucket(headsBucket).Put(j.bucket, encodeHead(j.bucket, next))
	})
	if err != nil {
		return journal.Position{}, j.wrap("append", err)
	}
	j.head = next
	return next.Position, nil
}

// apply changes one key, and the head with it.
func apply(data *bbolt.Bucket, head *journal.Head, c journal.Change) error {
	stored := storedKey(c.Key)
	if old := data.Get(stored); old != nil {
		key, value, err := decode(stored, old)
		if err != nil {
			return err
		}
		head.Remove(key, value)
	}
	if c.Delete {
		return data.Delete(stored)
	}
	head.Put(c.Key, c.Value)
	return data.Put(stored, encodeValue(stored, c.Value))
}

// Compact is that of journal.Journal. It compacts the whole file, if a quarter
// of it or more is free.
func (j *owned) Compact(ctx context.Context, _ iter.Seq[journal.Change]) error {
	if j.closed {
		return j.wrap("compact", errClosed)
	}
	j.file.mu.Lock()
	defer j.file.mu.Unlock()
	if err := j.file.compact(ctx); err != nil {
		return j.wrap("compact", err)
	}
	return nil
}

// Limits is that of journal.Journal.
func (j *owned) Limits() journal.Limits {
	return journal.Limits{KeyBytes: maxKey, ValueBytes: maxValue, BatchBytes: maxBatch}
}

// Fenced is that of journal.Journal: nobody takes a lock away.
func (j *owned) Fenced() <-chan struct{} { return nil }

// Close is that of journal.Journal.
func (j *owned) Close(context.Context) error {
	if j.closed {
		return nil
	}
	j.closed = true
	if err := j.engine.release(j.partition); err != nil {
		return j.wrap("close", err)
	}
	return nil
}

func (j *owned) wrap(op string, err error) error { return &Error{op, j.engine.path, err} }
