package demo

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"reflect"

	"github.com/loopstore/loopstore/store"
)

// A check compares things of one kind.
type check struct {
	Name    string `json:"check"`
	Checked int    `json:"checked"` // how many there were
	Failed  int    `json:"failed"`  // how many of these were wrong
	means   string
}

// What the check of digests means if all, none or some of the documents are
// canonical.
const (
	digestsApart       = "SHA-256 and count, computed apart"
	digestsFromSession = "SHA-256 and count, by package session"
	digestsFromBoth    = "computed apart, but for the files below"
)

// What these checks mean where earlier processes have left something.
const (
	receiptsOrFound = "as its commit returned it, or as found"
	digestsOrFound  = "SHA-256, count; of those found the last"
)

type checkKind int

const (
	receipts checkKind = iota
	digests
	sequences
	inputs
	snapshots
	runtimeStates
	restarts
	foundAgain // only with a journal
)

const listedFailures = 10

// A checker compares a store with the accounts of what it has acknowledged.
type checker struct {
	store    store.RuntimeStore
	checks   []check
	failures []string // the first ones
}

func newChecker(s store.RuntimeStore) *checker {
	return &checker{store: s, checks: []check{
		receipts:      {Name: "receipts", means: "as its commit returned it"},
		digests:       {Name: "digests", means: digestsApart},
		sequences:     {Name: "sequences", means: "0, 1, 2, … in each run, no gap"},
		inputs:        {Name: "inputs", means: "all, no other, in order, as stamped"},
		snapshots:     {Name: "snapshots", means: "the last of each runtime, byte for byte"},
		runtimeStates: {Name: "runtime_states", means: "the last of each runtime"},
		restarts:      {Name: "restarts", means: "found all as it was"},
		foundAgain:    {Name: "found", means: "runtimes, each as a turn can leave it"},
	}}
}

// note counts things that were compared, and what was wrong with them.
func (c *checker) note(kind checkKind, checked int, wrong ...error) {
	k := &c.checks[kind]
	k.Checked += checked
	for _, err := range wrong {
		if err == nil {
			continue
		}
		k.Failed++
		if len(c.failures) < listedFailures {
			c.failures = append(c.failures, fmt.Sprintf("%s: %v", k.Name, err))
		}
	}
}

func (c *checker) failed() bool {
	for _, k := range c.checks {
		if k.Failed > 0 {
			return true
		}
	}
	return false
}

// all checks all runtimes.
func (c *checker) all(ctx context.Context, agents []*agent) {
	for _, a := range agents {
		c.runtime(ctx, a.account)
	}
}

// runtime checks all of one runtime.
func (c *checker) runtime(ctx context.Context, r *account) {
	for _, run := range r.runs {
		c.run(ctx, r.id, run)
	}
	states, err := c.store.LoadInputStates(ctx, r.id)
	if err != nil {
		c.note(inputs, 0, err)
	} else {
		c.note(inputs, len(r.inputs), compareInputs(r.id, states, r.inputs)...)
	}
	c.note(snapshots, 1, c.snapshot(ctx, r))
	c.note(runtimeStates, 1, c.runtimeState(ctx, r))
	c.note(restarts, r.restarts, r.lost...)
}

// run checks the receipts of one run: from 0 without a gap, and none after the
// last.
func (c *checker) run(ctx context.Context, id store.RuntimeID, run runAccount) {
	var gap error
	for i := range run.boundaries {
		b, sequence := &run.boundaries[i], uint64(i)
		stored, err := c.receipt(ctx, id, run.id, sequence)
		if err != nil {
			gap = err
			c.note(receipts, 1, err)
			if b.digest != nil {
				c.note(digests, 1, err)
			}
			continue
		}
		if got := b.receipt.Sequence; got != sequence {
			gap = fmt.Errorf("%s: commit %d of run %s got sequence %d", id, i, run.id, got)
		}
		c.note(receipts, 1, b.compareReceipt(id, stored))
		if b.digest != nil {
			c.note(digests, 1, b.compareConversation(id, stored))
		}
	}
	n := uint64(len(run.boundaries))
	_, more, err := c.store.LoadBoundaryReceipt(ctx, id, run.id, n)
	switch {
	case gap != nil:
	case err != nil:
		gap = err
	case more:
		gap = fmt.Errorf("%s: run %s has a receipt %d that no commit returned", id, run.id, n)
	}
	c.note(sequences, 1, gap)
}

