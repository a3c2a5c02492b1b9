// Package locked has the operations of a loopstore.Loop on a [state.State]
// behind a mutex: for services to whom half a microsecond per operation matters
// more than what the loop gives, and to measure the loop against.
//
// It is a store.RuntimeStore with batches, views, watching and the past of sessions,
// within the Limits and the Retention of its State. Only the step that needs the state
// runs under the mutex; reading, hashing and copying do not. What it lacks: a call that waits for the mutex cannot be given up, and a panic in
// an operation unwinds its caller. There is no journal, and no method that deletes,
// prunes, lists, exports, imports or loads a filed session; no statistics or
// log. While it is not in use, operations of package ops do those on its State.
package locked

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Store is a State behind a mutex. New makes one.
type Store struct {
	ops.Forward

	mu        sync.Mutex
	state     *state.State
	snapshots state.Snapshots
	closed    atomic.Bool
	failed    bool // an operation panicked
}

var _ state.Watcher = (*Store)(nil)

// New returns a store behind a mutex. The state is the store's until Close has
// returned: nothing else may use it.
func New(s *state.State) *Store {
	l := &Store{state: s}
	l.Forward = l.run
	if s != nil {
		s.Snapshots = &l.snapshots
	}
	return l
}

// Close ends all views. Later calls get store.ErrClosed. It returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed.Swap(true) {
		s.state.End().Wake()
	}
	return nil
}

// run makes a call, but for copying its answer.
func (s *Store) run(ctx context.Context, call ops.Call) error {
	err := ops.ErrAgain
	for errors.Is(err, ops.ErrAgain) {
		if err = s.usable(ctx); err == nil {
			err = call.Prepare(&s.snapshots)
		}
		if err == nil {
			err = s.apply(call)
		}
	}
	if err != nil {
		return ops.Error(call, err)
	}
	return nil
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

// apply does the step under the mutex, and wakes those who wait for it.
func (s *Store) apply(call ops.Call) error {
	var waiters state.Waiters
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
	if s.state.NeedsTime() && !call.Kind().ReadOnly() {
		s.state.Now = store.TimeOf(time.Now())
	}
	err := call.Weigh().Check(s.state.Limits)
	if err == nil {
		err = ops.Apply(s.state, call)
	}
	waiters = s.state.Settle()
	s.failed = false
	return err
}

// Watch yields the newest view whenever its version differs from that of the view
// before; at first after stands in for that.
func (s *Store) Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*state.View, error] {
	return func(yield func(*state.View, error) bool) {
		for version := after; ; {
			v, err := s.View(ctx, id)
			if err != nil {
				yield(nil, err)
				return
			}
			if v.Version() != version {
				version = v.Version()
				if !yield(v, nil) {
					return
				}
			}
			select {
			case <-v.Changed():
			case <-ctx.Done():
			}
		}
	}
}
