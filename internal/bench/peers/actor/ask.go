package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A message asks the actor for the step of an operation that needs the state. The library
// delivers every message, whether or not its caller still waits, so the claim decides
// whether actor or caller has it.
type message struct {
	step  ops.Step
	claim atomic.Bool
}

// take claims the message, for the actor or for a caller who gives up. It returns true to
// one of them, who answers the message.
func (m *message) take() bool { return m.claim.CompareAndSwap(false, true) }

// An answer is the result of a message's future.
type answer struct{ err error }

// An owner is the actor. Only it touches the state.
type owner struct {
	state   state.State
	failed  bool // an operation panicked
	stopped chan struct{}
}

// Receive serves the messages, one at a time.
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

// serve applies the step of a message. After a panic nothing more is served, because the
// state may be half changed. The library itself would restart the actor and leave the caller
// without an answer.
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

// run makes a call, but for copying its answer.
func (s *Store) run(ctx context.Context, call ops.Call) error {
	err := ops.ErrAgain
	for errors.Is(err, ops.ErrAgain) {
		if err = s.gate.Enter(ctx); err == nil {
			err = call.Prepare(&s.snapshots)
		}
		if err == nil {
			err = s.ask(ctx, call)
		}
	}
	if err != nil {
		return ops.Error(call, err)
	}
	return nil
}

// ask sends a message and waits for its answer. If ctx ends before the actor has claimed the
// message, the step is never applied.
func (s *Store) ask(ctx context.Context, step ops.Step) error {
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

// send puts a message into the mailbox. After Close it returns store.ErrClosed: the library
// drops what comes behind the message that ends the actor, and its future never completes.
func (s *Store) send(m *message) (*actor.Future, error) {
	s.sending.RLock()
	defer s.sending.RUnlock()
	if err := s.gate.Pass(); err != nil {
		return nil, err
	}
	const forever = -1 // a time-out would not say whether the step was applied
	return s.system.Root.RequestFuture(s.owner, m, forever), nil
}
