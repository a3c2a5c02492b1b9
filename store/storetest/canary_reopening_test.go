package storetest_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

// A logged loop can be reopened: it logs every write that it acknowledged, and a
// new loop replays the log.
type logged struct {
	*loopstore.Loop
	mu  sync.Mutex
	log []func(context.Context, *logged)
}

// Import, Commit and Runtimes hide the Loop's, which would not be in the log: so there is
// nothing for the chapters that need them.
func (*logged) Import()   {}
func (*logged) Commit()   {}
func (*logged) Runtimes() {}

// keepsTheFirst has one fault: its replay keeps the first state of each runtime
// and drops the later ones.
func keepsTheFirst() storetest.Factory {
	open := func() *logged { return &logged{Loop: loopstore.New(loopstore.Options{})} }
	return storetest.Factory{
		Open: func(testing.TB) store.RuntimeStore { return open() },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore {
			reopened := open()
			for _, again := range s.(*logged).log {
				again(t.Context(), reopened)
			}
			return reopened
		},
	}
}

func (s *logged) note(do func() error, again func(context.Context, *logged)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := do()
	if err == nil {
		s.log = append(s.log, again)
	}
	return err
}

func (s *logged) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return s.note(func() error { return s.Loop.PersistRuntimeState(ctx, id, state) }, func(ctx context.Context, r *logged) {
		if _, has, _ := r.LoadRuntimeState(ctx, id); !has {
			_ = r.PersistRuntimeState(ctx, id, state)
		}
	})
}

func (s *logged) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	kept := state.Clone()
	return s.note(func() error { return s.Loop.PersistInputState(ctx, id, state) }, func(ctx context.Context, r *logged) {
		_ = r.PersistInputState(ctx, id, kept)
	})
}

func (s *logged) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	kept := c
	kept.InputStates = cloned(c.InputStates)
	return s.note(func() error { return s.Loop.AtomicLifecycleCommit(ctx, id, c) }, func(ctx context.Context, r *logged) {
		_ = r.AtomicLifecycleCommit(ctx, id, kept)
	})
}

func (s *logged) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	kept := a
	kept.Receipt, kept.InputUpdates = a.Receipt.Clone(), cloned(a.InputUpdates)
	if a.Session != nil {
		kept.Session = new(*a.Session)
		kept.Session.SessionSnapshot = bytes.Clone(a.Session.SessionSnapshot)
	}
	return s.note(func() error { return s.Loop.AtomicApply(ctx, id, a) }, func(ctx context.Context, r *logged) {
		_ = r.AtomicApply(ctx, id, kept)
	})
}

func (s *logged) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (receipt store.RunBoundaryReceipt, err error) {
	kept := c
	kept.Session.SessionSnapshot = bytes.Clone(c.Session.SessionSnapshot)
	kept.ContributingInputIDs, kept.InputUpdates = slices.Clone(c.ContributingInputIDs), cloned(c.InputUpdates)
	err = s.note(func() (err error) {
		receipt, err = s.Loop.CommitSessionBoundary(ctx, id, c)
		return err
	}, func(ctx context.Context, r *logged) { _, _ = r.CommitSessionBoundary(ctx, id, kept) })
	return receipt, err
}

func cloned(states []store.InputState) []store.InputState {
	all := make([]store.InputState, len(states))
	for i := range states {
		all[i] = states[i].Clone()
	}
	return all
}

// forgets loses everything when it is reopened.
func forgets() storetest.Factory {
	f := faulty(func(l *loopstore.Loop) store.RuntimeStore { return l })
	f.Reopen = func(t testing.TB, _ store.RuntimeStore) store.RuntimeStore { return f.Open(t) }
	return f
}
