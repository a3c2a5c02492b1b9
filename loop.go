package loopstore

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/internal/meter"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Loop is a store in memory, owned by one goroutine. Its methods may be
// called from any number of goroutines. New or Open makes one, and Close ends
// it; the zero value is of no use.
//
// It is a [store.RuntimeStore], where the operations are described in full.
// The error of an operation is a *store.OpError, and nothing was applied then: see
// Definite, above, for the exceptions.
type Loop struct {
	inbox   chan *request // never closed; nil is Close's request to stop
	phase   atomic.Uint32 // only grows
	done    chan struct{} // closed when the owner has ended
	failure atomic.Pointer[failure]
	wakers  sync.WaitGroup // goroutines that wake those who wait for the end of views

	pools     [ops.NumKinds]sync.Pool // of calls; not the package's, since a channel must stay in its synctest bubble
	snapshots state.Snapshots         // that the owner holds, for a look at what stands
	meter     *meter.Meter

	intake  intake
	line    line // only the owner uses it
	log     logger
	durable *journaled // nil without a journal
}

// A failure is what ended the service: a *store.PanicError, or a
// *store.JournalError.
type failure struct{ error }

// The phases of a Loop.
const (
	serving uint32 = iota
	closing        // no new call is let in; those under way are answered
	ended          // the owner takes nothing more
)

var (
	_ store.RuntimeStore = (*Loop)(nil)
	_ batch.Committer    = (*Loop)(nil)
	_ state.Viewer       = (*Loop)(nil)
	_ state.InputLoader  = (*Loop)(nil)
	_ state.Watcher      = (*Loop)(nil)
	_ state.Historian    = (*Loop)(nil)
)

// New starts a store that is in memory only: [Open] starts one with a journal.
// Close must be called when it is no longer used. A Loop that is made in a
// synctest bubble belongs to it, and one that is made outside must not be used
// in one: that is how channels are.
func New(opts Options) *Loop {
	l := prepare(opts)
	go l.own(l.state(opts))
	l.log.start(l)
	return l
}

// prepare returns a Loop that has no owner yet.
func prepare(opts Options) *Loop {
	if opts.InboxSize <= 0 {
		opts.InboxSize = defaultInboxSize
	}
	return &Loop{
		inbox: make(chan *request, opts.InboxSize), done: make(chan struct{}),
		meter:  meter.New(opts.Logger != nil && opts.SlowThreshold > 0),
		intake: newIntake(opts),
		log:    logger{to: opts.Logger, slow: opts.SlowThreshold},
	}
}

// own is the owner. It serves what stands in the inbox before Close's request,
// and refuses what comes after. It holds the state, as a local, and so nothing
// else can touch it. It sends only to channels with room, and so nobody can
// hold it up.
func (l *Loop) own(s *state.State) {
	defer close(l.done)
	defer l.refuseRest()
	var current *request
	defer func() {
		if v := recover(); v != nil { // the state may be half changed
			failure := l.panicked(v)
			defer l.reply(nil, current, failure)
		}
		s.End().Wake()
	}()
	for current = <-l.inbox; current != nil; current = <-l.inbox {
		if !l.line.join(s, current) {
			l.serve(s, current)
		}
		current = nil
		for r := l.next(s, math.MaxInt64); r != nil; r = l.next(s, math.MaxInt64) {
			current = r
			l.reply(s, r, l.apply(s, r))
			current = nil
		}
	}
}

// serve applies a request and answers it, if its caller still waits.
func (l *Loop) serve(s *state.State, r *request) {
	if l.take(r) {
		l.reply(s, r, l.apply(s, r))
	}
}

// apply does the operation of a request, settles its changes, and wakes those
// who wait for the end of views, on a goroutine of their own: they may be many.
func (l *Loop) apply(s *state.State, r *request) error {
	if r.sample.Timed() {
		l.meter.Begin(&r.timing, r.sample)
	}
	s.Now = r.now
	err := ops.Apply(s, r.op)
	l.wake(s.Settle())
	if r.sample.Timed() {
		l.meter.End(&r.timing, r.sample)
	}
	return err
}

func (l *Loop) wake(waiters state.Waiters) {
	if len(waiters) > 0 {
		l.wakers.Go(waiters.Wake)
	}
}

// reply answers a request. s is nil if nothing was applied.
func (l *Loop) reply(s *state.State, r *request, err error) {
	if s != nil {
		l.count(s, r.sample.Kind, err)
	}
	r.answer <- err
}

