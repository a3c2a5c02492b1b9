package pages

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Positions say where each partition stands.
type Positions map[string]journal.Position

// Add notes an entry, and checks that it follows what was there.
func (p Positions) Add(e wal.Entry) error {
	is, want := e.Position, p[e.Partition]
	if len(e.Changes) == 0 {
		want.Epoch++
	} else {
		want.Index++
	}
	if is != want {
		return wal.Corrupt("partition %.40q goes on with epoch %d and index %d, and should with %d and %d",
			e.Partition, is.Epoch, is.Index, want.Epoch, want.Index)
	}
	p[e.Partition] = is
	return nil
}

// Positions returns where the partitions of the file stand.
func (f *File) Positions() (Positions, error) {
	p := Positions{}
	return p, f.view(func(tx *bbolt.Tx) error {
		return eachHead(tx.Bucket(headsBucket), func(bucket, r []byte) error {
			h, err := decodeHead(bucket, r)
			p[string(bucket[1:])] = h.Position
			return err
		})
	})
}

// Pending is what a log holds that the file does not hold yet. Of each key it has the
// last change.
type Pending struct {
	Positions
	changes map[string]map[string]journal.Change // by partition and key
}

// Pending returns nothing, to which a log's entries are added.
func (f *File) Pending() (*Pending, error) {
	at, err := f.Positions()
	return &Pending{at, map[string]map[string]journal.Change{}}, err
}

// Add adds an entry, which it keeps.
func (p *Pending) Add(e wal.Entry) error {
	if err := p.Positions.Add(e); err != nil {
		return err
	}
	of := p.changes[e.Partition]
	if of == nil {
		of = map[string]journal.Change{}
		p.changes[e.Partition] = of
	}
	for _, c := range e.Changes {
		of[string(c.Key)] = c
	}
	return nil
}

// Apply brings what is pending into the file, in one transaction, which is durable when
// it returns nil. log is where the log has got to with that.
func (f *File) Apply(log wal.Mark, p *Pending) error {
	if err := f.commit(log, func(tx *bbolt.Tx) error {
		for name, changes := range p.changes {
			bucket := bucketOf(name)
			head, records, err := headOf(tx, bucket)
			if err == nil && records == nil {
				records, err = tx.CreateBucket(bucket)
			}
			if err != nil {
				return err
			}
			for _, key := range slices.Sorted(maps.Keys(changes)) {
				if err := apply(records, &head, changes[key]); err != nil {
					return err
				}
			}
			head.Position = p.Positions[name]
			if err := f.putHead(tx, bucket, head); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	f.failed = f.InPlace()
	return f.failed
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

// Check checks all records of a partition. One that is not there is no error.
func (f *File) Check(ctx context.Context, partition string) error {
	return f.view(func(tx *bbolt.Tx) error {
		_, _, err := checkPartition(ctx, tx, bucketOf(partition))
		return err
	})
}

// CheckAll checks all records, and that the file holds nothing else.
func (f *File) CheckAll(ctx context.Context) error {
	return f.view(func(tx *bbolt.Tx) error { return checkAll(ctx, tx) })
}

// Emit emits what stands in a partition with what is pending, in ascending order of the
// keys, and returns its head. The partition must be in p.
func (f *File) Emit(ctx context.Context, partition string, p *Pending, emit func(journal.Change) error) (head journal.Head, err error) {
	emit = passing(emit)
	changes := p.changes[partition]
	keys := slices.Sorted(maps.Keys(changes))
	change := func() error { // emits the first of keys
		c := changes[keys[0]]
		keys = keys[1:]
		if c.Delete {
			return nil
		}
		head.Put(c.Key, c.Value)
		return emit(c)
	}
	err = f.view(func(tx *bbolt.Tx) error {
		var records *bbolt.Bucket
		if head, records, err = headOf(tx, bucketOf(partition)); err != nil {
			return err
		}
		if records != nil {
			if err := visit(ctx, records, func(key, value []byte) error {
				for len(keys) > 0 && bytes.Compare([]byte(keys[0]), key) < 0 {
					if err := change(); err != nil {
						return err
					}
				}
				if len(keys) > 0 && keys[0] == string(key) {
					head.Remove(key, value)
					return change()
				}
				return emit(journal.Change{Key: key, Value: value})
			}); err != nil {
				return err
			}
		}
		for len(keys) > 0 {
			if err := change(); err != nil {
				return err
			}
		}
		head.Position = p.Positions[partition]
		return nil
	})
	return head, err
}

// An EmitError is an error that emit returned, an emitPanic what it panicked with.
type (
	EmitError struct{ error }
	emitPanic struct{ value any }
)

// Emitted marks an error of emit, nil for nil.
func Emitted(err error) error {
	if err != nil {
		return EmitError{err}
	}
	return nil
}

// Unwrap returns the error of emit.
func (e EmitError) Unwrap() error { return e.error }

// passing marks what comes out of emit, so that it passes through guarded as it is.
func passing(emit func(journal.Change) error) func(journal.Change) error {
	return func(c journal.Change) error {
		defer func() {
			if v := recover(); v != nil {
				panic(&emitPanic{v})
			}
		}()
		return Emitted(emit(c))
	}
}
