package ops

import (
	"context"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
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

// LoadSessionAt loads one version of a runtime's session. It is shared, since it never
// changes.
type LoadSessionAt struct {
	load[LoadSessionAt, Found[store.Snapshot]]

	RuntimeID store.RuntimeID
	Number    uint64
}

// Runtime implements [Operation].
func (op LoadSessionAt) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Apply looks the version up.
func (op *LoadSessionAt) Apply(s *state.State) error {
	if snapshot := s.SessionAt(op.RuntimeID, op.Number); snapshot != nil {
		op.answer = Found[store.Snapshot]{*snapshot, true}
	}
	return nil
}

func (op *LoadSessionAt) on(ctx context.Context, s store.RuntimeStore) (Found[store.Snapshot], error) {
	if h, ok := s.(state.Historian); ok {
		return found(h.LoadSessionAt(ctx, op.RuntimeID, op.Number))
	}
	return Found[store.Snapshot]{}, unsupported(op)
}

// Fork makes a runtime whose session is a version of another's.
type Fork struct {
	request[Fork, None]

	RuntimeID store.RuntimeID // from which
	Number    uint64
	To        store.RuntimeID
}

// Runtime implements [Operation].
func (op Fork) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks the ids.
func (op *Fork) Prepare(Standing) error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	return store.InField("to", op.To.Validate())
}

// Apply makes it, if it is not there.
func (op *Fork) Apply(s *state.State) error {
	if version := s.Version(op.To); version != 0 {
		return &batch.ConflictError{Index: -1, RuntimeID: op.To, Want: "no runtime", Stands: nameVersion(version), Version: version}
	}
	return s.Fork(op.RuntimeID, op.Number, op.To)
}

func (op *Fork) on(ctx context.Context, s store.RuntimeStore) (None, error) {
	if h, ok := s.(state.Historian); ok {
		return None{}, h.Fork(ctx, op.RuntimeID, op.Number, op.To)
	}
	return None{}, unsupported(op)
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
