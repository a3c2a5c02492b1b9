package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A Ledger commits to one run of one runtime, keeps a record of what each call
// said, and compares that with what a store holds in the end: that nothing which
// was acknowledged is lost, nothing is there twice, and nothing which was refused
// is there at all. It is for stores whose owners fail and are replaced. It may be
// used by any number of goroutines.
type Ledger struct {
	runtime store.RuntimeID
	run     store.RunID

	mu      sync.Mutex
	said    map[store.InputID]word
	tallies Tallies
}

// A word is what a call said of its input.
type word struct {
	answer   answer
	sequence uint64 // that was acknowledged
}

type answer int

const (
	unknown answer = iota
	acknowledged
	refused
)

// Tallies count what the calls of a [Ledger] said.
type Tallies struct {
	Acknowledged int
	Refused      int // an error, so nothing was applied
	Unknown      int // store.ErrOutcomeUnknown
}

// NewLedger returns a ledger of a new run of a runtime.
func NewLedger(runtime store.RuntimeID) *Ledger {
	return &Ledger{runtime: runtime, run: store.NewRunID(), said: map[store.InputID]word{}}
}

// Commit makes one call, and returns its error.
func (l *Ledger) Commit(ctx context.Context, s store.RuntimeStore) error {
	id := store.NewInputID()
	receipt, err := s.CommitSessionBoundary(ctx, l.runtime, store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: []byte(ledgerSession)}, RunID: l.run, Boundary: store.RunCheckpoint,
		ContributingInputIDs: []store.InputID{id},
		InputUpdates:         []store.InputState{store.NewInputState(id, store.TimeOf(time.Unix(0, 0)))},
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.said[id] = word{acknowledged, receipt.Sequence}
		l.tallies.Acknowledged++
	case errors.Is(err, store.ErrOutcomeUnknown):
		l.said[id] = word{answer: unknown}
		l.tallies.Unknown++
	default:
		l.said[id] = word{answer: refused}
		l.tallies.Refused++
	}
	return err
}

// ledgerSession is a session document.
const ledgerSession = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[],` +
	`"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`

// Tallies returns what the calls have said so far.
func (l *Ledger) Tallies() Tallies {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tallies
}

// Check compares the record with what a store holds now. No Commit must be under
// way.
func (l *Ledger) Check(ctx context.Context, s store.RuntimeStore) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[store.InputID]bool{}
	for sequence := uint64(0); ; sequence++ {
		receipt, ok, err := s.LoadBoundaryReceipt(ctx, l.runtime, l.run, sequence)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := l.checkReceipt(receipt, found); err != nil {
			return err
		}
	}
	for id, word := range l.said {
		if word.answer == acknowledged && !found[id] {
			return fmt.Errorf("storetest: runtime %q: sequence %d was acknowledged, and is lost", l.runtime, word.sequence)
		}
	}
	return l.checkInputs(ctx, s, found)
}

func (l *Ledger) checkReceipt(r store.RunBoundaryReceipt, found map[store.InputID]bool) error {
	wrong := func(what string) error {
		return fmt.Errorf("storetest: runtime %q: the receipt at sequence %d %s", l.runtime, r.Sequence, what)
	}
	if len(r.ContributingInputIDs) != 1 {
		return wrong("is not one of the ledger's")
	}
	id := r.ContributingInputIDs[0]
	word, ours := l.said[id]
	switch {
	case !ours:
		return wrong("is not one of the ledger's")
	case found[id]:
		return wrong("is there twice")
	case word.answer == refused:
		return wrong("was refused")
	case word.answer == acknowledged && word.sequence != r.Sequence:
		return wrong(fmt.Sprintf("was acknowledged at %d", word.sequence))
	}
	found[id] = true
	return nil
}

// checkInputs compares the inputs with the receipts that they were stored with.
func (l *Ledger) checkInputs(ctx context.Context, s store.RuntimeStore, found map[store.InputID]bool) error {
	states, err := s.LoadInputStates(ctx, l.runtime)
	if err != nil {
		return err
	}
	for _, state := range states {
		if _, ours := l.said[state.InputID]; ours && !found[state.InputID] {
			return fmt.Errorf("storetest: runtime %q: input %s is there without its receipt", l.runtime, state.InputID)
		}
		delete(found, state.InputID)
	}
	if len(found) > 0 {
		return fmt.Errorf("storetest: runtime %q: %d receipts are there without their inputs", l.runtime, len(found))
	}
	return nil
}
