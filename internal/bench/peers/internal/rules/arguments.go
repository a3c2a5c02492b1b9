// Package rules has what store.RuntimeStore asks of every store, wherever it keeps its
// data: which calls are refused, which arguments are valid, and what a boundary commit
// mints.
package rules

import (
	"cmp"
	"strconv"

	"github.com/loopstore/loopstore/store"
)

// CheckInput validates the arguments of PersistInputState.
func CheckInput(id store.RuntimeID, state *store.InputState) error {
	return cmp.Or(checkID(id), state.Validate())
}

// CheckState validates the arguments of PersistRuntimeState.
func CheckState(id store.RuntimeID, state store.RuntimeState) error {
	return cmp.Or(checkID(id), store.InField("runtime_state", state.Validate()))
}

// CheckLifecycle validates the arguments of AtomicLifecycleCommit.
func CheckLifecycle(id store.RuntimeID, c *store.LifecycleCommit) error {
	return cmp.Or(CheckState(id, c.RuntimeState), checkInputs("input_states", c.InputStates), noConditions(c.If))
}

// CheckApply validates the arguments of AtomicApply.
func CheckApply(id store.RuntimeID, a *store.BoundaryApply) error {
	return cmp.Or(
		checkID(id),
		store.InField("receipt", a.Receipt.Validate()),
		checkInputs("input_updates", a.InputUpdates),
		noConditions(a.If),
	)
}

// CheckCommit validates the arguments of CommitSessionBoundary, except for the snapshot,
// which [Read] validates.
func CheckCommit(id store.RuntimeID, c *store.BoundaryCommit) error {
	return cmp.Or(
		checkID(id),
		store.InField("boundary", c.Boundary.Validate()),
		checkInputs("input_updates", c.InputUpdates),
		noConditions(c.If),
	)
}

// noConditions refuses all conditions: no peer has batches.
func noConditions(conditions []store.Condition) error {
	if len(conditions) > 0 {
		return &store.ValueError{Field: "if", Reason: "a store without batches knows no conditions"}
	}
	return nil
}

func checkID(id store.RuntimeID) error { return store.InField("runtime_id", id.Validate()) }

func checkInputs(field string, states []store.InputState) error {
	for i := range states {
		if err := states[i].Validate(); err != nil {
			return store.InField(field+"["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

// Detach returns copies of valid states that share nothing with them.
func Detach(states []store.InputState) []store.InputState {
	own := make([]store.InputState, len(states))
	for i := range states {
		own[i] = states[i].Detach()
	}
	return own
}
