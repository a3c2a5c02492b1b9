package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// Commit applies a batch.
type Commit struct {
	request[Commit, batch.Result]

	Batch batch.Batch

	conditions conditions
	writes     []write
	again      bool // Apply has asked for it
}

// A write is an operation of this package, or what there is no operation for.
type write interface {
	Runtime() (store.RuntimeID, bool)
	Weigh() Weight
	Prepare(Standing) error
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
		return &putSnapshot{session: delta{runtime: w.RuntimeID, given: store.SessionDelta{
			SessionSnapshot: w.Snapshot, Format: w.Format, Append: w.Append, Messages: w.Messages,
		}}}
	case batch.RestoreSession:
		return &restoreSession{bare{w.RuntimeID}, w.Number}
	case batch.DeleteInputState:
		return &deleteInputState{bare{w.RuntimeID}, w.InputID}
	case batch.PutLabels:
		return &putLabels{w}
	case batch.DeleteRuntime:
		return &DeleteRuntime{RuntimeID: w.RuntimeID}
	case batch.ReviveRuntime:
		return &reviveRuntime{bare{w.RuntimeID}}
	}
	return nil
}

// Runtime returns none: a batch is on any number of them.
func (Commit) Runtime() (store.RuntimeID, bool) { return "", false }

// open finds out what the writes are.
func (op *Commit) open() {
	if op.writes == nil {
		op.Batch = op.Batch.Plain()
		op.writes = make([]write, len(op.Batch.Then))
		for i, w := range op.Batch.Then {
			op.writes[i] = writeOf(w)
		}
	}
}

// Prepare checks everything, and copies what is to be stored.
func (op *Commit) Prepare(standing Standing) (err error) {
	op.open()
	ahead := &ahead{before: standing, again: op.again}
	if op.conditions, err = conditionsOf(op.Batch.If); err != nil {
		return err
	}
	for i, w := range op.writes {
		if w == nil {
			return &batch.WriteError{Index: i, Err: &store.ValueError{Reason: fmt.Sprintf("%T is not a write of package batch", op.Batch.Then[i])}}
		}
		if err := w.Prepare(ahead); err != nil {
			return writeError(i, w, err)
		}
		ahead.note(w)
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
	if err := op.conditions.hold(s); err != nil {
		return err
	}
	err := s.Try(func() error {
		for i, w := range op.writes {
			if err := apply(s, w); err != nil {
				return writeError(i, w, err)
			}
		}
		return nil
	})
	op.answer.Revision = s.Pending()
	op.again = errors.Is(err, ErrAgain)
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

type putSnapshot struct{ session delta }

func (op *putSnapshot) Runtime() (store.RuntimeID, bool) { return op.session.runtime, true }

func (op *putSnapshot) Prepare(standing Standing) error {
	if err := validRuntime(op.session.runtime); err != nil {
		return err
	}
	return op.session.prepare(standing, unsetEither)
}

func (op *putSnapshot) Apply(s *state.State) error {
	if err := op.session.apply(s); err != nil {
		return err
	}
	s.PutSnapshot(op.session.runtime, op.session.snapshot, nil)
	return nil
}

// A bare write brings nothing in, and is on a runtime.
type bare struct{ id store.RuntimeID }

func (op bare) Runtime() (store.RuntimeID, bool) { return op.id, true }

func (bare) Weigh() Weight { return Weight{} }

func (op bare) Prepare(Standing) error { return validRuntime(op.id) }

type restoreSession struct {
	bare
	number uint64
}

func (op *restoreSession) Apply(s *state.State) error {
	return s.RestoreSession(op.id, op.number)
}

type deleteInputState struct {
	bare
	input store.InputID
}

func (op *deleteInputState) Apply(s *state.State) error {
	s.DeleteInputState(op.id, op.input)
	return nil
}

type putLabels struct{ batch.PutLabels }

func (op *putLabels) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

func (op *putLabels) Weigh() (w Weight) {
	for key, value := range op.Labels {
		w.Bytes += int64(len(key) + len(value))
	}
	return w
}

func (op *putLabels) Prepare(Standing) error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	if err := store.ValidateLabels(op.Labels); err != nil {
		return err
	}
	var labels map[string]string
	for key, value := range op.Labels {
		if labels == nil {
			labels = make(map[string]string, len(op.Labels))
		}
		labels[strings.Clone(key)] = strings.Clone(value)
	}
	op.Labels = labels
	return nil
}

func (op *putLabels) Apply(s *state.State) error {
	s.PutLabels(op.RuntimeID, op.Labels)
	return nil
}

type reviveRuntime struct{ bare }

func (op *reviveRuntime) Apply(s *state.State) error {
	s.Revive(op.id)
	return nil
}
