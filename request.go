package loopstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/internal/meter"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A request is one call on its way to the owner and back. Caller and owner
// settle by one compare-and-swap of claim who has it:
//
//	queued ── owner ──► claimed: it runs, and the caller waits for its answer
//	   └───── caller ─► abandoned: it never runs
//
// Only a caller that has its answer, or has never sent the request, uses it
// again. When the owner comes to one that was abandoned it gives back its room in
// flight, and drops it. One whose caller vanished (its context panicked, or ended its
// goroutine) is garbage once it is answered.
type request struct {
	claim  atomic.Uint32
	sample meter.Sample
	answer chan error // has room for one
	op     operation  // points to the value of the call that the request is part of
	now    store.Time // when a write was sent
	timing meter.Timing
	bytes  int64        // of its payload, if it was weighed
	taken  atomic.Int64 // of these, what it still holds of the room in flight: either side gives it back
}

const (
	queued uint32 = iota
	claimed
	abandoned
)

// An operation is a request of package ops, as far as a hand-off knows it.
type operation interface {
	ops.Operation
	ops.Step
	Weigh() ops.Weight
	Prepare(standing ops.Standing) error
}

// A call is a request together with its operation, so that one allocation holds
// both, and a pool keeps it for the next call of its kind.
type call[R any, O ops.Operation, P ops.Steps[R, O]] struct {
	request
	value O
}

func newCall[R any, O ops.Operation, P ops.Steps[R, O]](l *Loop, value O) *call[R, O, P] {
	kind := value.Kind()
	c, ok := l.pools[kind].Get().(*call[R, O, P])
	if !ok {
		c = &call[R, O, P]{request: request{sample: meter.SampleOf(kind), answer: make(chan error, 1)}}
		c.op = P(&c.value)
	}
	c.value = value
	return c
}

func (c *call[R, O, P]) recycle(l *Loop) {
	var none O
	c.value = none // it holds a caller's data
	c.sample.Skip()
	c.bytes = 0
	c.claim.Store(queued)
	l.pools[c.sample.Kind].Put(c)
}

// do takes one operation from its call to its return. Unlike Do it takes those of
// this package's tests too.
func do[R any, O ops.Operation, P ops.Steps[R, O]](ctx context.Context, l *Loop, value O) (answer R, err error) {
	c := newCall[R, O, P](l, value)
	if err = c.run(ctx, l); err == nil {
		answer = P(&c.value).Answer()
	}
	sample, timing := c.sample, c.timing
	if c.claim.Load() != abandoned {
		c.recycle(l)
	}
	if l.log.to != nil {
		l.log.call(l, value, sample, timing, err)
	}
	if err != nil {
		return answer, l.failed(value, err)
	}
	return answer, nil
}

// failed counts a call that is refused, or that has failed, and says which.
func (l *Loop) failed(op ops.Operation, err error) error {
	l.meter.Failed(op.Kind(), err)
	return ops.Error(op, err)
}

// run prepares a request, on the caller's goroutine, and hands it to the owner.
func (r *request) run(ctx context.Context, l *Loop) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if l.phase.Load() != serving {
		return l.unavailable()
	}
	if l.log.slow > 0 {
		r.timing = meter.Timing{Called: l.meter.Now()}
	}
	if l.intake.weighs {
		defer l.intake.leave(r)
		if err := l.intake.enter(ctx, l, r); err != nil {
			return err
		}
	}
	if err := r.op.Prepare(&l.snapshots); err != nil {
		return err
	}
	if l.intake.dates && !r.sample.Kind.ReadOnly() {
		r.now = store.TimeOf(time.Now())
	}
	if l.meter.Next(&r.sample) {
		r.timing.Sent = l.meter.Now()
	}
	err := r.handOff(ctx, l)
	for errors.Is(err, ops.ErrAgain) || errors.Is(err, ops.ErrNothingReady) {
		err = r.again(ctx, l)
	}
	return err
}

// again does what was prepared for a session that was replaced since then.
func (r *request) again(ctx context.Context, l *Loop) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if err := r.op.Prepare(&l.snapshots); err != nil {
		return err
	}
	r.claim.Store(queued)
	return r.handOff(ctx, l)
}

// handOff sends a request to the owner, and waits for its answer, or until ctx
// ends and the owner does not have it yet.
func (r *request) handOff(ctx context.Context, l *Loop) error {
	select {
	case l.inbox <- r:
	default:
		if err := l.squeeze(ctx, r); err != nil {
			return err
		}
	}
	l.meter.Sent(len(l.inbox)) // here, since that is in the callers' caches
	if l.phase.Load() == ended && r.abandon() {
		l.intake.release(r) // the owner may never come to it
		return l.unavailable()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		if r.abandon() {
			return cancelled(ctx)
		}
	}
	return <-r.answer // the owner has it
}

// squeeze sends a request when there is a place for it in the full inbox.
func (l *Loop) squeeze(ctx context.Context, r *request) error {
	if l.intake.refuseWhenFull {
		size := int64(cap(l.inbox))
		return &store.LimitError{Limit: "inbox_size", Most: size, Asked: size + 1, Busy: true}
	}
	l.meter.Waiting(1)
	defer l.meter.Waiting(-1)
	select {
	case l.inbox <- r:
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	case <-l.done:
		return l.unavailable()
	}
}

// abandon takes the request back from the owner, if that has not claimed it.
func (r *request) abandon() bool { return r.claim.CompareAndSwap(queued, abandoned) }

// take claims a request for the owner, or gives back what it held if its caller
// has gone.
func (l *Loop) take(r *request) bool {
	if r.claim.CompareAndSwap(queued, claimed) {
		return true
	}
	l.intake.release(r)
	return false
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
