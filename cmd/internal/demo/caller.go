package demo

import (
	"context"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A caller is one goroutine that calls a store. It is a store itself, which measures
// how long each call takes.
type caller struct {
	ops.Forward

	tally     *tally
	latencies [ops.NumKinds]histogram
}

func newCaller(s store.RuntimeStore, tally *tally) *caller {
	c := &caller{tally: tally}
	c.Forward = func(ctx context.Context, call ops.Call) error {
		began := time.Now()
		err := call.On(ctx, s)
		c.latencies[call.Kind()].observe(time.Since(began))
		c.tally.operations[call.Kind()].Add(1)
		return err
	}
	return c
}
