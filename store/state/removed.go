package state

import (
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// Removed says how much has gone.
type Removed struct {
	store.Totals
	Payloads int `json:"payloads"` // of inputs that are still there
}

// Plus returns the sum of both.
func (r Removed) Plus(s Removed) Removed {
	return Removed{r.Totals.Plus(s.Totals), r.Payloads + s.Payloads}
}

// A PartialError is the error of a call that goes in steps and ended early. Removed is what
// the earlier steps removed. The step that failed changed nothing, unless Err is
// store.ErrOutcomeUnknown. Call again to continue.
type PartialError struct {
	Op        string          // the operation's name: "prune" or "expire"
	RuntimeID store.RuntimeID // that was pruned; empty for expire
	Removed   Removed
	Err       error // why it ended: see store.OpError
}

func (e *PartialError) Error() string {
	r := e.Removed
	of := fmt.Sprintf(" of runtime %q", e.RuntimeID.Short())
	if e.Op != "prune" {
		of = ""
	}
	return fmt.Sprintf("%s%s ended early: %v (removed so far: runtimes %d, receipts %d, runs %d, inputs %d, payloads %d, versions %d)",
		e.Op, of, e.Err, r.Runtimes, r.Receipts, r.Runs, r.InputStates, r.Payloads, r.Versions)
}

// Unwrap returns why it ended.
func (e *PartialError) Unwrap() error { return e.Err }
