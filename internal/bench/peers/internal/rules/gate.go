package rules

import (
	"context"
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
)

// A Gate turns away the calls that come after Close, and those whose context
// has ended. The zero value is open.
type Gate struct{ shut atomic.Bool }

// Enter returns the error of a call that may not begin.
func (g *Gate) Enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.Pass()
}

// Pass is Enter without a context, for a call that has waited for its turn.
func (g *Gate) Pass() error {
	if g.shut.Load() {
		return store.ErrClosed
	}
	return nil
}

// Shut shuts the gate, and reports whether it was open.
func (g *Gate) Shut() bool { return !g.shut.Swap(true) }
