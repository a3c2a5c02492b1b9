package ops

import (
	"errors"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// ErrNothingReady is what ClaimNext's Apply returns when there is nothing to claim. A Loop
// waits for something.
var ErrNothingReady = errors.New("no input is ready to be claimed")

// ClaimNext claims an input.
type ClaimNext struct {
	request[ClaimNext, state.Claimed]

	Claim store.Claim

	found *store.InputState
}

// Runtime returns none: it is on whichever has its turn.
func (ClaimNext) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare checks what is asked for, and copies it.
func (op *ClaimNext) Prepare(Standing) error {
	if err := store.InField("claim", op.Claim.Validate()); err != nil {
		return err
	}
	op.Claim = op.Claim.Detach()
	return nil
}

// Lines returns the lines of a state that the claim is for: see [state.State.LinesOf].
func (op *ClaimNext) Lines(s *state.State) (state.Lines, error) { return s.LinesOf(op.Claim) }

// Apply moves the input.
func (op *ClaimNext) Apply(s *state.State) error {
	lines, err := op.Lines(s)
	if err != nil {
		return err
	}
	id, input := s.Next(lines)
	if input == nil {
		return ErrNothingReady
	}
	at := op.Claim.At
	if at.IsZero() {
		at = s.Now
	}
	moved := *input
	if err := moved.Move(op.Claim.To, at, ""); err != nil {
		return err
	}
	s.PutInputState(id, &moved)
	op.found, op.answer.RuntimeID, op.answer.Version = &moved, id, s.Pending()
	return nil
}

// Answer copies the input.
func (op *ClaimNext) Answer() state.Claimed {
	op.answer.State = op.found.Clone()
	return op.answer
}
