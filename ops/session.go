package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// LoadSessionSnapshot loads the latest session snapshot.
type LoadSessionSnapshot struct {
	answering[Found[[]byte]]

	RuntimeID store.RuntimeID

	found *store.Snapshot
}

// Kind names the operation.
func (LoadSessionSnapshot) Kind() Kind { return KindLoadSessionSnapshot }

// Runtime names the runtime it is on.
func (op LoadSessionSnapshot) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadSessionSnapshot) Prepare() error { return nil }

// Apply looks the snapshot up.
func (op *LoadSessionSnapshot) Apply(state *store.State) error {
	op.found = state.Snapshot(op.RuntimeID)
	return nil
}

// Answer copies the snapshot.
func (op *LoadSessionSnapshot) Answer() Found[[]byte] {
	if op.found == nil {
		return Found[[]byte]{}
	}
	return Found[[]byte]{op.found.Bytes(), true}
}

// LoadSessionDocument loads the session document that stands, as a boundary
// commit has read it. It is shared, since it never changes, and nil if the
// latest snapshot did not come with a boundary commit.
type LoadSessionDocument struct {
	answering[*session.Document]

	RuntimeID store.RuntimeID

	found *session.Document
}

// Kind names the operation.
func (LoadSessionDocument) Kind() Kind { return KindLoadSessionDocument }

// Runtime names the runtime it is on.
func (op LoadSessionDocument) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadSessionDocument) Prepare() error { return nil }

// Apply looks the document up.
func (op *LoadSessionDocument) Apply(state *store.State) error {
	if snapshot := state.Snapshot(op.RuntimeID); snapshot != nil {
		op.found = snapshot.Document()
	}
	return nil
}

// Answer returns the document.
func (op *LoadSessionDocument) Answer() *session.Document { return op.found }

// LoadSession loads the latest snapshot that was filed under a session's id.
type LoadSession struct {
	answering[Found[store.Snapshot]]

	SessionID store.SessionID

	found *store.Snapshot
}

// Kind names the operation.
func (LoadSession) Kind() Kind { return KindLoadSession }

// Runtime names none: a session is of any.
func (LoadSession) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare has nothing to do.
func (*LoadSession) Prepare() error { return nil }

// Apply looks the snapshot up.
func (op *LoadSession) Apply(state *store.State) error {
	op.found = state.Session(op.SessionID)
	return nil
}

// Answer returns the snapshot, which is shared, since it never changes.
func (op *LoadSession) Answer() Found[store.Snapshot] {
	if op.found == nil {
		return Found[store.Snapshot]{}
	}
	return Found[store.Snapshot]{*op.found, true}
}
