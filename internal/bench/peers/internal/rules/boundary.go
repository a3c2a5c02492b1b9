package rules

import (
	"fmt"
	"math"
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// Read reads the text of a snapshot as a session document. It goes on from where
// last ends, if last is not nil and the text begins like it.
func Read(text string, last *session.Document) (*session.Document, error) {
	if last == nil {
		last = new(session.Document)
	}
	document, err := last.Continue(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	return document, nil
}

// Next returns the sequence after the highest one that a run has, 0 if it has
// none.
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
func Mint(c *store.BoundaryCommit, document *session.Document, sequence uint64) store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{
		RunID: c.RunID, Boundary: c.Boundary, ContributingInputIDs: slices.Clone(c.ContributingInputIDs),
		ConversationDigest: new(document.HexDigest()), MessageCount: document.MessageCount(), Sequence: sequence,
	}
}

// Stamp marks states, which are not a caller's, with a boundary that their
// inputs took part in.
func Stamp(states []store.InputState, run store.RunID, sequence uint64) {
	for i := range states {
		states[i].LastRunID, states[i].LastBoundarySequence = &run, &sequence
	}
}
