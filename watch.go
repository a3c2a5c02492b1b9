package loopstore

import (
	"context"
	"iter"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// Watch yields the newest view of a runtime whenever its version is another
// than that of the one before: at first than after, which is 0 for whoever has
// seen nothing. It may skip versions, also a deletion before the runtime is made
// again, and never misses the last. When the runtime is deleted it yields a view
// that shows nothing, of version 0. If there is no runtime at first, and after
// is 0, it waits for one.
//
// It ends when the loop over it ends, or by yielding a nil view and a
// *store.OpError that wraps ctx's error, store.ErrClosed or store.ErrFailed, or
// store.ErrBusy with Options.RefuseWhenFull. There is no goroutine and nothing to
// close. A watcher that takes its time holds up nobody.
func (l *Loop) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*store.View, error] {
	return func(yield func(*store.View, error) bool) {
		version := after
		view, err := l.View(ctx, id)
		for err == nil {
			if view.Version() != version {
				version = view.Version()
				if !yield(view, nil) {
					return
				}
			}
			view, err = l.next(ctx, view)
		}
		yield(nil, err)
	}
}

// next waits until a view is over, and returns a later one.
func (l *Loop) next(ctx context.Context, view *store.View) (*store.View, error) {
	select {
	case <-view.Changed():
		if next, ok := view.Next(); ok && next.Current() && ctx.Err() == nil {
			return next, nil
		}
	case <-l.done:
	case <-ctx.Done():
		return nil, ops.Error(ops.LoadView{RuntimeID: view.RuntimeID()}, cancelled(ctx))
	}
	return l.View(ctx, view.RuntimeID())
}
