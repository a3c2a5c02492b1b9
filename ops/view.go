package ops

import "github.com/loopstore/loopstore/store"

// LoadView takes a picture of all that a runtime holds.
type LoadView struct {
	answering[*store.View]

	RuntimeID store.RuntimeID

	view *store.View
}

// Kind names the operation.
func (LoadView) Kind() Kind { return KindLoadView }

// Runtime names the runtime it is on.
func (op LoadView) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare has nothing to do.
func (*LoadView) Prepare() error { return nil }

// Apply takes the picture, or finds that it was taken.
func (op *LoadView) Apply(state *store.State) error {
	op.view = state.View(op.RuntimeID)
	return nil
}

// Answer returns it. It is shared, since it never changes.
func (op *LoadView) Answer() *store.View { return op.view }
