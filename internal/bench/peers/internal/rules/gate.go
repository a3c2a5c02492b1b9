package rules

import (
	"context"
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
)

// A Gate refuses calls that come after Close, and calls whose context has ended. The zero
// value is open.
type Gate struct{ shut atomic.Bool }

// Enter returns an error if a call may not begin: ctx's, or store.ErrClosed.
func (g *Gate) Enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.Pass()
}

// Pass is Enter without a context, for a call that has waited for a lock.
func (g *Gate) Pass() error {
	if g.shut.Load() {
		return store.ErrClosed
	}
	return nil
}

// Shut shuts the gate, and reports whether it was open.
func (g *Gate) Shut() bool { return !g.shut.Swap(true) }
