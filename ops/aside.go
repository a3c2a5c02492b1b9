package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// checkAside returns a *state.AsideError if an operation is on what was set aside.
func checkAside(s *state.State, op Step) error {
	if !s.HasAsides() {
		return nil
	}
	switch op := op.(type) {
	case *Commit:
		return checkBatch(s, op)
	case *LoadSession:
		return s.CheckSession(op.SessionID)
	case *LoadImage: // which is all that is held
		return &state.AsideError{Aside: s.Asides()[0]}
	case *Fork:
		if err := s.CheckRuntime(op.To); err != nil {
			return err
		}
	case *AtomicApply:
		if key := op.Commit.SessionStoreKey; key != nil {
			if err := s.CheckSession(*key); err != nil {
				return err
			}
		}
	}
	if on, ok := op.(interface {
		Runtime() (store.RuntimeID, bool)
	}); ok {
		if id, one := on.Runtime(); one {
			return s.CheckRuntime(id)
		}
	}
	return nil
}

func checkBatch(s *state.State, op *Commit) error {
	for _, c := range op.Batch.If {
		if err := s.CheckRuntime(runtimeOf(c)); err != nil {
			return err
		}
	}
	for i, w := range op.writes {
		if err := checkAside(s, w); err != nil {
			return writeError(i, w, err)
		}
	}
	return nil
}

// runtimeOf returns the runtime that a condition is about.
func runtimeOf(c batch.Condition) store.RuntimeID {
	switch c := c.(type) {
	case batch.VersionIs:
		return c.RuntimeID
	case batch.RuntimeExists:
		return c.RuntimeID
	case batch.RuntimeAbsent:
		return c.RuntimeID
	case batch.RuntimeStateIs:
		return c.RuntimeID
	case batch.InputStateIs:
		return c.RuntimeID
	case batch.InputAbsent:
		return c.RuntimeID
	case batch.SessionDigestIs:
		return c.RuntimeID
	case batch.ReceiptAbsent:
		return c.RuntimeID
	case batch.KeyFree:
		return c.RuntimeID
	}
	panic("ops: a condition that was not checked")
}
