package state

import (
	"iter"

	"github.com/loopstore/loopstore/store"
)

// An Image is all that a State holds at one moment. It never changes, and may
// be used by any number of goroutines. To take one costs the same however much
// there is; after that the first change of each runtime costs a little more.
type Image struct {
	runtimes list[*runtime]
	sessions list[*filed]
	stones   list[*tombstone]
	held     store.Totals
	parts    int
	revision uint64
}

// Image returns all that is held. It must not be asked for before the last
// changes are settled.
func (s *State) Image() *Image {
	s.images++
	return &Image{s.order.copy(), s.sessions.values.copy(), s.stones.values.copy(), s.Totals(), s.texts.live, s.revision}
}

// Revision returns the version of what changed last.
func (i *Image) Revision() uint64 { return i.revision }

// Totals returns how much there is.
func (i *Image) Totals() store.Totals { return i.held }

// NumParts returns how many parts all texts of sessions have, each counted once.
func (i *Image) NumParts() int { return i.parts }

// Views returns a View of each runtime, in the order in which they were made.
// They are over from the start.
func (i *Image) Views() iter.Seq[*View] {
	return func(yield func(*View) bool) {
		for rt := range i.runtimes.all() {
			if !yield(rt.show(past)) {
				return
			}
		}
	}
}

// Sessions returns the snapshots that are filed under ids of sessions, with the
// runtime that filed each, in the order in which the ids came.
func (i *Image) Sessions() iter.Seq2[store.SessionID, FiledSnapshot] {
	return func(yield func(store.SessionID, FiledSnapshot) bool) {
		for f := range i.sessions.all() {
			if !yield(f.session, FiledSnapshot{f.by, *f.snapshot}) {
				return
			}
		}
	}
}

// Tombstones returns those of the runtimes that were deleted, in the order in which they
// were.
func (i *Image) Tombstones() iter.Seq[Tombstone] {
	return func(yield func(Tombstone) bool) {
		for t := range i.stones.all() {
			if !yield(t.value()) {
				return
			}
		}
	}
}

// A FiledSnapshot is the latest of a session.
type FiledSnapshot struct {
	By       store.RuntimeID // that filed it
	Snapshot store.Snapshot
}

// A RunView is what a View shows of a run that has receipts.
type RunView struct{ run *run }

// RunViews returns the runs that have receipts, in the order in which their
// first ones were stored. It needs no index.
func (v *View) RunViews() iter.Seq[RunView] {
	return func(yield func(RunView) bool) {
		for r := range v.runs.all() {
			if !yield(RunView{r}) {
				return
			}
		}
	}
}

// RunID names the run.
func (r RunView) RunID() store.RunID { return r.run.id }

// HighestSequence returns the highest sequence that a receipt of the run has
// had. It may be gone.
func (r RunView) HighestSequence() uint64 { return r.run.highest }

// NumReceipts returns how many receipts there are.
func (r RunView) NumReceipts() int { return r.run.receipts.len }

// Receipts returns them by ascending sequence.
func (r RunView) Receipts() iter.Seq[store.RunBoundaryReceipt] {
	return func(yield func(store.RunBoundaryReceipt) bool) {
		for receipt := range r.run.receipts.all() {
			if !yield(receipt.Value()) {
				return
			}
		}
	}
}
