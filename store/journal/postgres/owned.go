package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"

	"github.com/loopstore/loopstore/store/journal"
)

// owned is a journal.Journal.
type owned struct {
	engine    *Engine
	partition string
	id, owner [16]byte

	head journal.Head
	// digests are those of all records. With them an append need not read what
	// it replaces, which may be large, and is one round trip.
	digests map[keyID]journal.Digest
	ended   error // what all later calls fail with
}

// A keyID is the first half of the SHA-256 of a key. In place of the key it takes
// no more than 16 bytes, and nothing that the garbage collector must look at.
type keyID [16]byte

func keyIDOf(key []byte) keyID {
	sum := sha256.Sum256(key)
	return keyID(sum[:16])
}

var errClosed = errors.New("the journal is closed, nothing was stored")

// Append is that of journal.Journal.
func (j *owned) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if j.ended != nil {
		return journal.Position{}, j.wrap("append", j.ended)
	}
	if err := j.Limits().Check(b); err != nil {
		return journal.Position{}, j.wrap("append", err)
	}
	w := j.prepare(b)
	if err := j.store(ctx, w); err != nil {
		j.end(err)
		return journal.Position{}, j.wrap("append", err)
	}
	j.head = w.next
	return j.head.Position, nil
}

// Compact is that of journal.Journal. There is nothing to do: what was replaced
// is for the server's autovacuum, which need not be told.
func (j *owned) Compact(context.Context, iter.Seq[journal.Change]) error { return nil }

// Limits is that of journal.Journal.
func (j *owned) Limits() journal.Limits {
	return journal.Limits{KeyBytes: maxKey, ValueBytes: maxValue, BatchBytes: maxBatch}
}

// Fenced is that of journal.Journal: only Append looks.
func (j *owned) Fenced() <-chan struct{} { return nil }

// Close is that of journal.Journal. Nothing is held between the calls.
func (j *owned) Close(context.Context) error {
	j.end(errClosed)
	return nil
}

func (j *owned) end(err error) { j.ended, j.digests = err, nil }

func (j *owned) wrap(op string, err error) error {
	return &Error{op, j.engine.schema, j.partition, err}
}
