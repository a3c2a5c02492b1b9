package storetest_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// trimsRuntimeIDs takes an id and the same id with a space after it for one.
type trimsRuntimeIDs struct{ *loopstore.Loop }

func trim(id store.RuntimeID) store.RuntimeID {
	return store.RuntimeID(strings.TrimRight(string(id), " "))
}

func (s trimsRuntimeIDs) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return s.Loop.PersistRuntimeState(ctx, trim(id), state)
}

func (s trimsRuntimeIDs) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return s.Loop.LoadRuntimeState(ctx, trim(id))
}

// aliasesSlices keeps the caller's own bytes as the snapshot.
type aliasesSlices struct {
	*loopstore.Loop
	mu   sync.Mutex
	kept map[store.RuntimeID][]byte
}

func (s *aliasesSlices) keep(id store.RuntimeID, d store.SessionDelta) {
	if s.kept == nil {
		s.kept = map[store.RuntimeID][]byte{}
	}
	if delete(s.kept, id); d.Format == store.FormatUnset {
		s.kept[id] = d.SessionSnapshot
	}
}

func (s *aliasesSlices) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err == nil {
		s.keep(id, c.Session)
	}
	return receipt, err
}

func (s *aliasesSlices) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Loop.AtomicApply(ctx, id, a)
	if err == nil && a.Session != nil {
		s.keep(id, *a.Session)
	}
	return err
}

func (s *aliasesSlices) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot, ok, err := s.Loop.LoadSessionSnapshot(ctx, id)
	if kept, has := s.kept[id]; ok && has {
		snapshot = bytes.Clone(kept)
	}
	return snapshot, ok, err
}

// handsOutItsOwn returns the same receipt each time, not a copy.
type handsOutItsOwn struct {
	*loopstore.Loop
	mu       sync.Mutex
	receipts map[handedOut]store.RunBoundaryReceipt
}

type handedOut struct {
	id       store.RuntimeID
	run      store.RunID
	sequence uint64
}

func (s *handsOutItsOwn) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipt, ok, err := s.Loop.LoadBoundaryReceipt(ctx, id, run, sequence)
	if !ok {
		return receipt, ok, err
	}
	at := handedOut{id, run, sequence}
	if kept, has := s.receipts[at]; has {
		return kept, true, nil
	}
	if s.receipts == nil {
		s.receipts = map[handedOut]store.RunBoundaryReceipt{}
	}
	s.receipts[at] = receipt
	return receipt, true, nil
}

func (s *handsOutItsOwn) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Loop.AtomicApply(ctx, id, a)
	if err == nil {
		delete(s.receipts, handedOut{id, a.Receipt.RunID, a.Receipt.Sequence})
	}
	return err
}

// stampsTheCallers stamps the updates in the caller's own slice.
type stampsTheCallers struct{ *loopstore.Loop }

func (s stampsTheCallers) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err == nil {
		for i := range c.InputUpdates {
			c.InputUpdates[i].LastRunID, c.InputUpdates[i].LastBoundarySequence = new(receipt.RunID), new(receipt.Sequence)
		}
	}
	return receipt, err
}

// reordersInputs returns inputs ordered by id.
type reordersInputs struct{ *loopstore.Loop }

func (s reordersInputs) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.Loop.LoadInputStates(ctx, id)
	slices.SortFunc(states, func(a, b store.InputState) int { return bytes.Compare(a.InputID[:], b.InputID[:]) })
	return states, err
}
