package demo

import (
	"crypto/sha256"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// An account is what the store has acknowledged to one runtime, kept by the caller
// that got the answers. The checks compare the two.
type account struct {
	id       store.RuntimeID
	state    store.RuntimeState // empty before the first
	runs     []runAccount
	inputs   []store.InputState // in the order of their acceptance
	snapshot []byte             // the last one

	restarts int
	lost     []error // by restarts: the first thing that each found changed
}

type runAccount struct {
	id         store.RunID
	boundaries []boundaryAccount
}

// A boundaryAccount is one boundary commit: what was committed and what came back.
// For a commit of an earlier process it is what was found.
type boundaryAccount struct {
	digest   *[sha256.Size]byte // of the conversation that was committed; nil if that is no longer known
	messages int
	receipt  store.RunBoundaryReceipt
}

// last returns the last boundary. There must be one.
func (r *account) last() *boundaryAccount {
	for i := len(r.runs) - 1; ; i-- {
		if n := len(r.runs[i].boundaries); n > 0 {
			return &r.runs[i].boundaries[n-1]
		}
	}
}

// accept takes down a new input.
func (r *account) accept(s store.InputState) { r.inputs = append(r.inputs, s.Clone()) }

// update takes down new states of inputs that were accepted.
func (r *account) update(states ...store.InputState) {
	for _, s := range states {
		at := len(r.inputs) - 1 // those that change are among the latest
		for at >= 0 && r.inputs[at].InputID != s.InputID {
			at--
		}
		if at < 0 { // nobody has accepted it: the checks will say so
			continue
		}
		r.inputs[at] = s.Clone()
	}
}

// commit takes down a boundary of the last run, and stamps the updates as the store
// must: with the run, and with the number of boundaries before it.
func (r *account) commit(c store.BoundaryCommit, b boundaryAccount) {
	run := &r.runs[len(r.runs)-1]
	id, sequence := run.id, uint64(len(run.boundaries))
	run.boundaries = append(run.boundaries, b)
	r.snapshot = append(r.snapshot[:0], c.Session.SessionSnapshot...)
	for _, u := range c.InputUpdates {
		u.LastRunID, u.LastBoundarySequence = &id, &sequence
		r.update(u)
	}
}

// restarted compares what a restart found with what was acknowledged.
func (r *account) restarted(state store.RuntimeState, inputs []store.InputState) {
	r.restarts++
	switch wrong := compareInputs(r.id, inputs, r.inputs); {
	case state != r.state:
		r.lost = append(r.lost, fmt.Errorf("%s was %q before a restart, and is %q", r.id, r.state, state))
	case len(wrong) > 0:
		r.lost = append(r.lost, wrong[0])
	}
}
