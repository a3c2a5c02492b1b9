package loopstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

var (
	_ state.Claimer  = (*Loop)(nil)
	_ state.Follower = (*Loop)(nil)
)

// Runtimes yields a summary of each runtime that a listing asks for, in the order in which
// they were made, from listing.From on. It asks for listing.Limit of them at a time, of
// which each is what it was when it was asked for. Those that are there, and match,
// throughout are each yielded once; one that is deleted and made again meanwhile may be
// yielded again, since it is a new one. With listing.ByActivity all are what they were at
// one moment. An error is the last thing that it yields.
// ops.ListRuntimes gives one page, and says whether there is more. Those that were set
// aside are not among them: see Asides.
func (l *Loop) Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	return func(yield func(state.RuntimeSummary, error) bool) {
		if listing.ByActivity {
			l.byActivity(ctx, listing, yield)
			return
		}
		at := listing // the sequence may be used again
		for more := true; more; {
			found, err := Do(ctx, l, ops.ListRuntimes{Listing: at})
			if err != nil {
				yield(state.RuntimeSummary{}, err)
				return
			}
			for _, summary := range found.Items {
				if !yield(summary, nil) {
					return
				}
			}
			at.From, more = found.Next, found.More
		}
	}
}

func (l *Loop) byActivity(ctx context.Context, listing state.Listing, yield func(state.RuntimeSummary, error) bool) {
	image, err := l.imageFor(ctx, ops.ListRuntimes{Listing: listing})
	if err != nil {
		yield(state.RuntimeSummary{}, err)
		return
	}
	for summary := range image.Runtimes(listing) {
		if !yield(summary, nil) {
			return
		}
	}
}

func (l *Loop) imageFor(ctx context.Context, op ops.ListRuntimes) (*state.Image, error) {
	if err := op.Prepare(nil); err != nil {
		return nil, l.failed(op, err)
	}
	return Do(ctx, l, ops.LoadImage{})
}

// ExpireIdle removes the runtimes that nobody has written to for so long, and says what
// that was; with dryRun it removes nothing and says what it would, but that of texts which
// others share, or that are filed under ids of sessions, another number of bytes may go.
//
// A runtime stays that has an input which has not ended, unless the input is in one of the
// states that are named; so does one whose last activity is not known, since it was written
// to before that was recorded. Where Options.Activity is off, also for want of a journal,
// the error is errors.ErrUnsupported. It goes in steps, each of which is a revision: if it
// ends early, the error is a *state.PartialError, which says what has gone.
// Options.Tombstones keeps the ids of those that go.
func (l *Loop) ExpireIdle(ctx context.Context, olderThan time.Duration, dryRun bool, states ...store.InputLifecycleState) (removed state.Removed, err error) {
	if !l.intake.dates {
		return removed, l.failed(ops.Expire{}, fmt.Errorf("%w: Options.Activity is not set", errors.ErrUnsupported))
	}
	op := ops.Expire{Idle: state.Idle{Since: store.TimeOf(time.Now().Add(-olderThan)), Inputs: states, DryRun: dryRun}}
	for more := true; more; {
		step, err := Do(ctx, l, op)
		switch {
		case err != nil && (dryRun || removed == state.Removed{}):
			return removed, err
		case err != nil:
			return removed, &state.PartialError{Op: op.Kind().String(), Removed: removed, Err: errors.Unwrap(err)}
		}
		removed, op.Idle.From, more = removed.Plus(step.Removed), step.Next, step.More
	}
	return removed, nil
}

// DeleteRuntime removes all of a runtime in one step, with what it filed under
// the ids of sessions, and says what that was: nothing, if there is no such
// runtime. One that is made again under the same id has no memory of it: its
// runs begin at sequence 0. With Options.Tombstones it cannot be made again like that.
func (l *Loop) DeleteRuntime(ctx context.Context, id store.RuntimeID) (state.Removed, error) {
	return Do(ctx, l, ops.DeleteRuntime{RuntimeID: id})
}

// Prune removes what a retention lets go of a runtime, and says what that was. It goes
// in steps of up to 4,096 records, each of which is a revision: if it ends early, the
// error is a *state.PartialError, which says what has gone. What Options.Retention lets go
// with a step is not counted. It takes the owner some
// microseconds for each input or run that goes, up to 15 for a version of a session, and
// less than one for a receipt (BenchmarkPrune), and some nanoseconds for each record
// that stays. Ages are by the wall clock, now and when a caller set UpdatedAt.
func (l *Loop) Prune(ctx context.Context, id store.RuntimeID, keep store.Retention) (removed state.Removed, err error) {
	op := ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())}
	for more := true; more; {
		step, err := Do(ctx, l, op)
		switch {
		case err != nil && removed == state.Removed{}:
			return removed, err
		case err != nil:
			return removed, &state.PartialError{Op: op.Kind().String(), RuntimeID: id, Removed: removed, Err: errors.Unwrap(err)}
		}
		removed, more = removed.Plus(step.Removed), step.More
	}
	return removed, nil
}

