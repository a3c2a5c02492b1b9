package storetest_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// showsHalfAnImport shows the states of some runtimes before the rest of an import is
// there.
type showsHalfAnImport struct {
	*loopstore.Loop
	half atomic.Pointer[loopstore.Loop]
	seen atomic.Int64 // how often it was asked
}

func (s *showsHalfAnImport) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return store.Totals{}, err
	}
	half := loopstore.New(loopstore.Options{})
	defer func() { _ = half.Close() }()
	if _, err := half.Import(ctx, bytes.NewReader(file)); err == nil && s.Stats().Held == (store.Totals{}) {
		s.seen.Store(0)
		s.half.Store(half)
		for wait := 0; s.seen.Load() < 100 && wait < 300; wait++ { // there may be nobody who looks
			time.Sleep(time.Millisecond)
		}
		s.half.Store(nil)
	}
	return s.Loop.Import(ctx, bytes.NewReader(file))
}

func (s *showsHalfAnImport) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	if half := s.half.Load(); half != nil {
		s.seen.Add(1)
		if state, ok, err := half.LoadRuntimeState(ctx, id); err == nil {
			return state, ok, nil
		}
	}
	return s.Loop.LoadRuntimeState(ctx, id)
}

// losesAPiece has not all of an import when it is reopened.
type losesAPiece struct {
	*loopstore.Loop
	imported atomic.Bool
}

func (s *losesAPiece) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	held, err := s.Loop.Import(ctx, r)
	s.imported.Store(err == nil)
	return held, err
}

func losePiece(l *loopstore.Loop, before store.RuntimeStore) store.RuntimeStore {
	if was, ok := before.(*losesAPiece); ok && was.imported.Load() {
		v, _ := l.View(context.Background(), "large")
		for input := range v.InputStates() {
			_, _ = l.Commit(context.Background(), batch.Batch{Then: []batch.Write{batch.DeleteInputState{RuntimeID: "large", InputID: input.InputID}}})
			break
		}
	}
	return &losesAPiece{Loop: l}
}

// comesBack keeps the inputs of large runtimes that are deleted, and half of them come
// back when it is reopened.
type comesBack struct {
	*loopstore.Loop
	deleted []batch.Write
}

func (s *comesBack) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	for _, w := range b.Then {
		if w, ok := w.(batch.DeleteRuntime); ok {
			if v, err := s.View(ctx, w.RuntimeID); err == nil && v.NumInputStates() >= 100 {
				s.deleted = nil
				for input := range v.InputStates() {
					s.deleted = append(s.deleted, batch.PutInputState{RuntimeID: w.RuntimeID, State: input})
				}
			}
		}
	}
	return s.Loop.Commit(ctx, b)
}

func bringBackHalf(l *loopstore.Loop, before store.RuntimeStore) store.RuntimeStore {
	if was, ok := before.(*comesBack); ok {
		_, _ = l.Commit(context.Background(), batch.Batch{Then: was.deleted[len(was.deleted)/2:]})
	}
	return &comesBack{Loop: l}
}
