package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// apply does the second step of an operation, or of a write of a batch, unless its runtime
// was deleted and has a tombstone.
func apply(s *state.State, op Step) error {
	if s.HasTombstones() {
		if err := checkDeleted(s, asked(op)); err != nil {
			return err
		}
	}
	return op.Apply(s)
}

// checkDeleted returns store.ErrDeleted if an operation would make a runtime again. What
// removes something finds nothing there.
func checkDeleted(s *state.State, op Step) error {
	switch op := op.(type) {
	case *Commit, *DeleteRuntime, *Prune, *deleteInputState, *reviveRuntime:
		return nil
	case *Fork:
		return s.CheckDeleted(op.To)
	}
	if o, ok := op.(Operation); ok && o.Kind().ReadOnly() {
		return nil
	}
	on, ok := op.(interface {
		Runtime() (store.RuntimeID, bool)
	})
	if !ok {
		return nil
	}
	id, one := on.Runtime()
	if !one {
		return nil
	}
	return s.CheckDeleted(id)
}
