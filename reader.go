package loopstore

import (
	"context"
	"sync/atomic"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// View returns all that a runtime holds, as it is at one moment of the call.
// The view does not change, and costs the owner next to nothing.
func (l *Loop) View(ctx context.Context, id store.RuntimeID) (*store.View, error) {
	return Do(ctx, l, ops.LoadView{RuntimeID: id})
}

// A Reader looks at one runtime, often. Its View goes to the owner only if the
// runtime has changed since it last did; otherwise it costs two atomic loads.
// It may be used by any number of goroutines, and needs no Close. It holds the
// view that it returned last. A view of a runtime that is not there may be over
// when another one is made.
type Reader struct {
	loop *Loop
	id   store.RuntimeID
	last atomic.Pointer[store.View]
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
func (r *Reader) View(ctx context.Context) (*store.View, error) {
	if v := r.last.Load(); v != nil && v.Current() {
		return v, nil
	}
	v, err := r.loop.View(ctx, r.id)
	if err == nil {
		r.last.Store(v) // an older one in the place of a newer one is found out by the next call
	}
	return v, err
}
