// Package journal is the seam between a loopstore.Loop and whatever keeps its
// state after the process has ended: a file, a database, a replicated log.
//
// State is journaled by key. A batch of changes says what stands under some keys
// from now on, and which keys are gone. So applying a batch twice does no harm,
// compacting drops what was replaced, and a replay reads what stands. Only the
// loop knows what keys and values mean; a journal stores bytes.
//
// An [Engine] opens partitions. A partition has one holder at a time: the process
// whose [Journal] came from the latest Open. It appends one batch after another,
// and the error of [Journal.Append] says whether a batch was stored: see the
// errors below. Package journaltest tests any engine against this contract.
package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A Change says what stands under a key from now on, or that nothing does. A key
// is any bytes, and may be empty.
type Change struct {
	Key, Value []byte
	Delete     bool // Value is nil; deleting a key that does not stand is no error
}

// A Batch is changes that are stored together or not at all. Their order matters
// only between changes of the same key: the last one wins.
type Batch struct {
	ID      [16]byte // random; the same each time the batch is tried
	Changes []Change // at least one
}

// Bytes returns the length of all keys and values.
func (b Batch) Bytes() (n int64) {
	for _, c := range b.Changes {
		n += int64(len(c.Key) + len(c.Value))
	}
	return n
}

// A Position says where a batch stands. Epoch grows with every Open of the
// partition. Index counts the batches of the partition, over all epochs.
type Position struct{ Epoch, Index uint64 }

// Limits are the largest sizes that a journal stores. 0 means no limit.
type Limits struct {
	KeyBytes   int   // of one key
	ValueBytes int   // of one value
	BatchBytes int64 // of all keys and values of a batch
}

// Check returns nil, or ErrRejected with the reason: the batch exceeds a limit,
// or has no changes.
func (l Limits) Check(b Batch) error {
	over := func(n, limit int64) bool { return limit > 0 && n > limit }
	if len(b.Changes) == 0 {
		return fmt.Errorf("%w: it has no changes", ErrRejected)
	}
	if n := b.Bytes(); over(n, l.BatchBytes) {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrRejected, n, l.BatchBytes)
	}
	for i, c := range b.Changes {
		if n := len(c.Key); over(int64(n), int64(l.KeyBytes)) {
			return fmt.Errorf("%w: the key of change %d has %d bytes, the limit is %d", ErrRejected, i, n, l.KeyBytes)
		}
		if n := len(c.Value); over(int64(n), int64(l.ValueBytes)) {
			return fmt.Errorf("%w: the value of change %d has %d bytes, the limit is %d", ErrRejected, i, n, l.ValueBytes)
		}
	}
	return nil
}

// An Engine opens partitions. It is safe for concurrent use.
type Engine interface {
	// Open takes the partition over; if there is none, it creates it. It first
	// fences every earlier holder, so that nothing they append from then on is
	// stored. Then it calls emit once for each key that stands, in ascending order
	// of the bytes. emit must neither keep nor change the slices: they may be
	// memory that is about to go away. An error of emit ends Open, which returns
	// it. After any error nothing is held open. A partition's name is any text;
	// Open fails for a name that the engine cannot take.
	Open(ctx context.Context, partition string, emit func(Change) error) (Journal, error)
}

// A Journal is an open partition. Only one goroutine may call Append, Compact and
// Close; the other methods are safe for concurrent use.
type Journal interface {
	// Append stores a batch, all or nothing, and returns once it is durable. It
	// does not keep the slices. A batch whose ID was stored before may get its
	// earlier position. If ctx ends in the middle of the call, the error may be
	// ErrAmbiguous; an engine also has deadlines of its own. After any error but
	// ErrRejected the journal is finished: every later call but Close fails, and
	// stores nothing.
	Append(ctx context.Context, b Batch) (Position, error)

	// Compact frees the room that replaced values take. live is all that stands,
	// in ascending order of the keys; an engine that keeps this itself need not
	// read it. Compact changes nothing that stands, and returns nil when there is
	// nothing to free. After an error the journal goes on, unless the next Append
	// fails.
	Compact(ctx context.Context, live iter.Seq[Change]) error

	// Limits returns the largest sizes that the journal stores. A larger batch
	// is ErrRejected.
	Limits() Limits

	// Fenced returns a channel that is closed when the engine notices a later
	// holder. It is a hint, which may come late or never: Append decides. An
	// engine that cannot notice returns nil.
	Fenced() <-chan struct{}

	// Close gives the partition up, so that another process can open it. It may
	// be called more than once.
	Close(ctx context.Context) error
}

// A Beside is a Journal that compacts beside its holder's other calls. Its Compact needs
// nothing of the holder, and is CompactBeside.
type Beside interface {
	Journal

	// CompactBeside does what Compact does. It may be called by any goroutine,
	// beside Append and Close. When the journal is closed it returns ErrClosed.
	CompactBeside(ctx context.Context) error
}

// The errors of engines and journals. Any other error of Append counts as
// ErrAmbiguous.
var (
	// ErrRejected means that the batch was not stored, because the journal cannot
	// take it: it is too large, for example. The journal goes on.
	ErrRejected = errors.New("journal: batch rejected, it was not stored")

	// ErrFenced means that the batch was not stored, because another process
	// holds the partition now.
	ErrFenced = errors.New("journal: fenced by another holder, nothing was stored")

	// ErrAmbiguous means that whether the batch was stored is unknown. The next
	// Open tells.
	ErrAmbiguous = errors.New("journal: whether the batch was stored is unknown")

	// ErrCorrupt means that the journal is not what was written. It is not opened.
	ErrCorrupt = errors.New("journal: corrupt")

	// ErrInUse means that another process, or another Journal of this process,
	// holds the partition, and that this engine does not take it away.
	ErrInUse = errors.New("journal: in use")

	// ErrClosed means that the journal was closed. The call has done nothing.
	ErrClosed = errors.New("journal: closed")

	// ErrNewerFormat means that a newer version of loopstore wrote the journal,
	// in a format that this version does not know. It is not opened.
	ErrNewerFormat = errors.New("journal: written in a newer format")
)
