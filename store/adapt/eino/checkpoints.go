package eino

import (
	"context"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A Store is what checkpoints need of one. A *loopstore.Loop has it.
type Store interface {
	batch.Committer
	LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) (snapshot []byte, ok bool, err error)
}

// DefaultPrefix is that of the runtimes that hold checkpoints.
const DefaultPrefix = "eino/checkpoint/"

// CheckPoints is a compose.CheckPointStore: it keeps each checkpoint as a runtime. Any
// number of goroutines may use it.
//
// The runtime's id is the prefix and the checkpoint's id. No other runtime may have an id that
// begins with the prefix. An id may be empty, and of any length. One that is not UTF-8 is
// refused by Set and Delete with store.ErrInvalidValue, and Get finds nothing.
//
// Errors are those of the store. One that is neither store.ErrOutcomeUnknown nor a
// *store.PanicError has changed nothing.
type CheckPoints struct {
	Store  Store
	Prefix string // of the runtimes; empty means DefaultPrefix
}

func (c CheckPoints) runtime(id string) store.RuntimeID {
	if c.Prefix == "" {
		return store.RuntimeID(DefaultPrefix + id)
	}
	return store.RuntimeID(c.Prefix + id)
}

// Get returns a copy of the checkpoint that was set last, if there is one.
func (c CheckPoints) Get(ctx context.Context, id string) (checkPoint []byte, ok bool, err error) {
	return c.Store.LoadSessionSnapshot(ctx, c.runtime(id))
}

// Set stores a copy of a checkpoint in the place of the one that stands, also after Delete
// where the store keeps tombstones. Its size is bounded by the store alone: the error is
// store.ErrLimit, a *store.LimitError, if that has a limit.
func (c CheckPoints) Set(ctx context.Context, id string, checkPoint []byte) error {
	at := c.runtime(id)
	_, err := c.Store.Commit(ctx, batch.Batch{Then: []batch.Write{
		batch.ReviveRuntime{RuntimeID: at},
		batch.PutSnapshot{RuntimeID: at, Snapshot: checkPoint, Format: store.FormatOpaque},
	}})
	return err
}

// Delete removes a checkpoint, and the earlier ones that the store keeps. It does nothing if
// there is none.
func (c CheckPoints) Delete(ctx context.Context, id string) error {
	_, err := c.Store.Commit(ctx, batch.Batch{Then: []batch.Write{batch.DeleteRuntime{RuntimeID: c.runtime(id)}}})
	return err
}
