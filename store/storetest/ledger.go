package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A Ledger commits to one run of one runtime and notes the answer to each call. In
// the end it compares the answers with what the store holds: no commit that was
// acknowledged may be lost, none may be there twice, and none that was refused may be
// there at all. It is for stores whose processes or servers fail and are replaced.
// Any number of goroutines may use it.
type Ledger struct {
	runtime store.RuntimeID
	run     store.RunID

	mu      sync.Mutex
	answers map[store.InputID]answer // each commit has one input, of its own
	tallies Tallies
}

// An answer is what a call said about its commit.
type answer struct {
	kind     answerKind
	sequence uint64 // of a commit that was acknowledged
}

type answerKind int

const (
	unknown answerKind = iota
	acknowledged
	refused
)

// Tallies count the answers that a [Ledger] noted.
type Tallies struct {
	Acknowledged int
	Refused      int // by any other error: nothing was applied
	Unknown      int // by store.ErrOutcomeUnknown
}

// NewLedger returns a ledger for a new run of a runtime.
func NewLedger(runtime store.RuntimeID) *Ledger {
	return &Ledger{runtime: runtime, run: store.NewRunID(), answers: map[store.InputID]answer{}}
}

// Commit commits one boundary to s, notes the answer, and returns the error.
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
		l.answers[id] = answer{acknowledged, receipt.Sequence}
		l.tallies.Acknowledged++
	case errors.Is(err, store.ErrOutcomeUnknown):
		l.answers[id] = answer{kind: unknown}
		l.tallies.Unknown++
	default:
		l.answers[id] = answer{kind: refused}
		l.tallies.Refused++
	}
	return err
}

// ledgerSession is a valid session document without messages.
const ledgerSession = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[],` +
	`"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`

// Tallies returns the counts of the answers so far.
func (l *Ledger) Tallies() Tallies {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tallies
}

// Check compares the answers with what s holds now, and returns the first difference
// as an error. No Commit may run at the same time.
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
	for id, a := range l.answers {
		if a.kind == acknowledged && !found[id] {
			return fmt.Errorf("storetest: runtime %q: sequence %d was acknowledged, and is lost", l.runtime, a.sequence)
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
	a, ours := l.answers[id]
	switch {
	case !ours:
		return wrong("is not one of the ledger's")
	case found[id]:
		return wrong("is there twice")
	case a.kind == refused:
		return wrong("was refused")
	case a.kind == acknowledged && a.sequence != r.Sequence:
		return wrong(fmt.Sprintf("was acknowledged at %d", a.sequence))
	}
	found[id] = true
	return nil
}

// checkInputs checks that each commit's input is there with its receipt, and only
// with it. found are the inputs of the receipts that are there.
func (l *Ledger) checkInputs(ctx context.Context, s store.RuntimeStore, found map[store.InputID]bool) error {
	states, err := s.LoadInputStates(ctx, l.runtime)
	if err != nil {
		return err
	}
	for _, state := range states {
		if _, ours := l.answers[state.InputID]; ours && !found[state.InputID] {
			return fmt.Errorf("storetest: runtime %q: input %s is there without its receipt", l.runtime, state.InputID)
		}
		delete(found, state.InputID)
	}
	if len(found) > 0 {
		return fmt.Errorf("storetest: runtime %q: %d receipts are there without their inputs", l.runtime, len(found))
	}
	return nil
}
