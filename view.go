package loopstore

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// View returns all that a runtime holds, as it is at one moment of the call.
// The view does not change, and costs the owner next to nothing.
func (l *Loop) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	return Do(ctx, l, ops.LoadView{RuntimeID: id})
}

// A Reader looks at one runtime, often. Its View goes to the owner only if the
// runtime has changed since it last did; otherwise it costs two atomic loads.
// It may be used by any number of goroutines, and needs no Close. It holds the
// view that it returned last. A view of a runtime that is not there may be over
// when another runtime is made.
type Reader struct {
	loop *Loop
	id   store.RuntimeID
	last atomic.Pointer[state.View]
}

// Reader returns a reader of a runtime, which need not be there.
func (l *Loop) Reader(id store.RuntimeID) *Reader { return &Reader{loop: l, id: id} }

// View returns all that the runtime holds, as it is at one moment of the call:
// it is linearizable with the operations of the Loop, so a write that has
// returned is seen. ctx is for the call to the owner, if there is one. After
// Close the error is store.ErrClosed.
//
// Why that is so: the owner ends the views of all runtimes that a write changes,
// then makes any new one of them, then answers the write. A view that has not
// ended here shows what the owner holds, or will go on to change in a write that
// nobody has seen anything of yet.
func (r *Reader) View(ctx context.Context) (*state.View, error) {
	if v := r.last.Load(); v != nil && v.Current() {
		return v, nil
	}
	v, err := r.loop.View(ctx, r.id)
	if err == nil {
		r.last.Store(v) // an older one in the place of a newer one is found out by the next call
	}
	return v, err
}

// Watch yields the newest view of a runtime whenever its version differs from that
// of the view before. At first after stands in for that: 0 for whoever has seen
// nothing. It may skip versions, also a deletion before the runtime is made
// again, and never misses the last. When the runtime is deleted it yields a view
// that shows nothing, of version 0. If there is no runtime at first, and after
// is 0, it waits for one.
//
// It ends when the loop over it ends, or by yielding a nil view and a
// *store.OpError that wraps ctx's error, store.ErrClosed or store.ErrFailed, or
// store.ErrBusy with Options.RefuseWhenFull. There is no goroutine and nothing to
// close. A watcher that takes its time holds up nobody.
func (l *Loop) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*state.View, error] {
	return func(yield func(*state.View, error) bool) {
		version := after
		view, err := l.View(ctx, id)
		for err == nil {
			if view.Version() != version {
				version = view.Version()
				if !yield(view, nil) {
					return
				}
			}
			select {
			case <-view.Changed():
			case <-l.done:
			case <-ctx.Done():
				yield(nil, l.failed(ops.LoadView{RuntimeID: id}, cancelled(ctx)))
				return
			}
			view, err = l.View(ctx, id)
		}
		yield(nil, err)
	}
}
