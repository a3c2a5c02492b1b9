package ops

import (
	"math/rand/v2"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// DeleteRuntime removes all of a runtime, and says what has gone.
type DeleteRuntime struct {
	request[DeleteRuntime, state.Removed]

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

// Prune removes what a retention lets go of a runtime, as far as one step goes, and says
// what has gone.
type Prune struct {
	request[Prune, Pruned]

	RuntimeID store.RuntimeID
	Keep      store.Retention
	Now       store.Time // for a retention by age
}

// Pruned is what a step has removed.
type Pruned struct {
	state.Removed
	More bool // there may be more to remove
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
	op.answer.Removed, op.answer.More = s.Prune(op.RuntimeID, op.Keep, op.Now)
	return nil
}

// Expire removes runtimes that are idle, as far as one step goes.
type Expire struct {
	request[Expire, Expired]

	Idle state.Idle
}

// Expired is what a step has removed.
type Expired struct {
	state.Removed
	Next state.Cursor // where the next step begins
	More bool         // there may be more to remove
}

// Runtime returns none: it is about all of them.
func (Expire) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare checks the states.
func (op *Expire) Prepare(Standing) error {
	return store.InField("idle", state.Listing{Inputs: op.Idle.Inputs}.Validate())
}

// Apply removes them.
func (op *Expire) Apply(s *state.State) error {
	op.answer.Removed, op.answer.Next, op.answer.More = s.Expire(op.Idle)
	return nil
}

// ListRuntimes lists a part of the runtimes.
type ListRuntimes struct {
	request[ListRuntimes, state.Page[state.RuntimeSummary]]

	Listing state.Listing

	image *state.Image // of which a list by activity is made
}

// Prepare checks the states that are asked for.
func (op *ListRuntimes) Prepare(Standing) error {
	return store.InField("listing", op.Listing.Validate())
}

// Runtime returns none: it is about all of them.
func (ListRuntimes) Runtime() (store.RuntimeID, bool) { return "", false }

// Apply collects the summaries, or takes a picture.
func (op *ListRuntimes) Apply(s *state.State) error {
	if op.Listing.ByActivity {
		op.image = s.Image()
	} else {
		op.answer = s.Runtimes(op.Listing)
	}
	return nil
}

// Answer sorts the list, if it is one by activity.
func (op *ListRuntimes) Answer() state.Page[state.RuntimeSummary] {
	if op.image != nil {
		return op.image.Page(op.Listing)
	}
	return op.answer
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

// BeginImport begins an import: its answer is what the next steps are about. The pieces of
// [state.Import.Pieces] are stored next, each with a StorePiece, and then an Import ends it;
// if one of them fails, a StorePiece of [state.Import.Abort] clears what is stored.
// loopstore.Loop.Import does all of that. The store must never have held anything.
type BeginImport struct {
	request[BeginImport, *state.Import]

	leap uint32
}

// Runtime returns none: it is about all of them.
func (BeginImport) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare draws the number that tells the versions of this import from all others.
func (op *BeginImport) Prepare(Standing) error {
	op.leap = rand.Uint32()
	return nil
}

// Apply looks whether there is anything.
func (op *BeginImport) Apply(s *state.State) (err error) {
	op.answer, err = s.BeginImport(op.leap)
	return err
}

// StorePiece stores a piece of an import in the journal, or removes what nobody needs
// there any more. Nothing that is held changes.
type StorePiece struct {
	request[StorePiece, None]

	Piece state.Piece
}

// Runtime returns none: it is about all of them.
func (StorePiece) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare does nothing.
func (*StorePiece) Prepare(Standing) error { return nil }

// Apply puts it into the journal's next batch.
func (op *StorePiece) Apply(s *state.State) error { return s.StorePiece(op.Piece) }

// Import ends an import: it takes over all of it, and says how much that is. The store must
// never have held anything.
type Import struct {
	request[Import, store.Totals]

	Import *state.Import // of which all pieces are stored
}

// Runtime returns none: it is about all of them.
func (Import) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare does nothing.
func (*Import) Prepare(Standing) error { return nil }

// Apply takes it over.
func (op *Import) Apply(s *state.State) (err error) {
	op.answer, err = s.EndImport(op.Import)
	return err
}
