package ops

import "github.com/loopstore/loopstore/store"

// DeleteRuntime removes all of a runtime.
type DeleteRuntime struct {
	answering[store.Removed]

	RuntimeID store.RuntimeID

	removed store.Removed
}

// Kind names the operation.
func (DeleteRuntime) Kind() Kind { return KindDeleteRuntime }

// Runtime names the runtime it is on.
func (op DeleteRuntime) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare refuses an id that no runtime can have.
func (op *DeleteRuntime) Prepare() error { return validRuntime(op.RuntimeID) }

// Apply removes it.
func (op *DeleteRuntime) Apply(state *store.State) error {
	op.removed = state.DeleteRuntime(op.RuntimeID)
	return nil
}

// Answer says what has gone.
func (op *DeleteRuntime) Answer() store.Removed { return op.removed }

// Prune removes what a retention lets go of a runtime.
type Prune struct {
	answering[store.Removed]

	RuntimeID store.RuntimeID
	Keep      store.Retention
	Now       store.Time // for a retention by age

	removed store.Removed
}

// Kind names the operation.
func (Prune) Kind() Kind { return KindPrune }

// Runtime names the runtime it is on.
func (op Prune) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks the retention.
func (op *Prune) Prepare() error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	return store.InField("keep", op.Keep.Validate())
}

// Apply removes it.
func (op *Prune) Apply(state *store.State) error {
	op.removed = state.Prune(op.RuntimeID, op.Keep, op.Now)
	return nil
}

// Answer says what has gone.
func (op *Prune) Answer() store.Removed { return op.removed }

// ListRuntimes lists a part of the runtimes, in the order in which they were
// made.
type ListRuntimes struct {
	answering[store.Page[store.RuntimeSummary]]

	Paging store.Paging

	page store.Page[store.RuntimeSummary]
}

// Kind names the operation.
func (ListRuntimes) Kind() Kind { return KindListRuntimes }

// Runtime names none: it is about all of them.
func (ListRuntimes) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare has nothing to do.
func (*ListRuntimes) Prepare() error { return nil }

// Apply collects the summaries.
func (op *ListRuntimes) Apply(state *store.State) error {
	op.page = state.Runtimes(op.Paging)
	return nil
}

// Answer returns them.
func (op *ListRuntimes) Answer() store.Page[store.RuntimeSummary] { return op.page }

// LoadImage takes a picture of all that is held.
type LoadImage struct {
	answering[*store.Image]

	image *store.Image
}

// Kind names the operation.
func (LoadImage) Kind() Kind { return KindLoadImage }

// Runtime names none: it is about all of them.
func (LoadImage) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare has nothing to do.
func (*LoadImage) Prepare() error { return nil }

// Apply takes the picture.
func (op *LoadImage) Apply(state *store.State) error {
	op.image = state.Image()
	return nil
}

// Answer returns it. It is shared, since it never changes.
func (op *LoadImage) Answer() *store.Image { return op.image }
