package cluster

import (
	"bytes"
	"context"
	"sync"
)

// A Directory keeps one small document, in which the members of a cluster see
// each other. It is changed by compare-and-set. No safety depends on it: one
// that forgets, or gives an old answer, costs availability, and loads that may
// show an old state; it loses no write.
//
// It is called by one goroutine of each member at a time, with a context that
// ends a sixth of Options.Lease later; it should return soon after that.
type Directory interface {
	// Read returns the document, which the caller may keep, and its revision: 0,
	// with no document, if there is none yet.
	Read(ctx context.Context) (document []byte, revision uint64, err error)

	// Write puts a document in the place of the one of that revision, the first
	// one in the place of revision 0. It returns false if there is another
	// revision by now; nothing was written then. After an error nobody knows
	// whether it was written. It does not keep the slice. No revision is ever
	// used again.
	Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error)
}

// A memory is a Directory in memory.
type memory struct {
	mu       sync.Mutex
	document []byte
	revision uint64
}

// NewDirectory returns a directory in memory, for members of one process.
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
