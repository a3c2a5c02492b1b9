package lincheck

import (
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// An input is an input's state as the model holds it. It is comparable, and has the
// stamp of a boundary commit apart.
type input struct {
	id       store.InputID
	body     string // the JSON, without the stamp
	run      string // of the stamp: last_run_id, empty if absent
	sequence string // of the stamp: last_boundary_sequence, empty if absent
	state    store.InputLifecycleState
	key      string // empty if absent
}

func inputOf(s store.InputState) input {
	in := input{id: s.InputID, state: s.CurrentState}
	if s.IdempotencyKey != nil {
		in.key = *s.IdempotencyKey
	}
	if s.LastRunID != nil {
		in.run = s.LastRunID.String()
	}
	if s.LastBoundarySequence != nil {
		in.sequence = strconv.FormatUint(*s.LastBoundarySequence, 10)
	}
	s.LastRunID, s.LastBoundarySequence = nil, nil
	in.body = text(s)
	return in
}

func inputsOf(states []store.InputState) []input {
	all := make([]input, len(states))
	for i := range states {
		all[i] = inputOf(states[i])
	}
	return all
}

// A receipt is a receipt as the model holds it. It is comparable, and has apart what is
// minted.
type receipt struct {
	run      store.RunID
	sequence uint64
	digest   string // empty if absent
	messages uint64
	body     string // the JSON, without what stands above but for the run
}

func receiptOf(r store.RunBoundaryReceipt) receipt {
	rec := receipt{run: r.RunID, sequence: r.Sequence, messages: r.MessageCount}
	if r.ConversationDigest != nil {
		rec.digest = *r.ConversationDigest
	}
	r.Sequence, r.ConversationDigest, r.MessageCount = 0, nil, 0
	rec.body = text(r)
	return rec
}

// text returns a value's JSON. For an invalid value, which no store may hold, it returns
// a text that is not JSON.
func text(v interface{ MarshalJSON() ([]byte, error) }) string {
	b, err := v.MarshalJSON()
	if err != nil {
		return "no value: " + err.Error()
	}
	return string(b)
}

// heldOf returns what a view shows of inputs. Where its methods contradict each other, an
// input has no version, or there is one input more.
func heldOf(v *state.View) (all []held) {
	for one := range v.Inputs() {
		in := held{input: inputOf(one.State), version: one.Version}
		if same, ok := v.Input(in.id); !ok || same.Version != in.version || inputOf(same.State) != in.input {
			in.version = 0
		}
		all = append(all, in)
	}
	page := v.InputPage(state.Paging{Limit: len(all) + 1})
	at := 0
	for one := range v.InputStates() {
		if at >= len(all) || inputOf(one) != all[at].input || at >= len(page.Items) || page.Items[at].Version != all[at].version {
			return append(all, held{input: inputOf(one)})
		}
		at++
	}
	return all
}

// stateOf returns the state that a view shows.
func stateOf(v *state.View) *model {
	s := &model{version: v.Version(), inputs: heldOf(v), versions: versionsOf(v)}
	s.origin, _ = v.Origin()
	status, _ := v.RuntimeState()
	s.status = string(status)
	for id := range v.Runs() {
		r := run{id: id}
		for one := range v.Receipts(id) {
			r.receipts = append(r.receipts, receiptOf(one))
		}
		s.runs = append(s.runs, r)
	}
	for one := range v.Keys() {
		s.used = append(s.used, usedKey{one.Key, one.InputID})
	}
	s.floor.sequence, s.floor.there = v.SequenceFloor()
	if latest, ok := v.LatestReceipt(); ok {
		s.latest = receiptOf(latest)
	}
	return s
}
