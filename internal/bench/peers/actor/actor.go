// Package actor is a store in an actor of Proto.Actor for Go
// (github.com/asynkron/protoactor-go, the commit 3c0e61ca19c9 of 2024-08-22: it
// has no release): loopstore's own design in an actor library. One actor has a
// store.State, and the operations of package ops come to it as messages whose
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
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A Store asks an actor. [Open] starts one.
type Store struct {
	gate    rules.Gate
	sending sync.RWMutex // senders share it, Close has it alone
	system  *actor.ActorSystem
	owner   *actor.PID
	stopped chan struct{} // closed when the actor has ended
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
	s.owner = s.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &owner{stopped: s.stopped} }))
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

// CommitSessionBoundary stores a session snapshot, the receipt that it mints, and the input
// updates that it stamps. It asks the actor first for the session that stands, so that one
// that has grown is read from where that ends.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	op := ops.CommitSessionBoundary{RuntimeID: id, Commit: commit}
	for want, wants := op.Look(); wants; want, wants = op.Look() {
		document, err := run(ctx, s, want)
		if err != nil {
			return store.RunBoundaryReceipt{}, ops.Error(op, errors.Unwrap(err))
		}
		op.Use(document)
	}
	return run(ctx, s, op)
}

// AtomicApply stores the caller's receipt, with any snapshot and input updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	_, err := run(ctx, s, ops.AtomicApply{RuntimeID: id, Commit: apply})
	return err
}

// LoadInputStates returns all input states, in order.
func (s *Store) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	return run(ctx, s, ops.LoadInputStates{RuntimeID: id})
}

// LoadInputState returns the state of one input.
func (s *Store) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	found, err := run(ctx, s, ops.LoadInputState{RuntimeID: id, InputID: input})
	return found.Value, found.OK, err
}

// LoadBoundaryReceipt returns the receipt of one boundary.
func (s *Store) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, runID store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	found, err := run(ctx, s, ops.LoadBoundaryReceipt{RuntimeID: id, RunID: runID, Sequence: sequence})
	return found.Value, found.OK, err
}

// LoadSessionSnapshot returns the latest snapshot, byte for byte.
func (s *Store) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	found, err := run(ctx, s, ops.LoadSessionSnapshot{RuntimeID: id})
	return found.Value, found.OK, err
}

// LoadRuntimeState returns the runtime's state.
func (s *Store) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	found, err := run(ctx, s, ops.LoadRuntimeState{RuntimeID: id})
	return found.Value, found.OK, err
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	_, err := run(ctx, s, ops.PersistInputState{RuntimeID: id, State: state})
	return err
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	_, err := run(ctx, s, ops.PersistRuntimeState{RuntimeID: id, State: state})
	return err
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	_, err := run(ctx, s, ops.AtomicLifecycleCommit{RuntimeID: id, Commit: commit})
	return err
}
