package demo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// agentOf returns the agent that an earlier process has left in the store, at any
// point of a turn. What the store acknowledged to it is not known, so the error says
// what no turn can leave.
func agentOf(view *state.View, documents Documents) (*agent, error) {
	id := view.RuntimeID()
	number, ok := numberOf(id)
	if !ok {
		return nil, fmt.Errorf("runtime %s is none of the demo's", term.Named(string(id), 80))
	}
	a := newAgent(number, documents)
	a.found = true
	for _, take := range []func(*state.View) error{a.takeRuns, a.takeInputs, a.takeState} {
		if err := take(view); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
	}
	if err := a.takeConversation(view, documents); err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	return a, nil
}

func idOf(number int) store.RuntimeID { return store.RuntimeID(fmt.Sprintf("agent-%03d", number)) }

// numberOf returns the number of the runtime with an id, if it is one of the demo's.
func numberOf(id store.RuntimeID) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimPrefix(string(id), "agent-"))
	return number, err == nil && number >= 0 && number < MaxRuntimes && idOf(number) == id
}

// takeRuns takes over all receipts: a run has one for each of its turns, and all runs
// but the last have ended.
func (a *agent) takeRuns(view *state.View) error {
	r := a.account
	for run := range view.RunViews() {
		if n := len(r.runs); n > 0 && len(r.runs[n-1].boundaries) < turnsPerRun {
			return fmt.Errorf("run %s has %s, and another run came after it", r.runs[n-1].id, term.Counted(int64(len(r.runs[n-1].boundaries)), "receipt"))
		}
		taken := runAccount{id: run.RunID()}
		for receipt := range run.Receipts() {
			n := len(taken.boundaries)
			switch {
			case receipt.Sequence != uint64(n):
				return fmt.Errorf("run %s has receipt %d in the place of receipt %d", taken.id, receipt.Sequence, n)
			case n == turnsPerRun:
				return fmt.Errorf("run %s has more than %d receipts", taken.id, turnsPerRun)
			case receipt.Boundary != boundaryAt(n):
				return fmt.Errorf("receipt %d of run %s is of the boundary %s", n, taken.id, receipt.Boundary)
			}
			taken.boundaries = append(taken.boundaries, boundaryAccount{messages: int(receipt.MessageCount), receipt: receipt})
		}
		if highest := run.HighestSequence(); highest+1 != uint64(len(taken.boundaries)) {
			return fmt.Errorf("run %s has lost receipts: the highest was %d", taken.id, highest)
		}
		r.runs = append(r.runs, taken)
	}
	latest, _ := view.LatestReceipt()
	switch {
	case view.NumDroppedRuns() > 0:
		return errors.New("a run has lost all its receipts")
	case len(r.runs) > 0 && !reflect.DeepEqual(latest, r.last().receipt):
		return errors.New("the latest receipt is not the last one of the last run")
	}
	return nil
}

// takeInputs takes over all inputs. Those that the receipts name come first, in the
// same order. Each is stamped with its receipt and consumed. Those of the last receipt
// may be only applied. If they are consumed, inputs of the next turn may follow.
func (a *agent) takeInputs(view *state.View) error {
	all := slices.Collect(view.InputStates())
	a.account.inputs = all
	rest := all
	for i := range a.account.runs {
		run := &a.account.runs[i]
		for j := range run.boundaries {
			b := &run.boundaries[j]
			if a.applied {
				return fmt.Errorf("receipt %d of run %s came before the inputs of the boundary before it were consumed", b.receipt.Sequence, run.id)
			}
			n := len(b.receipt.ContributingInputIDs)
			if n != inputsOf(a.turn) || n > len(rest) {
				return fmt.Errorf("receipt %d of run %s names %s, and %d are left", b.receipt.Sequence, run.id, term.Counted(int64(n), "input"), len(rest))
			}
			if err := b.compareInputs(rest[:n]); err != nil {
				return err
			}
			if a.applied = rest[0].CurrentState == store.InputApplied; a.applied {
				a.pending = slices.Clone(rest[:n])
			} else {
				a.turn++
			}
			rest = rest[n:]
		}
	}
	return a.takePending(rest)
}

// takePending takes over the inputs that no receipt names.
func (a *agent) takePending(rest []store.InputState) error {
	if len(rest) > 0 && a.applied || len(rest) > inputsOf(a.turn) {
		return fmt.Errorf("%s belong to no receipt, which is too many", term.Counted(int64(len(rest)), "input"))
	}
	for i := range rest {
		input := &rest[i]
		switch {
		case input.LastRunID != nil || input.LastBoundarySequence != nil:
			return fmt.Errorf("input %s is stamped with a receipt that is not there", input.InputID)
		case !slices.Contains(life[:staged+1], input.CurrentState):
			return fmt.Errorf("input %s is %s, and no receipt names it", input.InputID, input.CurrentState)
		}
		if err := checkLife(input); err != nil {
			return err
		}
	}
	a.pending = append(a.pending, rest...)
	return nil
}

