package rules

import (
	"fmt"
	"math"
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// Read parses the text of a snapshot as a session document. If last is not nil and the text
// begins like it, Read continues where last ends. A text that is not a document is
// store.ErrInvalidSnapshot.
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
func Mint(c *store.BoundaryCommit, document *session.Document, sequence uint64) store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{
		RunID: c.RunID, Boundary: c.Boundary, ContributingInputIDs: slices.Clone(c.ContributingInputIDs),
		ConversationDigest: new(document.HexDigest()), MessageCount: document.MessageCount(), Sequence: sequence,
	}
}

// Stamp stamps states with the boundary whose commit stores them. The states must be the
// store's own.
func Stamp(states []store.InputState, run store.RunID, sequence uint64) {
	for i := range states {
		states[i].LastRunID, states[i].LastBoundarySequence = &run, &sequence
	}
}
