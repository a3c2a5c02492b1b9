// Package journal is the seam between a loopstore.Loop and what keeps its state
// when the process has ended: a file, a database, a replicated log.
//
// The state is journaled by key: a batch of changes says what now stands under
// some keys, and which keys are gone. So a batch may be applied again without
// harm, a journal compacts by forgetting what was replaced, and to replay it is
// to look at what stands. What keys and values mean only the loop knows; a
// journal keeps bytes.
//
// An [Engine] opens partitions, each of which has one owner at a time. The owner
// appends one batch after another. What an error of [Journal.Append] says of the
// batch is the whole of the contract: see the errors. Package journaltest tries
// it on any engine.
package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A Change is what stands under a key from now on, or that nothing does. A key
// may be any bytes, none too.
type Change struct {
	Key, Value []byte
	Delete     bool // Value is nil; it is no error if there is no such key
}

// A Batch is changes that are stored together or not at all. They matter in
// their order only where they are of one key.
type Batch struct {
	ID      [16]byte // random; the same whenever this batch is tried again
	Changes []Change // never none
}

// Bytes returns the length of all keys and values.
func (b Batch) Bytes() (n int64) {
	for _, c := range b.Changes {
		n += int64(len(c.Key) + len(c.Value))
	}
	return n
}

// A Position says where a batch stands: Epoch is the ownership, which grows with
// every Open of the partition, and Index counts the batches of all ownerships.
type Position struct{ Epoch, Index uint64 }

// Limits are what a journal can take. 0 means no limit.
type Limits struct {
	KeyBytes   int   // of one key
	ValueBytes int   // of one value
	BatchBytes int64 // of all keys and values of a batch
}

// Check returns why a batch is beyond the limits, or has no changes. That is
// ErrRejected.
func (l Limits) Check(b Batch) error {
	over := func(n, limit int64) bool { return limit > 0 && n > limit }
	if len(b.Changes) == 0 {
		return fmt.Errorf("%w: it has no changes", ErrRejected)
	}
	if n := b.Bytes(); over(n, l.BatchBytes) {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrRejected, n, l.BatchBytes)
	}
	for i, c := range b.Changes {
		if n := len(c.Key); over(int64(n), int64(l.KeyBytes)) {
			return fmt.Errorf("%w: change %d has a key of %d bytes, the limit is %d", ErrRejected, i, n, l.KeyBytes)
		}
		if n := len(c.Value); over(int64(n), int64(l.ValueBytes)) {
			return fmt.Errorf("%w: change %d has a value of %d bytes, the limit is %d", ErrRejected, i, n, l.ValueBytes)
		}
	}
	return nil
}

// An Engine opens partitions. It may be used by any number of goroutines.
type Engine interface {
	// Open takes the partition over, a new one if there is none: it fences every
	// earlier owner, so that nothing which that appends from now on is stored,
	// and then calls emit with every key that stands, once, in ascending order of
	// the bytes. emit must not keep the slices, which may be memory that goes
	// away, nor change them. An error of emit ends Open, which returns it. After
	// any error nothing is held open. A name may be any text; one that an engine
	// cannot take is an error.
	Open(ctx context.Context, partition string, emit func(Change) error) (Journal, error)
}

// A Journal is one ownership of a partition. Append, Compact and Close are for
// one goroutine, the others for any.
type Journal interface {
	// Append stores a batch, all or nothing, and returns when it is durable. It
	// does not keep the slices. A repeated ID may have the position that it had.
	// ctx may bound the call, and one that ends in the middle of it may be
	// ErrAmbiguous; an engine has deadlines of its own besides. After any error
	// but ErrRejected the journal is of no use any more: every later call but
	// Close fails too, and stores nothing.
	Append(ctx context.Context, b Batch) (Position, error)

	// Compact gives back the room of what was replaced. live is all that
	// stands, in ascending order of the keys; an engine that knows that itself
	// need not look. It changes nothing that stands. An engine that has nothing
	// to give back returns nil. After an error the journal goes on, unless the
	// next Append says otherwise.
	Compact(ctx context.Context, live iter.Seq[Change]) error

	// Limits returns what the journal can take. A batch beyond them is
	// ErrRejected.
	Limits() Limits

	// Fenced returns a channel that is closed when the engine notices that
	// another owner has taken over. It is a hint, which may come late or never:
	// Append is the authority. An engine that cannot notice returns nil.
	Fenced() <-chan struct{}

	// Close gives the partition up, and lets another owner have it. It may be
	// called more than once.
	Close(ctx context.Context) error
}

// What the calls of an engine and a journal fail with. An error of Append that
// is none of these counts as ErrAmbiguous.
var (
	// ErrRejected means that the batch was surely not stored, because of what it
	// is: too large, for example. The journal goes on.
	ErrRejected = errors.New("journal: batch rejected, it was not stored")

	// ErrFenced means that the batch was surely not stored, because another owner
	// has taken the partition over.
	ErrFenced = errors.New("journal: fenced by another owner, nothing was stored")

	// ErrAmbiguous means that nobody knows whether the batch was stored. The next
	// Open will tell.
	ErrAmbiguous = errors.New("journal: it is not known whether the batch was stored")

	// ErrCorrupt means that the journal is not as it was written. It is not
	// opened.
	ErrCorrupt = errors.New("journal: corrupt")

	// ErrInUse means that another process, or another Journal of this one, has
	// the partition, and that this engine does not take it away.
	ErrInUse = errors.New("journal: in use")

	// ErrNewerFormat means that a newer version has written the journal, in a
	// format that this one does not know. It is not opened.
	ErrNewerFormat = errors.New("journal: written in a newer format")
)
