package loopstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A task is a request as the owner sees it.
type task interface {
	serve(state *store.State) // answers the caller, if it still waits
	refuse(err error)         // answers it with err instead
	fail(err error)           // answers it after a panic in serve
}

// kind is ops.Request without its seal, so that tests can make operations of
// their own.
type kind interface {
	Kind() ops.Kind
	Runtime() store.RuntimeID
}

// A request is one call on its way to the owner and back. Caller and owner
// settle by one compare-and-swap of claim who has it:
//
//	queued ── owner ──► claimed: it runs, and the caller waits for its answer
//	   └───── caller ─► abandoned: it never runs, and the owner recycles it
//
// Whoever holds a request last recycles it. The caller does so after it has
// received the answer, when the owner is known to be through with it. One that
// is left in the inbox when the owner has ended is garbage.
type request[R any, O kind, P ops.Steps[R, O]] struct {
	op     O
	claim  atomic.Uint32
	answer chan error    // has room for one
	wake   store.Waiters // for the caller to wake, so that the owner need not
	loop   *Loop
}

const (
	queued uint32 = iota
	claimed
	abandoned
)

func newRequest[R any, O kind, P ops.Steps[R, O]](l *Loop, op O) *request[R, O, P] {
	r, ok := l.pools[op.Kind()].Get().(*request[R, O, P])
	if !ok {
		r = &request[R, O, P]{answer: make(chan error, 1), loop: l}
	}
	r.op = op
	r.claim.Store(queued)
	return r
}

func (r *request[R, O, P]) recycle() {
	var zero O
	r.op, r.wake = zero, nil // it holds a caller's data
	r.loop.pools[r.op.Kind()].Put(r)
}

func (r *request[R, O, P]) serve(state *store.State) {
	if r.take() {
		err := ops.Apply(state, P(&r.op))
		r.wake = r.loop.settle(state)
		r.answer <- err
	}
}

func (r *request[R, O, P]) refuse(err error) {
	if r.take() {
		r.answer <- err
	}
}

func (r *request[R, O, P]) fail(err error) { r.answer <- err }

// take claims the request for the owner, or recycles it if its caller has
// gone.
func (r *request[R, O, P]) take() bool {
	if r.claim.CompareAndSwap(queued, claimed) {
		return true
	}
	r.recycle()
	return false
}

// abandon takes the request back from the owner, if that has not claimed it.
// The caller must not touch it after that.
func (r *request[R, O, P]) abandon() bool { return r.claim.CompareAndSwap(queued, abandoned) }

// do takes one operation from its call to its return.
func do[R any, O kind, P ops.Steps[R, O]](ctx context.Context, l *Loop, op O) (R, error) {
	r := newRequest[R, O, P](l, op)
	var answer R
	err, ours := r.call(ctx, l)
	if err == nil {
		r.wake.Wake()
		answer = P(&r.op).Answer()
	} else {
		err = opError(op, err)
	}
	if ours {
		r.recycle()
	}
	return answer, err
}

func opError(op kind, err error) error {
	return &store.OpError{Op: op.Kind().String(), RuntimeID: op.Runtime(), Err: err}
}

// call prepares the request, sends it, and waits for what becomes of it. ours
// says that the request is the caller's again; without it the owner may still
// reach for it.
func (r *request[R, O, P]) call(ctx context.Context, l *Loop) (err error, ours bool) {
	if ctx.Err() != nil {
		return cancelled(ctx), true
	}
	if l.phase.Load() != serving {
		return l.unavailable(), true
	}
	if err := r.prepare(ctx, l); err != nil {
		return err, true
	}
	select {
	case l.inbox <- r:
	default: // full
		select {
		case l.inbox <- r:
		case <-ctx.Done():
			return cancelled(ctx), true
		case <-l.done:
			return l.unavailable(), true
		}
	}
	if l.phase.Load() == ended && r.abandon() {
		return l.unavailable(), false
	}
	select {
	case err := <-r.answer:
		return err, true
	case <-ctx.Done():
		if r.abandon() {
			return cancelled(ctx), false
		}
	}
	return <-r.answer, true // the owner has it
}

// prepare prepares the operation, with a look at the state before if that
// saves work.
func (r *request[R, O, P]) prepare(ctx context.Context, l *Loop) error {
	if looker, ok := any(P(&r.op)).(ops.Looker); ok {
		for look, wants := looker.Look(); wants; look, wants = looker.Look() {
			found, err := Do(ctx, l, look)
			if err != nil {
				return errors.Unwrap(err) // of the call that looks
			}
			looker.Use(found)
		}
	}
	return P(&r.op).Prepare()
}

// cancelled returns the context's error, with its cause if that is another. It
// is never nil, even if a context of the caller's making has none.
func cancelled(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil:
		return context.Canceled
	case cause == nil || errors.Is(err, cause):
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
