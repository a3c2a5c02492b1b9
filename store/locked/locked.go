// Package locked has the operations of a loopstore.Loop on a [store.State]
// behind a lock: what to use where half a microsecond per operation matters
// more than what the loop gives, and what the loop is measured against.
//
// It is a store.RuntimeStore with batches, views and watching. Only the step
// that needs the state runs under the lock; reading, hashing and copying do not.
// What it lacks: a call that waits for the lock cannot be given up, a panic in
// an operation unwinds its caller, and there are no limits, statistics or log.
package locked

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A Store is a State behind a lock. [New] makes one.
type Store struct {
	mu     sync.Mutex // guards state and failed
	state  *store.State
	closed atomic.Bool
	failed bool // an operation panicked
}

var (
	_ store.RuntimeStore = (*Store)(nil)
	_ store.Committer    = (*Store)(nil)
	_ store.Viewer       = (*Store)(nil)
	_ store.Watcher      = (*Store)(nil)
)

// New returns a store behind a sync.Mutex. The state is the store's until Close
// has returned: nothing else may use it.
func New(state *store.State) *Store { return &Store{state: state} }

// Close ends all views. Later calls get store.ErrClosed. It returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed.Swap(true) {
		s.state.End().Wake()
	}
	return nil
}

// run takes one operation from its call to its return.
func run[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, s *Store, op O) (answer R, err error) {
	p := P(&op)
	if err = s.usable(ctx); err == nil {
		err = p.Prepare()
	}
	if err == nil {
		err = apply[R, O, P](s, p)
	}
	if err != nil {
		return answer, ops.Error(op, err)
	}
	return p.Answer(), nil
}

func (s *Store) usable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.closed.Load():
		return store.ErrClosed
	}
	return nil
}

// apply does the step under the lock, and wakes those who wait for it.
func apply[R any, O ops.Request[R], P ops.Steps[R, O]](s *Store, p P) error {
	var waiters store.Waiters
	defer func() { waiters.Wake() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed:
		return store.ErrFailed
	case s.closed.Load():
		return store.ErrClosed
	}
	s.failed = true // until this is done: after a panic the state may be half changed
	err := p.Apply(s.state)
	waiters = s.state.Settle()
	s.failed = false
	return err
}

// look hands an operation the session documents that stand, as the loop does.
func (s *Store) look(ctx context.Context, op ops.Looker) error {
	for want, wants := op.Look(); wants; want, wants = op.Look() {
		document, err := run(ctx, s, want)
		if err != nil {
			return err
		}
		op.Use(document)
	}
	return nil
}
