package actor

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A message asks the actor for the step of an operation that needs the state.
// The library delivers what it has taken, whether or not the caller still waits,
// so actor and caller settle by claim who has it.
type message struct {
	step  interface{ Apply(*state.State) error }
	claim atomic.Bool
}

// take claims the message, for the actor or for the caller who gives up. Only
// one of them gets it, and answers it.
func (m *message) take() bool { return m.claim.CompareAndSwap(false, true) }

// An answer is what the future of a message comes to.
type answer struct{ err error }

// An owner is the actor. Only it touches the state.
type owner struct {
	state   state.State
	failed  bool // an operation panicked
	stopped chan struct{}
}

// Receive does the messages, one at a time.
func (o *owner) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *message:
		if m.take() {
			c.Respond(answer{o.serve(m)})
		}
	case *actor.Stopped:
		o.state.End().Wake()
		close(o.stopped)
	}
}

// serve does a message. After a panic the state may be half changed, so nothing
// is served any more. Left to itself the library would restart the actor, and
// leave the caller without an answer.
func (o *owner) serve(m *message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			o.failed = true
			err = &store.PanicError{Value: fmt.Sprint(v), Stack: string(debug.Stack())}
		}
	}()
	if o.failed {
		return store.ErrFailed
	}
	err = m.step.Apply(&o.state)
	o.state.Settle().Wake()
	return err
}

// run takes one operation from its call to its return.
func run[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, s *Store, op O) (answer R, err error) {
	p := P(&op)
	if err = s.gate.Enter(ctx); err == nil {
		err = p.Prepare()
	}
	if err == nil {
		err = s.ask(ctx, p)
	}
	if err != nil {
		return answer, ops.Error(op, err)
	}
	return p.Answer(), nil
}

// ask sends a message and waits for what becomes of it. If ctx ends before the
// actor has the message it never has it.
func (s *Store) ask(ctx context.Context, step interface{ Apply(*state.State) error }) error {
	m := &message{step: step}
	future, err := s.send(m)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { // a future waits without a context
		if m.take() {
			s.system.Root.Send(future.PID(), answer{ctx.Err()})
		}
	})
	defer stop()
	reply, err := future.Result()
	if err != nil {
		return err
	}
	return reply.(answer).err
}

// send puts a message into the mailbox. It does so before Close has put the one
// that ends the actor there, or not at all: what comes after that the library
// drops, and its future never ends.
func (s *Store) send(m *message) (*actor.Future, error) {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if err := s.gate.Pass(); err != nil {
		return nil, err
	}
	const forever = -1 // a time-out would say nothing of what was applied
	return s.system.Root.RequestFuture(s.owner, m, forever), nil
}
