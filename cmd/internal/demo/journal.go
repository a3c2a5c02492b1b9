package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store/state"
)

// A journalReport is what the demo found in its journal and appended to it.
type journalReport struct {
	Found               foundRuntimes `json:"found"`
	Appends             uint64        `json:"appends"`    // batches that were stored
	Operations          uint64        `json:"operations"` // the writes of the workload
	OperationsPerAppend float64       `json:"operations_per_append"`
	Bytes               uint64        `json:"bytes"`     // of all keys and values that were appended
	Append              time.Duration `json:"append_ns"` // on average
}

// foundRuntimes is what earlier processes have left.
type foundRuntimes struct {
	Runtimes int `json:"runtimes"`
	InTurn   int `json:"in_turn"` // runtimes in the middle of a turn
	Receipts int `json:"receipts"`
	Inputs   int `json:"inputs"`
}

// String describes it in a line.
func (f foundRuntimes) String() string {
	if f.Runtimes == 0 {
		return "found: nothing, the journal is new"
	}
	return fmt.Sprintf("found: %s, %s of them in a turn, with %s and %s", term.Counted(int64(f.Runtimes), "runtime"),
		term.Grouped(int64(f.InTurn)), term.Counted(int64(f.Receipts), "receipt"), term.Counted(int64(f.Inputs), "input"))
}

// noteJournal notes what was found in the journal, and what the workload appended.
func (r *Report) noteJournal(stats *loopstore.JournalStats, w *workload, found foundRuntimes) {
	if stats == nil {
		r.Verified = r.Verified[:foundAgain]
		return
	}
	j := &journalReport{Found: found, Appends: stats.Appends, Bytes: stats.Bytes}
	for kind, h := range w.latencies() {
		if !ops.Kind(kind).ReadOnly() {
			j.Operations += h.count
		}
	}
	if n := stats.Appends; n > 0 {
		j.OperationsPerAppend, j.Append = float64(j.Operations)/float64(n), stats.Took/time.Duration(n)
	}
	r.Journal = j
	if found.Runtimes > 0 {
		r.Verified[receipts].means, r.Verified[digests].means = receiptsOrFound, digestsOrFound
	}
}

// String describes the appends in a line.
func (j *journalReport) String() string {
	return fmt.Sprintf("journal: %s of %.1f operations and %s, %s each on average", term.Counted(int64(j.Appends), "append"),
		j.OperationsPerAppend, term.Size(int64(j.Bytes/max(1, j.Appends))), term.Brief(j.Append))
}

// errFound ends the demo before it changes anything.
var errFound = errors.New("the journal is not as the demo leaves it: nothing was changed")

// adopt takes over the runtimes that the store holds, in the place of new ones. c
// checks that each is as a turn can leave it.
func (w *workload) adopt(ctx context.Context, loop *loopstore.Loop, c *checker) (found foundRuntimes, err error) {
	for summary, err := range loop.Runtimes(ctx, state.Listing{}) {
		if err != nil {
			return found, err
		}
		view, err := loop.View(ctx, summary.RuntimeID)
		if err != nil {
			return found, err
		}
		a, wrong := agentOf(view, w.documents)
		c.note(foundAgain, 1, wrong)
		if wrong != nil {
			continue
		}
		found.Runtimes++
		found.Receipts += summary.Held.Receipts
		found.Inputs += summary.Held.InputStates
		if len(a.pending) > 0 {
			found.InTurn++
		}
		for len(w.agents) <= a.number {
			n := len(w.agents)
			w.agents = append(w.agents, newAgent(n, w.documents))
		}
		w.agents[a.number] = a
	}
	if c.failed() {
		return found, errFound
	}
	return found, nil
}
