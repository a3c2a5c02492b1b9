package storetest_test

import (
	"context"
	"errors"
	"runtime"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

type ignoresContext struct{ *loopstore.Loop }

func (s ignoresContext) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return s.Loop.PersistRuntimeState(context.WithoutCancel(ctx), id, state)
}

// deniesWhatItApplied checks the context again after it has applied a write.
type deniesWhatItApplied struct{ *loopstore.Loop }

func (s deniesWhatItApplied) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := s.Loop.PersistInputState(ctx, id, state); err != nil {
		return err
	}
	runtime.Gosched()
	return ctx.Err()
}

// deniesABatch does the same after it has applied a batch.
type deniesABatch struct{ *loopstore.Loop }

func (s deniesABatch) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	if err := s.Loop.AtomicLifecycleCommit(ctx, id, c); err != nil {
		return err
	}
	for range 20 {
		runtime.Gosched()
	}
	return ctx.Err()
}

type answersAfterClose struct{ *loopstore.Loop }

func (s answersAfterClose) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	state, ok, err := s.Loop.LoadRuntimeState(ctx, id)
	if errors.Is(err, store.ErrClosed) {
		err = nil
	}
	return state, ok, err
}

func leaksAGoroutine(l *loopstore.Loop) store.RuntimeStore {
	go func() { select {} }()
	return l
}
