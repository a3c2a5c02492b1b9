package cluster

import (
	"bytes"
	"context"
	"sync"
)

// MaxDocument is how large a document every directory must take, in bytes: that of
// 4,096 partitions and some 2,000 members. A member whose joining would make it larger
// than two thirds of that is refused, see ErrDocument.
const MaxDocument = 768 << 10

// A Directory keeps one small document, in which the members of a cluster see
// each other. It is changed by compare-and-set. Safety does not depend on it: a
// directory that forgets a write, or lets two writers replace one revision, lets loads
// show an old state, but loses no write of the store. One that gives old answers to
// Read costs availability alone.
//
// Each member calls it with contexts that end after a sixth of Options.Lease at most,
// and it should return soon after that. While a call does not answer, a member may
// call Read besides: so it is called by up to three goroutines at once. A call that hangs
// must not hold up the others for ever. Package clustertest tests all of this.
type Directory interface {
	// Read returns the document, which the caller may keep, and its revision. They are
	// nil and 0 as long as there is no document. When a Write has returned, Read gives
	// its document or a later one.
	Read(ctx context.Context) (document []byte, revision uint64, err error)

	// Write replaces the document of that revision, 0 for the first one. It
	// returns false, and has written nothing, if the revision is another one by
	// now. After an error the document may have been written or not, but whole; it was
	// not if ctx had ended before the call. A document that is too large is an error.
	// Write does not keep the slice. No revision is ever used twice, for equal
	// documents neither.
	Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error)
}

type memory struct {
	mu       sync.Mutex
	document []byte
	revision uint64
}

// NewDirectory returns a directory in memory, for members in one process.
func NewDirectory() Directory { return new(memory) }

func (m *memory) Read(ctx context.Context) ([]byte, uint64, error) {
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.document), m.revision, nil
}

func (m *memory) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if revision != m.revision {
		return false, nil
	}
	m.document = bytes.Clone(document)
	m.revision++
	return true, nil
}