// WouldPrune returns what Prune would, and removes nothing. Of texts that forks or filed
// sessions share, that may be more than would go, and keys that Options.Retention would keep
// of inputs that go are not among those. It takes the owner no longer than a View.
func (l *Loop) WouldPrune(ctx context.Context, id store.RuntimeID, keep store.Retention) (state.Removed, error) {
	op := ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())}
	if err := op.Prepare(nil); err != nil {
		return state.Removed{}, l.failed(op, err)
	}
	view, err := l.View(ctx, id)
	if err != nil {
		return state.Removed{}, err
	}
	return view.WouldPrune(keep, op.Now), nil
}

// LoadInput returns one input with its version, which fences who has seen it: see package
// batch's InputVersionIs.
func (l *Loop) LoadInput(ctx context.Context, id store.RuntimeID, input store.InputID) (state.Input, bool, error) {
	found, err := Do(ctx, l, ops.LoadInput{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadInputByKey returns the first input that has an idempotency key, with its version. It
// looks at no other input.
func (l *Loop) LoadInputByKey(ctx context.Context, id store.RuntimeID, key string) (state.Input, bool, error) {
	found, err := Do(ctx, l, ops.LoadInput{RuntimeID: id, Key: &key})
	return found.Value, found.OK, err
}

// LoadSessionAt returns the version of a runtime's session that has a number, if it
// is there: the last one always is, earlier ones if store.Retention.Sessions keeps
// them. See [state.View.Sessions] for the numbers.
func (l *Loop) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	found, err := Do(ctx, l, ops.LoadSessionAt{RuntimeID: id, Number: number})
	return found.Value, found.OK, err
}

// Fork makes a runtime, to, whose session is a version of another's. Nothing else of
// the other one comes along. The error is store.ErrNoVersion if there is no such
// version, and store.ErrConflict if there is a runtime to. It costs the same however
// long the session is.
func (l *Loop) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	_, err := Do(ctx, l, ops.Fork{RuntimeID: from, Number: number, To: to})
	return err
}

// ClaimNext moves the next input of any runtime to another state, and returns it.
// Options.Queue says which inputs wait and which are under way; without it the error is
// errors.ErrUnsupported. A runtime joins the line when it has an input that waits and none
// under way. ClaimNext serves the first in line that has an input in one of the states
// claim.From, and takes the first such input. So each runtime has one turn at a time, and none
// waits for ever while others have turns. After Open, the runtime comes first whose waiting
// input was changed the longest time ago.
//
// It waits until there is something, without asking again. If ctx ends first, nothing was
// claimed. The answer's version fences whoever claimed: see package batch's
// InputVersionIs. Its turn ends when a write moves the input to a state that is not under
// way; nothing else ends it, so a service decides how long a worker may take, and moves the
// input back. After store.ErrOutcomeUnknown an input may be under way of which nobody knows.
// A claim that the journal rejects returns at once, and the runtime goes to the end of the line:
// with journal.ErrRejected wait before you ask again. Close ends all that wait with
// store.ErrClosed.
func (l *Loop) ClaimNext(ctx context.Context, claim store.Claim) (state.Claimed, error) {
	return Do(ctx, l, ops.ClaimNext{Claim: claim})
}

// Changes yields the changes of all runtimes after a cursor, and goes on as there are more.
// Of a runtime it yields the last one, with what was changed in those before it: it may skip
// changes and never misses the last, a deletion included. With a journal it shows what is
// stored there, and cursors are still good when the store is opened again, once a write has
// come after the first question. After the empty cursor all runtimes that there are come
// first. Those that were set aside never do.
//
// It ends when the loop over it ends, or by yielding an error: a *store.OpError that wraps
// ctx's error, store.ErrClosed or store.ErrFailed, or store.ErrBusy with
// Options.RefuseWhenFull; or store.ErrCursorExpired, if the cursor is of another store, one
// that was imported too, or deletions after it are forgotten: see Options.Deletions. Then ask for
// ChangesCursor, list what there is, and go on from that cursor. A journal that was put back
// from a copy goes on like the copy. A cursor from after the copy was made is not always
// refused then, and may skip changes: throw it away.
//
// There is no goroutine and nothing to close. Who takes time holds up nobody, and costs the
// owner a hand-off when asking for more; what is more than some 1,000 changes behind, an image
// of the store.
func (l *Loop) Changes(ctx context.Context, after state.ChangeCursor) iter.Seq2[state.Change, error] {
	return func(yield func(state.Change, error) bool) {
		op := ops.LoadChanges{After: after}
		for {
			found, err := Do(ctx, l, op)
			if err != nil {
				yield(state.Change{}, err)
				return
			}
			for change := range found.All() {
				if !yield(change, nil) {
					return
				}
			}
			op.After = found.Next()
			select {
			case <-found.More():
			case <-l.done:
			case <-ctx.Done():
				yield(state.Change{}, l.failed(op, cancelled(ctx)))
				return
			}
		}
	}
}

// ChangesCursor returns the cursor after the last change, for those who list what there is
// and then follow the changes.
func (l *Loop) ChangesCursor(ctx context.Context) (state.ChangeCursor, error) {
	found, err := Do(ctx, l, ops.LoadChanges{Skip: true})
	return found.Next(), err
}