// count counts an operation, and shows what is held now.
func (l *Loop) count(s *state.State, kind ops.Kind, err error) {
	if !l.meter.Published(s.Revision()) && !s.Grouping() {
		l.meter.Publish(s.Revision(), s.Totals())
	}
	if err == nil {
		l.meter.Done(kind)
	}
}

// panicked notes the panic that ends the service. It is called where it was
// recovered.
func (l *Loop) panicked(v any) error {
	err := &store.PanicError{Value: fmt.Sprint(v), Stack: string(debug.Stack())}
	l.failure.Store(&failure{err})
	return err
}

// refuseRest ends the service. A request that is sent before the inbox is
// found empty is refused here; the sender of a later one sees the phase.
func (l *Loop) refuseRest() {
	l.phase.Store(ended)
	l.leaveLine()
	for {
		select {
		case r := <-l.inbox:
			l.refuse(r)
		default:
			return
		}
	}
}

// refuse answers a request that is not applied. It may be nil.
func (l *Loop) refuse(r *request) {
	if r != nil && l.take(r) {
		l.reply(nil, r, l.unavailable())
	}
}

// Close stops the intake, lets what stands in the inbox be answered, and returns
// when the owner has ended and has given up its journal. It may be called at any
// time, from anywhere and more than once. It returns nil, or what ended the store
// before: a *store.PanicError or a *store.JournalError, or else the error of the
// journal's own Close.
func (l *Loop) Close() error {
	first := l.phase.CompareAndSwap(serving, closing)
	if first {
		select {
		case l.inbox <- nil:
		case <-l.done:
		}
	}
	<-l.done
	l.wakers.Wait()
	if failure := l.failure.Load(); failure != nil {
		l.log.failed(failure.error)
		return failure.error
	}
	if first {
		l.log.closed(l)
	}
	return l.durable.closed()
}

// unavailable is the error of a call that the owner does not take any more.
func (l *Loop) unavailable() error {
	failure := l.failure.Load()
	if failure == nil {
		return store.ErrClosed
	}
	if _, panicked := failure.error.(*store.PanicError); panicked {
		return fmt.Errorf("an earlier operation panicked: %w", failure.error)
	}
	return failure.error
}

// Do runs an operation of package ops and returns its answer. The methods of
// Loop are short for it; it is for callers who make their requests as values.
func Do[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, l *Loop, op O) (R, error) {
	return do[R, O, P](ctx, l, op)
}

// Commit applies a batch: all of its writes, in order, or none. It fails with
// store.ErrConflict if a condition does not hold.
func (l *Loop) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	return Do(ctx, l, ops.Commit{Batch: b})
}

// LoadSession returns the latest snapshot that AtomicApply has filed under a
// session's id, its SessionStoreKey. Other operations file none. It is that of
// the runtime which filed it last, and goes when that runtime is deleted.
func (l *Loop) LoadSession(ctx context.Context, id store.SessionID) (store.Snapshot, bool, error) {
	found, err := Do(ctx, l, ops.LoadSession{SessionID: id})
	return found.Value, found.OK, err
}

// CommitSessionBoundary stores a session snapshot, the receipt that it mints, and
// input updates that it stamps. It returns the receipt.
func (l *Loop) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return Do(ctx, l, ops.CommitSessionBoundary{RuntimeID: id, Commit: commit})
}

// AtomicApply stores a receipt of the caller's, with any snapshot and input
// updates.
func (l *Loop) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := Do(ctx, l, ops.AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

// LoadInputStates returns all input states, in the order in which their inputs
// were first stored.
func (l *Loop) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return Do(ctx, l, ops.LoadInputStates{RuntimeID: id})
}

// LoadInputState returns the state of one input.
func (l *Loop) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := Do(ctx, l, ops.LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (l *Loop) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := Do(ctx, l, ops.LoadBoundaryReceipt{RuntimeID: id, RunID: run, Sequence: sequence})
	return found.Value, found.OK, err
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (l *Loop) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := Do(ctx, l, ops.LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

// LoadRuntimeState returns the runtime's state.
func (l *Loop) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := Do(ctx, l, ops.LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

// PersistInputState stores an input's state, at the end of the order or in the
// place of the one that stands.
func (l *Loop) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := Do(ctx, l, ops.PersistInputState{RuntimeID: id, State: state})
	return err
}

// PersistRuntimeState stores the runtime's state.
func (l *Loop) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := Do(ctx, l, ops.PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (l *Loop) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := Do(ctx, l, ops.AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}
