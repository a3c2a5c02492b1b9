// Package actor is a store in an actor of Proto.Actor for Go
// (github.com/asynkron/protoactor-go, the commit 3c0e61ca19c9 of 2024-08-22: it
// has no release): loopstore's own design in an actor library. One actor has a
// state.State, and the operations of package ops come to it as messages whose
// answers are futures.
//
// The library does not give all that loopstore promises. This package makes up for some
// of it:
//
//   - A future waits without a context, and a message that was sent is always
//     delivered. So a message has a claim, which the actor takes, or the caller whose
//     context ends. Whoever takes it first completes the future.
//   - The library drops what is in the mailbox behind the message that ends the actor,
//     and its futures never complete. So Close and the senders share a lock.
//   - An actor that panics is restarted, and its caller gets no answer. So a panic is
//     caught, and nothing is served after it.
//   - The mailbox has no bound. A bounded one would block its sender without a context.
package actor

import (
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Store asks an actor. [Open] starts one.
type Store struct {
	ops.Forward

	gate    rules.Gate
	sending sync.RWMutex // senders share it, Close has it alone
	system  *actor.ActorSystem
	owner   *actor.PID
	stopped chan struct{} // closed when the actor has ended

	snapshots state.Snapshots // that the actor's State holds
}

var _ store.RuntimeStore = (*Store)(nil)

// Open starts an actor system with one actor, which has an empty State.
func Open() *Store {
	s := &Store{
		system: actor.NewActorSystem(
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		),
		stopped: make(chan struct{}),
	}
	s.Forward = s.run
	s.owner = s.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &owner{state: state.State{Snapshots: &s.snapshots}, stopped: s.stopped}
	}))
	return s
}

// Close lets the actor answer what is in its mailbox, then ends it and its system. Later
// calls get store.ErrClosed. It returns nil.
func (s *Store) Close() error {
	s.sending.Lock()
	first := s.gate.Shut()
	s.sending.Unlock()
	if first {
		s.system.Root.Poison(s.owner)
	}
	<-s.stopped
	if first {
		s.system.Shutdown()
	}
	return nil
}
