package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// checkAside returns a *state.AsideError if an operation is on what was set aside.
func checkAside(s *state.State, op Step) error {
	if !s.HasAsides() {
		return nil
	}
	op = asked(op)
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

// checkBatch looks at the writes of a batch; Commit.Apply looks at its conditions.
func checkBatch(s *state.State, op *Commit) error {
	for i, w := range op.writes {
		if err := checkAside(s, w); err != nil {
			return writeError(i, w, err)
		}
	}
	return nil
}
