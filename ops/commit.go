package ops

import (
	"fmt"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// Commit applies a batch.
type Commit struct {
	answering[store.BatchResult]

	Batch store.Batch

	writes []write
	looked int // how many of the writes have been asked for their looks
	result store.BatchResult
}

// A write is an operation of this package, or what there is no operation for.
type write interface {
	Runtime() (store.RuntimeID, bool)
	Prepare() error
	Apply(*store.State) error
}

// writeOf returns what does a write, nil if w is not one of package store's.
func writeOf(w store.Write) write {
	switch w := w.(type) {
	case store.PutInputState:
		return &PersistInputState{RuntimeID: w.RuntimeID, State: w.State}
	case store.PutRuntimeState:
		return &PersistRuntimeState{RuntimeID: w.RuntimeID, State: w.State}
	case store.PutReceipt:
		return &AtomicApply{RuntimeID: w.RuntimeID, Commit: store.BoundaryApply{Receipt: w.Receipt}}
	case store.CommitBoundary:
		return &CommitSessionBoundary{RuntimeID: w.RuntimeID, Commit: w.Commit}
	case store.PutSnapshot:
		return &putSnapshot{id: w.RuntimeID, bytes: w.Snapshot}
	case store.DeleteInputState:
		return &deleteInputState{w}
	case store.DeleteRuntime:
		return &deleteRuntime{w}
	}
	return nil
}

// Kind names the operation.
func (Commit) Kind() Kind { return KindCommit }

// Runtime names none: a batch is on any number of them.
func (Commit) Runtime() (store.RuntimeID, bool) { return "", false }

// open finds out what the writes are.
func (op *Commit) open() {
	if op.writes == nil {
		op.writes = make([]write, len(op.Batch.Then))
		for i, w := range op.Batch.Then {
			op.writes[i] = writeOf(w)
		}
	}
}

// Look asks for the documents that boundary commits want.
func (op *Commit) Look() (LoadSessionDocument, bool) {
	op.open()
	for ; op.looked < len(op.writes); op.looked++ {
		if l, ok := op.writes[op.looked].(Looker); ok {
			if look, wants := l.Look(); wants {
				return look, true
			}
		}
	}
	return LoadSessionDocument{}, false
}

// Use hands a document to the write that wants it.
func (op *Commit) Use(d *session.Document) { op.writes[op.looked].(Looker).Use(d) }

// Prepare checks everything, and copies what is to be stored.
func (op *Commit) Prepare() error {
	op.open()
	for i, c := range op.Batch.If {
		if err := validCondition(c); err != nil {
			return store.InField("if["+strconv.Itoa(i)+"]", err)
		}
	}
	for i, w := range op.writes {
		if w == nil {
			return &store.WriteError{Index: i, Err: &store.ValueError{Reason: fmt.Sprintf("%T is not a write of package store", op.Batch.Then[i])}}
		}
		if err := w.Prepare(); err != nil {
			return writeError(i, w, err)
		}
	}
	return nil
}

// writeError says of which write an error is.
func writeError(i int, w write, err error) error {
	id, _ := w.Runtime()
	return &store.WriteError{Index: i, RuntimeID: id, Err: err}
}

// Apply checks the conditions, and does all writes or none.
func (op *Commit) Apply(state *store.State) error {
	for i, c := range op.Batch.If {
		if err := checkCondition(state, i, c); err != nil {
			return err
		}
	}
	err := state.Try(func() error {
		for i, w := range op.writes {
			if err := w.Apply(state); err != nil {
				return writeError(i, w, err)
			}
		}
		return nil
	})
	op.result.Revision = state.Pending()
	return err
}

// Answer copies the receipts that were minted.
func (op *Commit) Answer() store.BatchResult {
	for _, w := range op.writes {
		if c, ok := w.(*CommitSessionBoundary); ok {
			op.result.Receipts = append(op.result.Receipts, c.Answer())
		}
	}
	return op.result
}

type putSnapshot struct {
	id       store.RuntimeID
	bytes    []byte
	snapshot *store.Snapshot
}

func (op *putSnapshot) Runtime() (store.RuntimeID, bool) { return op.id, true }

func (op *putSnapshot) Prepare() error {
	if err := validRuntime(op.id); err != nil {
		return err
	}
	op.snapshot, _ = snapshotOf(op.bytes)
	return nil
}

func (op *putSnapshot) Apply(state *store.State) error {
	state.PutSnapshot(op.id, op.snapshot)
	return nil
}

type deleteInputState struct{ store.DeleteInputState }

func (op *deleteInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

func (op *deleteInputState) Prepare() error { return validRuntime(op.RuntimeID) }

func (op *deleteInputState) Apply(state *store.State) error {
	state.DeleteInputState(op.RuntimeID, op.InputID)
	return nil
}

type deleteRuntime struct{ store.DeleteRuntime }

func (op *deleteRuntime) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

func (op *deleteRuntime) Prepare() error { return validRuntime(op.RuntimeID) }

func (op *deleteRuntime) Apply(state *store.State) error {
	state.DeleteRuntime(op.RuntimeID)
	return nil
}
