package loopstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Runtimes yields a summary of each runtime, in the order in which they were
// made, from page.From on. It asks for page.Limit of them at a time, of which
// each is what it was when it was asked for. Those that are there throughout are
// each yielded once; one that is deleted and made again meanwhile may be yielded
// again, since it is a new one. An error is the last thing that it yields.
// ops.ListRuntimes gives one page, and says whether there is more. Those that were set
// aside are not among them: see Asides.
func (l *Loop) Runtimes(ctx context.Context, page state.Paging) iter.Seq2[state.RuntimeSummary, error] {
	return func(yield func(state.RuntimeSummary, error) bool) {
		at := page // the sequence may be used again
		for more := true; more; {
			found, err := Do(ctx, l, ops.ListRuntimes{Paging: at})
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

// DeleteRuntime removes all of a runtime in one step, with what it filed under
// the ids of sessions, and says what that was: nothing, if there is no such
// runtime. One that is made again under the same id has no memory of it: its
// runs begin at sequence 0.
func (l *Loop) DeleteRuntime(ctx context.Context, id store.RuntimeID) (store.Removed, error) {
	return Do(ctx, l, ops.DeleteRuntime{RuntimeID: id})
}

// Prune removes what a retention lets go of a runtime, and says what that was. It goes
// in steps of up to 4,096 records, each of which is a revision: if it ends early, the
// error is a *store.PartialError, which says what has gone. What Options.Retention lets go
// with a step is not counted. It takes the owner some
// microseconds for each input or run that goes, up to 15 for a version of a session, and
// less than one for a receipt (BenchmarkPrune), and some nanoseconds for each record
// that stays. Ages are by the wall clock, now and when a caller set UpdatedAt.
func (l *Loop) Prune(ctx context.Context, id store.RuntimeID, keep store.Retention) (removed store.Removed, err error) {
	op := ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())}
	for more := true; more; {
		step, err := Do(ctx, l, op)
		switch {
		case err != nil && removed == store.Removed{}:
			return removed, err
		case err != nil:
			return removed, &store.PartialError{Op: op.Kind().String(), RuntimeID: id, Removed: removed, Err: errors.Unwrap(err)}
		}
		removed, more = removed.Plus(step.Removed), step.More
	}
	return removed, nil
}

// WouldPrune returns what Prune would, and removes nothing. It takes the owner
// no longer than a View.
func (l *Loop) WouldPrune(ctx context.Context, id store.RuntimeID, keep store.Retention) (store.Removed, error) {
	op := ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())}
	if err := op.Prepare(nil); err != nil {
		return store.Removed{}, l.failed(op, err)
	}
	view, err := l.View(ctx, id)
	if err != nil {
		return store.Removed{}, err
	}
	return view.WouldPrune(keep, op.Now), nil
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
