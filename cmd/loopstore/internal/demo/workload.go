package demo

import (
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A workload is a number of runtimes and the callers that share them. A
// runtime is with one caller at a time, for one turn.
type workload struct {
	agents    []*agent
	callers   []*caller
	turns     int // of each runtime, in earlier processes too, 0 without a limit
	documents Documents
	tally     tally
}

// A tally is what has been done so far, and what has happened besides.
type tally struct {
	turns, operations, snapshotBytes atomic.Int64
	events                           chan string // lines for the progress, nil if there are none
}

// newWorkload makes a workload whose callers each have a store of their own, or
// all the same.
func newWorkload(s Settings, stores func(caller int) store.RuntimeStore) *workload {
	w := &workload{turns: s.Turns, documents: s.Documents}
	for i := range s.Runtimes {
		w.agents = append(w.agents, newAgent(i, s.Documents))
	}
	for i := range s.Callers {
		w.callers = append(w.callers, &caller{store: stores(i), tally: &w.tally})
	}
	return w
}

// run returns when every runtime has taken its turns, or has stopped because
// ctx ended or a caller got an error. No turn is left half done but one with
// an error.
func (w *workload) run(ctx context.Context) error {
	ready := make(chan *agent, len(w.agents))
	for _, a := range w.agents {
		ready <- a
	}
	var left atomic.Int64
	left.Store(int64(len(w.agents)))
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range w.callers {
		g.Go(func() error {
			for a := range ready {
				going, err := w.advance(ctx, c, a)
				if going {
					ready <- a
				} else if left.Add(-1) == 0 {
					close(ready)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// advance takes a runtime's next turn, or stops it, and reports whether it
// goes on. A call is never cancelled, so that the record of what the store
// acknowledged has no doubt in it. A runtime that was found and not taken up
// when the time ends is left as it is; a turn in which one was found is ended.
func (w *workload) advance(ctx context.Context, c *caller, a *agent) (going bool, err error) {
	calls := context.WithoutCancel(ctx)
	switch {
	case ctx.Err() != nil && a.found:
		return false, nil
	case ctx.Err() != nil || w.over(a):
		return false, a.stop(calls, c)
	}
	if err := a.takeTurn(calls, c); err != nil {
		return false, err
	}
	w.tally.turns.Add(1)
	return true, nil
}

// over reports whether a runtime has taken all its turns.
func (w *workload) over(a *agent) bool {
	return w.turns > 0 && a.turn >= w.turns && len(a.pending) == 0
}

// allOver reports whether there is nothing left to do.
func (w *workload) allOver() bool {
	return !slices.ContainsFunc(w.agents, func(a *agent) bool { return !w.over(a) })
}

// latencies returns those of all callers together. The callers must have
// ended.
func (w *workload) latencies() *[ops.NumKinds]histogram {
	all := new([ops.NumKinds]histogram)
	for _, c := range w.callers {
		for kind := range all {
			all[kind].add(&c.latencies[kind])
		}
	}
	return all
}
