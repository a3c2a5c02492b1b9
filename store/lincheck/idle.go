package lincheck

import (
	"context"
	"maps"
	"sync"
	"time"
)

// A crowd is callers that run side by side. When all that are not done wait for something to
// claim, nobody is left who could bring them anything. Then the store must serve those for whom
// there is something, and the others give up.
type crowd struct {
	mu      sync.Mutex
	busy    int // those that neither wait nor are done
	waiting map[*turn]context.CancelFunc
	look    func(map[*turn]context.CancelFunc) // at those that wait; it must not keep up the caller
}

// leave says that a caller is done, or with a claim that it begins to wait.
func (c *crowd) leave(claim *turn, end context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if claim != nil {
		c.waiting[claim] = end
	}
	if c.busy--; c.busy == 0 && len(c.waiting) > 0 {
		c.look(maps.Clone(c.waiting))
	}
}

// comeBack ends the wait of a claim.
func (c *crowd) comeBack(claim *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, claim)
	c.busy++
}

// still reports whether all that is known is that these claims wait.
func (c *crowd) still(waiting map[*turn]context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for claim := range waiting {
		if c.waiting[claim] == nil {
			return false
		}
	}
	return c.busy == 0
}

// gather makes a crowd of so many callers.
func (r *recorder) gather(ctx context.Context, wg *sync.WaitGroup, callers int) {
	r.crowd = &crowd{busy: callers, waiting: make(map[*turn]context.CancelFunc)}
	r.crowd.look = func(waiting map[*turn]context.CancelFunc) {
		wg.Go(func() {
			for ctx.Err() == nil && r.crowd.still(waiting) && r.ready(ctx, waiting) {
				select { // it is served any moment, or hangs
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			for _, end := range waiting {
				end()
			}
		})
	}
}

// ready reports whether the store has something for one of some claims.
func (r *recorder) ready(ctx context.Context, waiting map[*turn]context.CancelFunc) bool {
	for n := range r.runtimes {
		states, err := r.store.LoadInputStates(ctx, runtimeID(n))
		if err != nil {
			return false
		}
		s := new(model)
		s.putInputs(inputsOf(states), moment{})
		for claim := range waiting {
			if claim.call.flaw == nil && s.ready(r.rules, r.rules.wanted(claim.call.claim)) {
				return true
			}
		}
	}
	return false
}
