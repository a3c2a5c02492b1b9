package ops

import (
	"context"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// LoadSessionSnapshot loads the latest session snapshot.
type LoadSessionSnapshot struct {
	load[LoadSessionSnapshot, Found[[]byte]]

	RuntimeID store.RuntimeID

	found *store.Snapshot
}

// Runtime implements [Operation].
func (op LoadSessionSnapshot) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the snapshot up.
func (op *LoadSessionSnapshot) Apply(s *state.State) error {
	op.found = s.Snapshot(op.RuntimeID)
	return nil
}

// Answer copies the snapshot.
func (op *LoadSessionSnapshot) Answer() Found[[]byte] {
	if op.found == nil {
		return Found[[]byte]{}
	}
	return Found[[]byte]{op.found.Bytes(), true}
}

func (op *LoadSessionSnapshot) on(ctx context.Context, s store.RuntimeStore) (Found[[]byte], error) {
	return found(s.LoadSessionSnapshot(ctx, op.RuntimeID))
}

// LoadSession loads the latest snapshot that was filed under a session's id. It
// is shared, since it never changes.
type LoadSession struct {
	load[LoadSession, Found[store.Snapshot]]

	SessionID store.SessionID
}

// Runtime returns none: a session is any runtime's.
func (LoadSession) Runtime() (store.RuntimeID, bool) { return "", false }

// Apply looks the snapshot up.
func (op *LoadSession) Apply(s *state.State) error {
	if snapshot := s.Session(op.SessionID); snapshot != nil {
		op.answer = Found[store.Snapshot]{*snapshot, true}
	}
	return nil
}

// LoadView takes a picture of all that a runtime holds, or finds that it was
// taken. It is shared, since it never changes.
type LoadView struct {
	load[LoadView, *state.View]

	RuntimeID store.RuntimeID
}

// Runtime implements [Operation].
func (op LoadView) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply takes the picture.
func (op *LoadView) Apply(s *state.State) error {
	op.answer = s.View(op.RuntimeID)
	return nil
}

func (op *LoadView) on(ctx context.Context, s store.RuntimeStore) (*state.View, error) {
	if v, ok := s.(state.Viewer); ok {
		return v.View(ctx, op.RuntimeID)
	}
	return nil, unsupported(op)
}
