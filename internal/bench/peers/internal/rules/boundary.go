package rules

import (
	"math"
	"slices"

	"github.com/loopstore/loopstore/store"
)

// Next returns the sequence after the highest one of a run, or 0 if the run has none. After
// the last possible one it returns store.ErrSequenceExhausted.
func Next(run store.RunID, highest uint64, found bool) (uint64, error) {
	switch {
	case !found:
		return 0, nil
	case highest == math.MaxUint64:
		return 0, &store.SequenceError{RunID: run}
	}
	return highest + 1, nil
}

// Mint returns the receipt of a boundary commit, which shares nothing with it.
func Mint(c *store.BoundaryCommit, session *Session, sequence uint64) store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{
		RunID: c.RunID, Boundary: c.Boundary, ContributingInputIDs: slices.Clone(c.ContributingInputIDs),
		ConversationDigest: new(session.Digest), MessageCount: session.Messages, Sequence: sequence,
	}
}

// Stamp stamps states with the boundary whose commit stores them. The states must be the
// store's own.
func Stamp(states []store.InputState, run store.RunID, sequence uint64) {
	for i := range states {
		states[i].LastRunID, states[i].LastBoundarySequence = &run, &sequence
	}
}