// compareInputs compares the inputs of a boundary with its receipt.
func (b *boundaryAccount) compareInputs(all []store.InputState) error {
	for i := range all {
		input := &all[i]
		want := b.receipt.ContributingInputIDs[i]
		switch {
		case input.InputID != want:
			return fmt.Errorf("input %s is lost, or not at its place in the order, where %s is", want, input.InputID)
		case input.LastRunID == nil, input.LastBoundarySequence == nil,
			*input.LastRunID != b.receipt.RunID, *input.LastBoundarySequence != b.receipt.Sequence:
			return fmt.Errorf("input %s is not stamped with its boundary", want)
		case input.CurrentState != store.InputApplied && input.CurrentState != store.InputConsumed:
			return fmt.Errorf("input %s is %s after its boundary", want, input.CurrentState)
		case input.CurrentState != all[0].CurrentState:
			return fmt.Errorf("input %s is %s, and another of its turn is %s", want, input.CurrentState, all[0].CurrentState)
		}
		if err := checkLife(input); err != nil {
			return err
		}
	}
	return nil
}

// checkLife checks that an input has gone through all states before its own, and has
// an outcome if it has ended.
func checkLife(input *store.InputState) error {
	for i, h := range input.History {
		if i+1 >= len(life) || h.From != life[i] || h.To != life[i+1] {
			return fmt.Errorf("input %s went from %s to %s as its move %d", input.InputID, h.From, h.To, i+1)
		}
	}
	ended := input.TerminalOutcome != nil && input.TerminalOutcome.Type == store.OutcomeConsumed
	switch {
	case input.CurrentState != life[len(input.History)]:
		return fmt.Errorf("input %s is %s, which is not what its history ends with", input.InputID, input.CurrentState)
	case ended != (input.CurrentState == store.InputConsumed):
		return fmt.Errorf("input %s is %s, which its outcome does not say", input.InputID, input.CurrentState)
	}
	return nil
}

// takeState takes over the runtime's state. It must fit the point that the turn has
// reached.
func (a *agent) takeState(view *state.View) error {
	state, _ := view.RuntimeState()
	betweenRuns := a.turn%turnsPerRun == 0 && !a.applied
	legal := false
	switch state {
	case store.RuntimeInitializing: // before anything else
		legal = len(a.account.inputs) == 0
	case store.RuntimeIdle: // a restart may have found inputs
		legal = betweenRuns
	case store.RuntimeRunning, store.RuntimeRecovering:
		legal = true
	case store.RuntimeStopped:
		legal = len(a.account.runs) > 0 && len(a.pending) == 0
	}
	if !legal {
		return fmt.Errorf("it is %q, with %s of this turn and %s ended", state, term.Counted(int64(len(a.pending)), "input"), term.Counted(int64(a.turn), "turn"))
	}
	a.account.state = state
	return nil
}

// takeConversation compares the snapshot with the last receipt, and looks for the
// document that the conversation grew from. If there is none, a new conversation will
// begin.
func (a *agent) takeConversation(view *state.View, documents Documents) error {
	snapshot, ok := view.Snapshot()
	if ok != (len(a.account.runs) > 0) {
		return errors.New("there is a snapshot without a receipt, or a receipt without one")
	}
	if !ok {
		return nil
	}
	last, text := a.account.last(), snapshot.Bytes()
	a.account.snapshot = text
	at := slices.IndexFunc(documents, func(d *document) bool { return d.holds(text, last.receipt.MessageCount) })
	a.anew = at < 0
	digest, messages := [sha256.Size]byte{}, last.receipt.MessageCount
	if a.anew {
		read, err := session.Read(string(text))
		if err != nil {
			return errors.New("the snapshot is no session document")
		}
		digest, messages = read.Digest(), read.MessageCount()
	} else {
		a.conversation.document = documents[at]
		var err error
		if digest, err = (&conversation{document: documents[at], snapshot: text}).digest(); err != nil {
			return err
		}
	}
	b := boundaryAccount{digest: &digest, messages: int(messages), receipt: last.receipt}
	if err := b.compareConversation(a.id, last.receipt); err != nil {
		return err
	}
	if !a.anew {
		*last = b
	}
	return nil
}
