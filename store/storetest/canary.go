package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// A Canary is a store that is wrong in one way. A suite that passes it has
// missed that.
type Canary struct {
	Name    string // what is wrong with it
	Chapter string // of [Run], where it fails; unless it never writes, it passes the others
	Promise string // of that chapter, one that it breaks
	Factory Factory
}

// Canaries returns stores that are wrong on purpose, each a loopstore.Loop with
// one fault. They are for tests of a suite, [Run] or another. The one that
// leaks a goroutine does so for good: run it in a process of its own.
func Canaries() []Canary {
	return append([]Canary{
		{"loses leap seconds", "values", "a time comes back to the nanosecond, in a leap second too",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return losesLeapSeconds{l} })},
		{"writes a persisted input anew", "values", "an input state comes back with every member",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return compactsInputs{l} })},
		{"never writes", "operations", "CommitSessionBoundary mints a receipt, stores it and returns it",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return neverWrites{l} })},
		{"drops the snapshot without a session", "operations", "AtomicApply without a session leaves the snapshot",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return dropsTheSnapshot{l} })},
		{"digests the text as it came", "operations", "the digest is the same however a conversation is spelled",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return digestsTheText{l} })},
		{"half-applies a batch", "atomicity", "a lifecycle commit that is refused for one input changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return halfApplies{l} })},
		{"overwrites on a refused commit", "atomicity", "a commit that is refused for its snapshot changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return overwritesOnRefusal{l} })},
		{"trims runtime ids", "isolation", "ids that look alike are different runtimes",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return trimsRuntimeIDs{l} })},
		{"aliases its slices", "privacy", "AtomicApply copies what it is given",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &aliasesSlices{Loop: l} })},
		{"hands out its own memory", "privacy", "LoadBoundaryReceipt returns a receipt of the caller's own",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &handsOutItsOwn{Loop: l} })},
		{"stamps the caller's updates", "privacy", "no write changes its arguments",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return stampsTheCallers{l} })},
		{"reorders inputs", "ordering", "inputs come in the order in which they were first stored",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return reordersInputs{l} })},
		{"loses a concurrent update", "concurrency", "no update is lost",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return losesUpdates{l} })},
		{"mints a sequence twice", "concurrency", "each sequence is minted once, and none is left out",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &mintsTwice{Loop: l} })},
		{"shows half a batch", "concurrency", "a lifecycle commit is seen whole or not at all",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return showsHalfABatch{l} })},
		{"shows the parts of a batch in turn", "concurrency", "AtomicLifecycleCommit takes effect at one moment, in all its parts and for all callers",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return showsPartsInTurn{l} })},
		{"ignores the context", "cancellation", "a call whose context has ended fails with its error and changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return ignoresContext{l} })},
		{"denies what it applied", "cancellation", "what is acknowledged is applied, and nothing else",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return deniesWhatItApplied{l} })},
		{"denies a batch that it applied", "cancellation", "what is acknowledged is applied, and nothing else",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return deniesABatch{l} })},
		{"forgets when it is reopened", "reopening", "everything is there again", forgets()},
		{"reopens with the first version", "reopening", "the latest version of everything is there", keepsTheFirst()},
		{"answers after Close", "closing", "every call after Close gets ErrClosed",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return answersAfterClose{l} })},
		{"leaks a goroutine", "closing", "no goroutine is left behind", faulty(leaksAGoroutine)},
	}, extraCanaries()...)
}

// faulty is of a store that has the ten operations and Close alone: what a Loop
// has besides does not know of a fault in them.
func faulty(spoil func(*loopstore.Loop) store.RuntimeStore) Factory {
	type tenOperations struct {
		store.RuntimeStore
		io.Closer
	}
	return Factory{Open: func(testing.TB) store.RuntimeStore {
		loop := loopstore.New(loopstore.Options{})
		return tenOperations{spoil(loop), loop}
	}}
}

type losesLeapSeconds struct{ *loopstore.Loop }

func (s losesLeapSeconds) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	state.CreatedAt = store.TimeOf(state.CreatedAt.Time())
	return s.Loop.PersistInputState(ctx, id, state)
}