func (c *checker) receipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, error) {
	stored, ok, err := c.store.LoadBoundaryReceipt(ctx, id, run, sequence)
	if err == nil && !ok {
		err = fmt.Errorf("%s: run %s has no receipt %d", id, run, sequence)
	}
	return stored, err
}

func (b *boundaryAccount) compareReceipt(id store.RuntimeID, stored store.RunBoundaryReceipt) error {
	if !reflect.DeepEqual(stored, b.receipt) {
		return fmt.Errorf("%s: receipt %d of run %s is not what its commit returned", id, b.receipt.Sequence, b.receipt.RunID)
	}
	return nil
}

func (b *boundaryAccount) compareConversation(id store.RuntimeID, stored store.RunBoundaryReceipt) error {
	want := hex.EncodeToString(b.digest[:])
	if got := stored.ConversationDigest; got == nil || *got != want {
		return fmt.Errorf("%s: receipt %d of run %s does not have its conversation's digest, %s", id, stored.Sequence, stored.RunID, want)
	}
	if stored.MessageCount != uint64(b.messages) {
		return fmt.Errorf("%s: receipt %d of run %s counts %d messages, its conversation had %d", id, stored.Sequence, stored.RunID, stored.MessageCount, b.messages)
	}
	return nil
}

// compareInputs returns an error for each input that is not as it should be.
func compareInputs(id store.RuntimeID, got, want []store.InputState) (wrong []error) {
	for i := range want {
		if i >= len(got) {
			wrong = append(wrong, fmt.Errorf("%s: input %s is lost, or one before it", id, want[i].InputID))
		} else if what := difference(&got[i], &want[i]); what != "" {
			wrong = append(wrong, fmt.Errorf("%s: input %s %s", id, want[i].InputID, what))
		}
	}
	for i := len(want); i < len(got); i++ {
		wrong = append(wrong, fmt.Errorf("%s: input %s was never accepted, or belongs elsewhere", id, got[i].InputID))
	}
	return wrong
}

// difference says how got differs from want. It is empty if they are equal.
func difference(got, want *store.InputState) string {
	switch {
	case got.InputID != want.InputID:
		return fmt.Sprintf("is not at its place in the order, %s is", got.InputID)
	case got.CurrentState != want.CurrentState:
		return fmt.Sprintf("is %s and should be %s", got.CurrentState, want.CurrentState)
	case !reflect.DeepEqual(got.LastRunID, want.LastRunID), !reflect.DeepEqual(got.LastBoundarySequence, want.LastBoundarySequence):
		return "is not stamped with its boundary"
	case !reflect.DeepEqual(got, want):
		return "is not what was acknowledged"
	}
	return ""
}

func (c *checker) snapshot(ctx context.Context, r *account) error {
	stored, ok, err := c.store.LoadSessionSnapshot(ctx, r.id)
	if err == nil && (ok != (r.snapshot != nil) || !bytes.Equal(stored, r.snapshot)) {
		err = fmt.Errorf("%s: the snapshot is not the last one that was committed", r.id)
	}
	return err
}

func (c *checker) runtimeState(ctx context.Context, r *account) error {
	stored, _, err := c.store.LoadRuntimeState(ctx, r.id)
	if err == nil && stored != r.state {
		err = fmt.Errorf("%s is %q and should be %q", r.id, stored, r.state)
	}
	return err
}
