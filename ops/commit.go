package ops

import (
	"context"
	"fmt"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// Commit applies a batch.
type Commit struct {
	request[Commit, batch.Result]

	Batch batch.Batch

	writes []write
}

// A write is an operation of this package, or what there is no operation for.
type write interface {
	Runtime() (store.RuntimeID, bool)
	Weigh() Weight
	Prepare(Documents) error
	Step
}

// writeOf returns what does a write, nil if w is not one of package batch's.
func writeOf(w batch.Write) write {
	switch w := w.(type) {
	case batch.PutInputState:
		return &PersistInputState{RuntimeID: w.RuntimeID, State: w.State}
	case batch.PutRuntimeState:
		return &PersistRuntimeState{RuntimeID: w.RuntimeID, State: w.State}
	case batch.PutReceipt:
		return &AtomicApply{RuntimeID: w.RuntimeID, Commit: store.BoundaryApply{Receipt: w.Receipt}}
	case batch.CommitBoundary:
		return &CommitSessionBoundary{RuntimeID: w.RuntimeID, Commit: w.Commit}
	case batch.PutSnapshot:
		return &putSnapshot{id: w.RuntimeID, bytes: w.Snapshot}
	case batch.DeleteInputState:
		return &deleteInputState{w}
	case batch.DeleteRuntime:
		return &DeleteRuntime{RuntimeID: w.RuntimeID}
	}
	return nil
}

// Runtime returns none: a batch is on any number of them.
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

// Prepare checks everything, and copies what is to be stored.
func (op *Commit) Prepare(standing Documents) error {
	op.open()
	for i, c := range op.Batch.If {
		if err := validCondition(c); err != nil {
			return store.InField("if["+strconv.Itoa(i)+"]", err)
		}
	}
	for i, w := range op.writes {
		if w == nil {
			return &batch.WriteError{Index: i, Err: &store.ValueError{Reason: fmt.Sprintf("%T is not a write of package batch", op.Batch.Then[i])}}
		}
		if err := w.Prepare(standing); err != nil {
			return writeError(i, w, err)
		}
	}
	return nil
}

// writeError says of which write an error is.
func writeError(i int, w write, err error) error {
	id, _ := w.Runtime()
	return &batch.WriteError{Index: i, RuntimeID: id, Err: err}
}

// Apply checks the conditions, and does all writes or none.
func (op *Commit) Apply(s *state.State) error {
	for i, c := range op.Batch.If {
		if err := checkCondition(s, i, c); err != nil {
			return err
		}
	}
	err := s.Try(func() error {
		for i, w := range op.writes {
			if err := w.Apply(s); err != nil {
				return writeError(i, w, err)
			}
		}
		return nil
	})
	op.answer.Revision = s.Pending()
	return err
}

// Answer copies the receipts that were minted.
func (op *Commit) Answer() batch.Result {
	for _, w := range op.writes {
		if c, ok := w.(*CommitSessionBoundary); ok {
			op.answer.Receipts = append(op.answer.Receipts, c.Answer())
		}
	}
	return op.answer
}

func (op *Commit) on(ctx context.Context, s store.RuntimeStore) (batch.Result, error) {
	if c, ok := s.(batch.Committer); ok {
		return c.Commit(ctx, op.Batch)
	}
	return batch.Result{}, unsupported(op)
}

type putSnapshot struct {
	id       store.RuntimeID
	bytes    []byte
	snapshot *store.Snapshot
}

func (op *putSnapshot) Runtime() (store.RuntimeID, bool) { return op.id, true }

func (op *putSnapshot) Prepare(Documents) error {
	if err := validRuntime(op.id); err != nil {
		return err
	}
	op.snapshot, _ = snapshotOf(op.bytes)
	return nil
}

func (op *putSnapshot) Apply(s *state.State) error {
	s.PutSnapshot(op.id, op.snapshot)
	return nil
}

type deleteInputState struct{ batch.DeleteInputState }

func (op *deleteInputState) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

func (op *deleteInputState) Weigh() Weight { return Weight{} }

func (op *deleteInputState) Prepare(Documents) error { return validRuntime(op.RuntimeID) }

func (op *deleteInputState) Apply(s *state.State) error {
	s.DeleteInputState(op.RuntimeID, op.InputID)
	return nil
}