// compactsInputs stores a persisted input as other text of the same JSON.
type compactsInputs struct{ *loopstore.Loop }

func (s compactsInputs) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	state.PersistedInput = slices.Clone(state.PersistedInput)
	_ = state.PersistedInput.Compact() // what is not valid is refused below
	return s.Loop.PersistInputState(ctx, id, state)
}

// neverWrites answers every write as if it were done. It fails nearly
// everywhere.
type neverWrites struct{ *loopstore.Loop }

func (s neverWrites) CommitSessionBoundary(_ context.Context, _ store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return store.RunBoundaryReceipt{RunID: c.RunID, Boundary: c.Boundary}, nil
}

func (s neverWrites) AtomicApply(context.Context, store.RuntimeID, store.BoundaryApply) error {
	return nil
}

func (s neverWrites) PersistInputState(context.Context, store.RuntimeID, store.InputState) error {
	return nil
}

func (s neverWrites) PersistRuntimeState(context.Context, store.RuntimeID, store.RuntimeState) error {
	return nil
}

func (s neverWrites) AtomicLifecycleCommit(context.Context, store.RuntimeID, store.LifecycleCommit) error {
	return nil
}

// dropsTheSnapshot takes no session for an empty one, in an apply of a receipt
// alone.
type dropsTheSnapshot struct{ *loopstore.Loop }

func (s dropsTheSnapshot) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	if a.Session == nil && len(a.InputUpdates) == 0 {
		a.Session = new(store.SessionDelta)
	}
	return s.Loop.AtomicApply(ctx, id, a)
}

// halfApplies stores the inputs that come before the one that it refuses.
type halfApplies struct{ *loopstore.Loop }

func (s halfApplies) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	err := s.Loop.AtomicLifecycleCommit(ctx, id, c)
	if errors.Is(err, store.ErrInvalidValue) && c.RuntimeState.Validate() == nil {
		for _, state := range c.InputStates {
			if s.PersistInputState(ctx, id, state) != nil {
				break
			}
		}
	}
	return err
}

// overwritesOnRefusal stores a snapshot before it reads it.
type overwritesOnRefusal struct{ *loopstore.Loop }

func (s overwritesOnRefusal) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if errors.Is(err, store.ErrInvalidSnapshot) {
		_ = s.AtomicApply(ctx, id, store.BoundaryApply{
			Session: &c.Session, Receipt: store.RunBoundaryReceipt{RunID: store.NewRunID(), Boundary: store.RunStart},
		})
	}
	return receipt, err
}

// digestsTheText takes the messages as they are written for the canonical ones.
type digestsTheText struct{ *loopstore.Loop }

func (s digestsTheText) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	var document struct{ Messages json.RawMessage }
	if err != nil || json.Unmarshal(c.Session.SessionSnapshot, &document) != nil {
		return receipt, err
	}
	var text bytes.Buffer
	_ = json.Compact(&text, document.Messages)
	if digest := digestOf(text.String()); digest != *receipt.ConversationDigest {
		receipt.ConversationDigest = &digest
		return receipt, s.AtomicApply(context.WithoutCancel(ctx), id, store.BoundaryApply{Receipt: receipt})
	}
	return receipt, nil
}

// stampsTheCallers takes the caller's slice for a copy.
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

// trimsRuntimeIDs does not tell an id from one with a space after it.
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

// aliasesSlices keeps the caller's own bytes for a snapshot.
type aliasesSlices struct {
	*loopstore.Loop
	mu   sync.Mutex
	kept map[store.RuntimeID][]byte
}

func (s *aliasesSlices) keep(id store.RuntimeID, snapshot []byte) {
	if s.kept == nil {
		s.kept = map[store.RuntimeID][]byte{}
	}
	s.kept[id] = snapshot
}

func (s *aliasesSlices) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err == nil {
		s.keep(id, c.Session.SessionSnapshot)
	}
	return receipt, err
}

func (s *aliasesSlices) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Loop.AtomicApply(ctx, id, a)
	if err == nil && a.Session != nil {
		s.keep(id, a.Session.SessionSnapshot)
	}
	return err
}

