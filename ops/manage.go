package ops

import (
	"io"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// DeleteRuntime removes all of a runtime, and says what has gone.
type DeleteRuntime struct {
	request[DeleteRuntime, store.Removed]

	RuntimeID store.RuntimeID
}

// Runtime implements [Operation].
func (op DeleteRuntime) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare refuses an id that no runtime can have.
func (op *DeleteRuntime) Prepare(Standing) error { return validRuntime(op.RuntimeID) }

// Apply removes it.
func (op *DeleteRuntime) Apply(s *state.State) error {
	op.answer = s.DeleteRuntime(op.RuntimeID)
	return nil
}

// Prune removes what a retention lets go of a runtime, and says what has gone.
type Prune struct {
	request[Prune, store.Removed]

	RuntimeID store.RuntimeID
	Keep      store.Retention
	Now       store.Time // for a retention by age
}

// Runtime implements [Operation].
func (op Prune) Runtime() (store.RuntimeID, bool) { return op.RuntimeID, true }

// Prepare checks the retention.
func (op *Prune) Prepare(Standing) error {
	if err := validRuntime(op.RuntimeID); err != nil {
		return err
	}
	return store.InField("keep", op.Keep.Validate())
}

// Apply removes it.
func (op *Prune) Apply(s *state.State) error {
	op.answer = s.Prune(op.RuntimeID, op.Keep, op.Now)
	return nil
}

// ListRuntimes lists a part of the runtimes, in the order in which they were
// made.
type ListRuntimes struct {
	load[ListRuntimes, state.Page[state.RuntimeSummary]]

	Paging state.Paging
}

// Runtime returns none: it is about all of them.
func (ListRuntimes) Runtime() (store.RuntimeID, bool) { return "", false }

// Apply collects the summaries.
func (op *ListRuntimes) Apply(s *state.State) error {
	op.answer = s.Runtimes(op.Paging)
	return nil
}

// LoadImage takes a picture of all that is held. It is shared, since it never
// changes.
type LoadImage struct {
	load[LoadImage, *state.Image]
}

// Runtime returns none: it is about all of them.
func (LoadImage) Runtime() (store.RuntimeID, bool) { return "", false }

// Apply takes the picture.
func (op *LoadImage) Apply(s *state.State) error {
	op.answer = s.Image()
	return nil
}

// Import takes over all that a file of package archive holds, and says how much
// that is. The store must never have held anything.
type Import struct {
	request[Import, store.Totals]

	Source io.Reader

	imported *state.State
}

// Runtime returns none: it is about all of them.
func (Import) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare reads and checks all of it.
func (op *Import) Prepare(Standing) (err error) {
	op.imported, err = archive.Read(op.Source)
	return err
}

// Apply takes it over.
func (op *Import) Apply(s *state.State) error {
	op.answer = op.imported.Totals()
	return s.Adopt(op.imported)
}
