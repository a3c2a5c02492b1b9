package loopstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A task is a request as the owner sees it.
type task interface {
	serve(state *store.State) // takes, applies and answers it, if its caller still waits
	refuse(err error)         // takes it and answers with err instead

	// The steps of serve, for an owner that has something to do between them.
	take() bool // claims the request for the owner, or recycles it if its caller has gone
	apply(state *store.State) error
	reply(state *store.State, err error) // state is nil if nothing was applied

	kind() ops.Kind
	runtime() (id store.RuntimeID, one bool)
	weight() int64 // of its payload, if it was weighed
}

// operation is ops.Request without its seal, so that tests can make operations of
// their own.
type operation interface {
	Kind() ops.Kind
	Runtime() (id store.RuntimeID, one bool)
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
type request[R any, O operation, P ops.Steps[R, O]] struct {
	// What both touch in every call is together: the memory of the one is far
	// from the other's.
	claim  atomic.Uint32
	sample sample
	answer chan error // has room for one
	loop   *Loop
	op     O
	wake   store.Waiters // for the caller to wake, so that the owner need not

	timing timing
	bytes  int64 // of its payload, if it was weighed
	taken  int64 // that it takes of the room in flight
}

const (
	queued uint32 = iota
	claimed
	abandoned
)

func newRequest[R any, O operation, P ops.Steps[R, O]](l *Loop, op O) *request[R, O, P] {
	kind := op.Kind()
	r, ok := l.pools[kind].Get().(*request[R, O, P])
	if !ok {
		r = &request[R, O, P]{sample: sample{kind: kind, uses: uint8(rand.Uint32())}, answer: make(chan error, 1), loop: l}
	}
	r.op, r.sample.standsFor, r.bytes = op, 0, 0
	r.claim.Store(queued)
	return r
}

func (r *request[R, O, P]) recycle() {
	var zero O
	r.op, r.wake = zero, nil // it holds a caller's data
	if r.taken > 0 {
		r.loop.inFlight.leave(r.taken)
		r.taken = 0
	}
	r.loop.pools[r.sample.kind].Put(r)
}

func (r *request[R, O, P]) serve(state *store.State) {
	if r.take() {
		r.reply(state, r.apply(state))
	}
}

func (r *request[R, O, P]) apply(state *store.State) error {
	if r.sample.standsFor > 0 {
		r.loop.meter.begin(&r.timing, r.sample)
	}
	err := ops.Apply(state, P(&r.op))
	r.wake = r.loop.settle(state)
	if r.sample.standsFor > 0 {
		r.loop.meter.end(&r.timing, r.sample)
	}
	return err
}

func (r *request[R, O, P]) reply(state *store.State, err error) {
	if state != nil {
		r.loop.meter.count(r.sample.kind, state, err)
	}
	r.answer <- err
}

func (r *request[R, O, P]) refuse(err error) {
	if r.take() {
		r.reply(nil, err)
	}
}

func (r *request[R, O, P]) kind() ops.Kind                   { return r.sample.kind }
func (r *request[R, O, P]) runtime() (store.RuntimeID, bool) { return r.op.Runtime() }
func (r *request[R, O, P]) weight() int64                    { return r.bytes }

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

// A holder says who has a request, as its caller knows.
type holder uint8

const (
	caller holder = iota
	both          // it was sent, and the claim says who has it
	owner         // it was abandoned
	nobody        // it was recycled
)

// do takes one operation from its call to its return.
func do[R any, O operation, P ops.Steps[R, O]](ctx context.Context, l *Loop, op O) (R, error) {
	r := newRequest[R, O, P](l, op)
	if l.inFlight != nil {
		return r.runGuarded(ctx, l, op)
	}
	has := caller
	return r.run(ctx, l, op, &has)
}

// runGuarded gives back the room that a request takes in flight also if ctx
// panics.
func (r *request[R, O, P]) runGuarded(ctx context.Context, l *Loop, op O) (R, error) {
	has := caller
	defer func() {
		if has == both && !r.abandon() { // the owner was quicker
			_, has = <-r.answer, caller // what became of it nobody can be told
		}
		if has == caller {
			r.recycle()
		}
	}()
	return r.run(ctx, l, op, &has)
}

// run makes the call, and recycles the request if it is the caller's again.
func (r *request[R, O, P]) run(ctx context.Context, l *Loop, op O, has *holder) (answer R, err error) {
	if err = r.call(ctx, l, has); err == nil {
		r.wake.Wake()
		answer = P(&r.op).Answer()
	} else {
		l.meter.errors[op.Kind()].Add(1)
	}
	if *has == caller {
		sample, timing := r.sample, r.timing
		*has = nobody
		r.recycle() // before the logger, which must not hold up who waits for its room in flight
		if l.logger != nil {
			l.logCall(sample, timing, op, err)
		}
	}
	if err != nil {
		err = ops.Error(op, err)
	}
	return answer, err
}

// call prepares the request, sends it, and waits for what becomes of it. has
// says at any time who has the request.
func (r *request[R, O, P]) call(ctx context.Context, l *Loop, has *holder) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if l.phase.Load() != serving {
		return l.unavailable()
	}
	if l.slow > 0 {
		r.timing = timing{called: l.meter.now()}
	}
	if l.weighs {
		if err := r.weigh(ctx, l); err != nil {
			return err
		}
	}
	if err := r.prepare(ctx, l); err != nil {
		return err
	}
	if r.sample.next(l.meter) {
		r.timing.sent = l.meter.now()
	}
	select {
	case l.inbox <- r:
	default:
		if err := r.squeeze(ctx, l); err != nil {
			return err
		}
	}
	*has = both
	l.meter.sent(len(l.inbox)) // here, since the owner would have to fetch that from far
	if l.phase.Load() == ended && r.abandon() {
		*has = owner
		return l.unavailable()
	}
	select {
	case err := <-r.answer:
		*has = caller
		return err
	case <-ctx.Done():
		if r.abandon() {
			*has = owner
			return cancelled(ctx)
		}
	}
	err := <-r.answer // the owner has it
	*has = caller
	return err
}

// weigh refuses a request that is over a limit, and takes the room in flight
// for one that is not.
func (r *request[R, O, P]) weigh(ctx context.Context, l *Loop) error {
	heavy, ok := any(P(&r.op)).(ops.Weigher)
	if !ok {
		return nil
	}
	weight := heavy.Weigh()
	if err := weight.Check(l.limits); err != nil {
		return err
	}
	r.bytes = weight.Bytes
	if l.inFlight == nil || weight.Bytes == 0 {
		return nil
	}
	return l.enter(ctx, weight.Bytes, &r.taken)
}

// squeeze sends a request when there is a place for it in the full inbox.
func (r *request[R, O, P]) squeeze(ctx context.Context, l *Loop) error {
	if l.refuseWhenFull {
		size := int64(cap(l.inbox))
		return &store.LimitError{Limit: "inbox_size", Most: size, Asked: size + 1, Busy: true}
	}
	l.meter.waiting.Add(1)
	defer l.meter.waiting.Add(-1)
	select {
	case l.inbox <- r:
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	case <-l.done:
		return l.unavailable()
	}
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