func (s *aliasesSlices) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok, err := s.Loop.LoadSessionSnapshot(ctx, id)
	if !ok {
		return nil, false, err
	}
	return bytes.Clone(s.kept[id]), true, err
}

// handsOutItsOwn returns the same receipt, not a copy, every time.
type handsOutItsOwn struct {
	*loopstore.Loop
	mu       sync.Mutex
	receipts map[handedOut]store.RunBoundaryReceipt
}

type handedOut struct {
	id store.RuntimeID
	at place
}

func (s *handsOutItsOwn) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipt, ok, err := s.Loop.LoadBoundaryReceipt(ctx, id, run, sequence)
	if !ok {
		return receipt, ok, err
	}
	at := handedOut{id, place{run, sequence}}
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
		delete(s.receipts, handedOut{id, place{a.Receipt.RunID, a.Receipt.Sequence}})
	}
	return err
}

// reordersInputs returns them by their ids.
type reordersInputs struct{ *loopstore.Loop }

func (s reordersInputs) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.Loop.LoadInputStates(ctx, id)
	slices.SortFunc(states, func(a, b store.InputState) int { return bytes.Compare(a.InputID[:], b.InputID[:]) })
	return states, err
}

// losesUpdates reads all inputs, changes one, and writes all.
type losesUpdates struct{ *loopstore.Loop }

func (s losesUpdates) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	all, err := s.LoadInputStates(ctx, id)
	if err != nil {
		return err
	}
	runtime.Gosched() // the window for another call
	for _, state := range append(all, state) {
		if err := s.Loop.PersistInputState(ctx, id, state); err != nil {
			return err
		}
	}
	return nil
}

// mintsTwice gives two commits that meet the same sequence.
type mintsTwice struct {
	*loopstore.Loop
	underWay atomic.Int32
}

func (s *mintsTwice) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	others := s.underWay.Add(1) - 1
	defer s.underWay.Add(-1)
	runtime.Gosched()
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err == nil && others > 0 && receipt.Sequence > 0 {
		receipt.Sequence--
	}
	return receipt, err
}

// showsHalfABatch checks a batch, and then stores one part after the other.
type showsHalfABatch struct{ *loopstore.Loop }

func (s showsHalfABatch) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	for i := range c.InputStates {
		if c.InputStates[i].Validate() != nil {
			return s.Loop.AtomicLifecycleCommit(ctx, id, c) // refuses it
		}
	}
	if err := s.PersistRuntimeState(ctx, id, c.RuntimeState); err != nil {
		return err
	}
	for _, state := range c.InputStates {
		for range 20 { // let others look at the half
			runtime.Gosched()
		}
		if err := s.PersistInputState(context.WithoutCancel(ctx), id, state); err != nil {
			return err
		}
	}
	return nil
}

// showsPartsInTurn stores the runtime's state first, then all inputs together.
type showsPartsInTurn struct{ *loopstore.Loop }

func (s showsPartsInTurn) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	for i := range c.InputStates {
		if c.InputStates[i].Validate() != nil {
			return s.Loop.AtomicLifecycleCommit(ctx, id, c) // refuses it
		}
	}
	if err := s.PersistRuntimeState(ctx, id, c.RuntimeState); err != nil {
		return err
	}
	for range 200 { // let others look at the one part
		runtime.Gosched()
	}
	return s.Loop.AtomicLifecycleCommit(context.WithoutCancel(ctx), id, c)
}

type ignoresContext struct{ *loopstore.Loop }

func (s ignoresContext) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	return s.Loop.PersistRuntimeState(context.WithoutCancel(ctx), id, state)
}

// deniesWhatItApplied looks at the context after it has written.
type deniesWhatItApplied struct{ *loopstore.Loop }

func (s deniesWhatItApplied) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := s.Loop.PersistInputState(ctx, id, state); err != nil {
		return err
	}
	runtime.Gosched()
	return ctx.Err()
}

// deniesABatch looks at the context after it has written.
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

func forgets() Factory {
	f := faulty(func(l *loopstore.Loop) store.RuntimeStore { return l })
	f.Reopen = func(t testing.TB, _ store.RuntimeStore) store.RuntimeStore { return f.Open(t) }
	return f
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
