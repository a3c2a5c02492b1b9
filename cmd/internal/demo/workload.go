package demo

import (
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A workload is runtimes and the callers that share them. A runtime is with one caller
// at a time, for one turn.
type workload struct {
	agents    []*agent
	callers   []*caller
	turns     int // of each runtime, in earlier processes too; 0 means no limit
	documents Documents
	tally     tally
}

// A tally is what has been done so far, and what else has happened.
type tally struct {
	turns, snapshotBytes atomic.Int64
	operations           [ops.NumKinds]atomic.Int64
	events               chan string // lines for the progress; nil if there are none
}

// newWorkload makes a workload whose callers call the stores that stores returns.
func newWorkload(s Settings, stores func(caller int) store.RuntimeStore) *workload {
	w := &workload{turns: s.Turns, documents: s.Documents}
	for i := range s.Runtimes {
		w.agents = append(w.agents, newAgent(i, s.Documents))
	}
	for i := range s.Callers {
		w.callers = append(w.callers, newCaller(stores(i), &w.tally))
	}
	return w
}

// run returns when every runtime has taken its turns, or has stopped because ctx ended
// or a caller got an error. Only a turn with an error is left half done.
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

// advance takes a runtime's next turn, or stops it, and reports whether it goes on.
// Calls are never cancelled, so that what the store acknowledged is never in doubt. A
// runtime that was found stays as it is if the time ends before it is taken up. Once
// it is taken up, its turn is ended.
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

// latencies returns those of all callers together. The callers must have ended.
func (w *workload) latencies() *[ops.NumKinds]histogram {
	all := new([ops.NumKinds]histogram)
	for _, c := range w.callers {
		for kind := range all {
			all[kind].add(&c.latencies[kind])
		}
	}
	return all
}
