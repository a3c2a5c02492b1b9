package loopstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// An intake says which calls are let in, and when they must wait.
type intake struct {
	limits         store.Limits
	weighs         bool // something counts the weight of a request
	dates          bool // something asks for the time of a write
	refuseWhenFull bool
	tombstones     bool // some are kept; Stats says so

	// The room in flight bounds the payload bytes of the calls under way.
	most  int64               // 0 is without bounds
	room  *semaphore.Weighted // nil likewise
	taken *atomic.Int64
}

func newIntake(opts Options) intake {
	in := intake{limits: opts.Limits, refuseWhenFull: opts.RefuseWhenFull, tombstones: !opts.Tombstones.IsZero(), dates: stateOf(opts).NeedsTime(), taken: new(atomic.Int64)}
	if opts.BytesInFlight > 0 {
		in.most, in.room = opts.BytesInFlight, semaphore.NewWeighted(opts.BytesInFlight)
	}
	in.weighs = in.room != nil || opts.Limits != store.Limits{}
	return in
}

// enter refuses a request that is over a limit, and takes room for its payload.
func (in *intake) enter(ctx context.Context, l *Loop, r *request) error {
	weight := r.op.Weigh()
	if err := weight.Check(in.limits); err != nil {
		return err
	}
	if l.durable != nil && int64(weight.Snapshot) > l.durable.batchBytes {
		if err := l.checkSession(ctx, r.op, weight.Snapshot); err != nil {
			return err
		}
	}
	n := weight.Bytes
	r.bytes = n
	switch {
	case in.room == nil || n == 0:
		return nil
	case n > in.most:
		return &store.LimitError{Limit: "bytes_in_flight", Most: in.most, Asked: n}
	case in.room.TryAcquire(n):
	case in.refuseWhenFull:
		return &store.LimitError{Limit: "bytes_in_flight", Most: in.most, Asked: max(in.taken.Load()+n, in.most+1), Busy: true}
	default:
		l.meter.Waiting(1)
		defer l.meter.Waiting(-1)
		if in.room.Acquire(until{context.Background(), ctx.Done()}, n) != nil {
			return cancelled(ctx)
		}
	}
	in.taken.Add(n)
	r.taken.Store(n)
	if l.phase.Load() != serving { // it was a long wait
		return l.unavailable()
	}
	return nil
}

// checkSession refuses a session that is more than a batch longer than what stands, before
// it is read: that much of it is new, whatever it shares.
func (l *Loop) checkSession(ctx context.Context, op ops.Operation, bytes int) error {
	id, one := op.Runtime()
	most := l.durable.batchBytes
	if !one || most == 0 {
		return nil
	}
	view, err := Do(ctx, l, ops.LoadView{RuntimeID: id})
	if err != nil {
		return errors.Unwrap(err) // the caller did not ask for load_view
	}
	stands := 0
	if version, ok := view.Session(); ok {
		stands = version.Snapshot.Len()
	}
	if more := int64(bytes - stands); more > most {
		return fmt.Errorf("%w: the session is %d bytes longer than what stands, the journal takes %d at once", journal.ErrRejected, more, most)
	}
	return nil
}

// leave gives back the room of a request that its caller has not abandoned. Of
// one that was, the owner gives it back when it comes to it.
func (in *intake) leave(r *request) {
	if r.claim.Load() != abandoned {
		in.release(r)
	}
}

// release gives back the room of a request, once.
func (in *intake) release(r *request) {
	if n := r.taken.Swap(0); n > 0 {
		in.taken.Add(-n)
		in.room.Release(n)
	}
}

// A line has the claims that wait for something to claim, first come, first served. The owner
// has not taken them: a caller may give one up as in the inbox, and nothing has happened
// then.
type line struct {
	parts  []queuing // by what they ask for
	joined uint64    // so far
}

type queuing struct {
	lines   state.Lines
	waiting []joined
	most    int // before those that were given up are taken out
}

type joined struct {
	*request
	number uint64
}

// join puts a claim at the end, and reports whether it has. One that can never be served is
// none for it.
func (q *line) join(s *state.State, r *request) bool {
	if r.sample.Kind != ops.KindClaimNext {
		return false
	}
	lines, err := r.op.(*ops.ClaimNext).Lines(s)
	if err != nil {
		return false
	}
	at := slices.IndexFunc(q.parts, func(p queuing) bool { return p.lines == lines })
	if at < 0 {
		at = len(q.parts)
		q.parts = append(q.parts, queuing{lines: lines})
	}
	p := &q.parts[at]
	if len(p.waiting) >= p.most {
		p.waiting = slices.DeleteFunc(p.waiting, func(j joined) bool { return j.claim.Load() == abandoned })
		p.most = max(64, 2*len(p.waiting))
	}
	p.waiting = append(p.waiting, joined{r, q.joined})
	q.joined++
	return true
}

// next takes the first claim for which there is something, nil if there is none, or it has
// more bytes than there is room for.
func (l *Loop) next(s *state.State, room int64) *request {
	for {
		p, bytes := l.line.first(s)
		if p == nil || bytes > room {
			return nil
		}
		r := p.waiting[0].request
		p.waiting[0] = joined{}
		p.waiting = p.waiting[1:]
		if !l.take(r) {
			continue
		}
		now := s.Now
		if now.IsZero() { // a read came last
			now = store.TimeOf(time.Now())
		}
		if now.Time().After(r.now.Time()) {
			r.now = now
		}
		if r.sample.Timed() { // it waited for the owner only from now on
			waited := l.meter.Now() - r.timing.Sent
			r.timing.Sent += waited
			r.timing.Called += waited
		}
		r.bytes = bytes
		return r
	}
}

// first returns the part of the line whose first claim is to be served next, and how many
// payload bytes the input has.
func (q *line) first(s *state.State) (first *queuing, bytes int64) {
	for i := range q.parts {
		p := &q.parts[i]
		if len(p.waiting) == 0 || first != nil && first.waiting[0].number < p.waiting[0].number {
			continue
		}
		if _, next := s.Next(p.lines); next != nil {
			first, bytes = p, int64(next.PayloadBytes())
		}
	}
	return first, bytes
}

// leaveLine refuses all claims that wait.
func (l *Loop) leaveLine() {
	for _, p := range l.line.parts {
		for _, j := range p.waiting {
			l.refuse(j.request)
		}
	}
}

// until is a context that ends with a channel. No code of a caller's runs in it.
type until struct {
	context.Context
	end <-chan struct{}
}

func (u until) Done() <-chan struct{} { return u.end }

func (u until) Err() error {
	select {
	case <-u.end:
		return context.Canceled
	default:
		return nil
	}
}
