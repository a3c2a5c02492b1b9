package ops

import (
	"io"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
)

// Import takes over all that a file of package archive holds. The store must
// never have held anything.
type Import struct {
	answering[store.Totals]

	Source io.Reader

	state *store.State
	held  store.Totals
}

// Kind names the operation.
func (Import) Kind() Kind { return KindImport }

// Runtime names none: it is about all of them.
func (Import) Runtime() (store.RuntimeID, bool) { return "", false }

// Prepare reads and checks all of it.
func (op *Import) Prepare() (err error) {
	op.state, err = archive.Read(op.Source)
	return err
}

// Apply takes it over.
func (op *Import) Apply(state *store.State) error {
	op.held = op.state.Totals()
	return state.Adopt(op.state)
}

// Answer says how much it was.
func (op *Import) Answer() store.Totals { return op.held }
