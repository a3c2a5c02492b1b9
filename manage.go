package loopstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// Runtimes yields a summary of each runtime, in the order in which they were
// made, from page.From on. It asks for page.Limit of them at a time, of which
// each is what it was when it was asked for. Those that are there throughout are
// each yielded once; one that is deleted and made again meanwhile may be yielded
// again, since it is a new one. An error is the last thing that it yields. Whoever wants one page, and to know whether there is more, runs
// ops.ListRuntimes.
func (l *Loop) Runtimes(ctx context.Context, page store.Paging) iter.Seq2[store.RuntimeSummary, error] {
	return pages(page, func(page store.Paging) (store.Page[store.RuntimeSummary], error) {
		return Do(ctx, l, ops.ListRuntimes{Paging: page})
	})
}

// Inputs yields a runtime's input states, as InputPage lists them, a page at a
// time. What is said of Runtimes is so of them too.
func (l *Loop) Inputs(ctx context.Context, id store.RuntimeID, page store.Paging, states ...store.InputLifecycleState) iter.Seq2[store.InputState, error] {
	return pages(page, func(page store.Paging) (store.Page[store.InputState], error) {
		return l.InputPage(ctx, id, page, states...)
	})
}

// Receipts yields a runtime's receipts, as ReceiptPage lists them, a page at a
// time. What is said of Runtimes is so of them too.
func (l *Loop) Receipts(ctx context.Context, id store.RuntimeID, page store.Paging, runs ...store.RunID) iter.Seq2[store.RunBoundaryReceipt, error] {
	return pages(page, func(page store.Paging) (store.Page[store.RunBoundaryReceipt], error) {
		return l.ReceiptPage(ctx, id, page, runs...)
	})
}

// pages yields what is on a page and on all after it.
func pages[T any](page store.Paging, load func(store.Paging) (store.Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := page // the sequence may be used again
		for more := true; more; {
			found, err := load(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range found.Items {
				if !yield(item, nil) {
					return
				}
			}
			at.From, more = found.Next, found.More
		}
	}
}

// InputPage returns a part of a runtime's list of input states, in their order:
// of those in one of these states, or of all if none is named. The owner's part
// of it does not grow with the list. What is no state is refused with
// store.ErrInvalidValue.
func (l *Loop) InputPage(ctx context.Context, id store.RuntimeID, page store.Paging, states ...store.InputLifecycleState) (store.Page[store.InputState], error) {
	for i, state := range states {
		if err := state.Validate(); err != nil {
			return store.Page[store.InputState]{}, ops.Error(ops.LoadView{RuntimeID: id}, store.InField(fmt.Sprintf("states[%d]", i), err))
		}
	}
	view, err := l.View(ctx, id)
	if err != nil {
		return store.Page[store.InputState]{}, err
	}
	return view.InputPage(page, states...), nil
}

// ReceiptPage returns a part of a runtime's list of receipts: the runs in the
// order of their first receipts, and each one's by ascending sequence. If runs
// are named it is of these alone. The owner's part of it does not grow with the
// list.
func (l *Loop) ReceiptPage(ctx context.Context, id store.RuntimeID, page store.Paging, runs ...store.RunID) (store.Page[store.RunBoundaryReceipt], error) {
	view, err := l.View(ctx, id)
	if err != nil {
		return store.Page[store.RunBoundaryReceipt]{}, err
	}
	return view.ReceiptPage(page, runs...), nil
}

// DeleteRuntime removes all of a runtime in one step, with what it filed under
// the ids of sessions, and says what that was: nothing, if there is no such
// runtime. One that is made again under the same id has no memory of it: its
// runs begin at sequence 0.
func (l *Loop) DeleteRuntime(ctx context.Context, id store.RuntimeID) (store.Removed, error) {
	return Do(ctx, l, ops.DeleteRuntime{RuntimeID: id})
}

// Prune removes what a retention lets go of a runtime, in one step, and says
// what that was. It takes the owner a few hundred nanoseconds for each record
// that goes, and some for each that is looked at. Ages are by the wall clock,
// now and when a caller set UpdatedAt.
func (l *Loop) Prune(ctx context.Context, id store.RuntimeID, keep store.Retention) (store.Removed, error) {
	return Do(ctx, l, ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())})
}

// WouldPrune returns what Prune would, and removes nothing. It takes the owner
// no longer than a View.
func (l *Loop) WouldPrune(ctx context.Context, id store.RuntimeID, keep store.Retention) (store.Removed, error) {
	op := ops.Prune{RuntimeID: id, Keep: keep, Now: store.TimeOf(time.Now())}
	if err := op.Prepare(); err != nil {
		return store.Removed{}, ops.Error(op, err)
	}
	view, err := l.View(ctx, id)
	if err != nil {
		return store.Removed{}, err
	}
	return view.WouldPrune(keep, op.Now), nil
}
