package ops

import (
	"math/rand/v2"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// LoadChanges loads the changes of all runtimes after a cursor, or with Skip none of them:
// then the answer's Next is the cursor of that moment.
type LoadChanges struct {
	request[LoadChanges, state.Changes]

	After state.ChangeCursor
	Skip  bool // After is not looked at

	life uint64
}

// Runtime returns none: it is about all of them.
func (LoadChanges) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare reads the cursor, and draws the number that names the store, if nothing does yet.
func (op *LoadChanges) Prepare(Standing) (err error) {
	op.life = rand.Uint64() | 1
	if !op.Skip {
		op.answer, err = state.ChangesAfter(op.After)
	}
	return err
}

// Apply takes them as they are.
func (op *LoadChanges) Apply(s *state.State) error {
	if op.Skip {
		op.answer = s.SkipChanges(op.life)
	}
	return s.LoadChanges(&op.answer, op.life)
}
