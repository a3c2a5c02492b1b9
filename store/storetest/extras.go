package storetest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A look returns what a runtime holds.
type look = func(context.Context) (*state.View, error)

// readable is a store with the Loop's own readers.
type readable interface {
	Reader(id store.RuntimeID) *loopstore.Reader
}

// sessionLoader is a store with the Loop's LoadSession.
type sessionLoader interface {
	LoadSession(ctx context.Context, id store.SessionID) (store.Snapshot, bool, error)
}

func noReader(f Factory, s store.RuntimeStore) (missing string) {
	if _, ok := s.(readable); !ok && f.Reader == nil {
		return "the Factory has no Reader"
	}
	return ""
}

func (tr *trial) reader(id store.RuntimeID) look {
	if tr.factory.Reader != nil {
		return tr.factory.Reader(tr.store, id)
	}
	return tr.store.(readable).Reader(id).View
}

// no returns what a store lacks to be a C, an interface of one method.
func no[C any](_ Factory, s store.RuntimeStore) (missing string) {
	if _, ok := s.(C); ok {
		return ""
	}
	m := reflect.TypeFor[C]().Method(0)
	return "the store has no method " + m.Name + strings.TrimPrefix(m.Type.String(), "func")
}

// lacksAny returns the first thing that a store lacks of several.
func lacksAny(all ...func(Factory, store.RuntimeStore) string) func(Factory, store.RuntimeStore) string {
	return func(f Factory, s store.RuntimeStore) string {
		for _, lacks := range all {
			if missing := lacks(f, s); missing != "" {
				return missing
			}
		}
		return ""
	}
}

// needs wraps a promise that is skipped unless the store is a C.
func needs[C any](try func(*trial)) func(*trial) {
	return func(tr *trial) {
		if missing := no[C](tr.factory, tr.store); missing != "" {
			tr.Skip("skipped: " + missing)
		}
		try(tr)
	}
}

// has reports whether the store is a C.
func has[C any](tr *trial) bool { return no[C](tr.factory, tr.store) == "" }

func (tr *trial) tryBatch(b batch.Batch) (batch.Result, error) {
	return tr.store.(batch.Committer).Commit(tr.Context(), b)
}

// write commits a batch without conditions.
func (tr *trial) write(writes ...batch.Write) batch.Result {
	tr.Helper()
	result, err := tr.tryBatch(batch.Batch{Then: writes})
	require.NoError(tr, err, "Commit")
	return result
}

// conflictOf returns the conflict with which a batch must fail.
func (tr *trial) conflictOf(b batch.Batch) *batch.ConflictError {
	tr.Helper()
	_, err := tr.tryBatch(b)
	tr.refused("Commit", err, store.ErrConflict)
	conflict, ok := errors.AsType[*batch.ConflictError](err)
	require.True(tr, ok, "a condition that does not hold must fail with a *batch.ConflictError, not %v", err)
	return conflict
}

// version returns a runtime's version. It learns it from the conflict with a version
// that no runtime has.
func (tr *trial) version(id store.RuntimeID) uint64 {
	tr.Helper()
	return tr.conflictOf(batch.Batch{If: []batch.Condition{batch.VersionIs{RuntimeID: id, Version: math.MaxUint64}}}).Version
}

func putting(id store.RuntimeID, s store.InputState) batch.Write {
	return batch.PutInputState{RuntimeID: id, State: s}
}

func setting(id store.RuntimeID, s store.RuntimeState) batch.Write {
	return batch.PutRuntimeState{RuntimeID: id, State: s}
}

func bounding(id store.RuntimeID, c store.BoundaryCommit) batch.Write {
	return batch.CommitBoundary{RuntimeID: id, Commit: c}
}

func deleting(id store.RuntimeID) batch.Write { return batch.DeleteRuntime{RuntimeID: id} }

// keyed returns the state of input n with an idempotency key.
func keyed(n byte, key string) store.InputState {
	s := accepted(n)
	s.IdempotencyKey = &key
	return s
}

// look returns the store's view of a runtime.
func (tr *trial) look(id store.RuntimeID) *state.View {
	tr.Helper()
	v, err := tr.store.(state.Viewer).View(tr.Context(), id)
	require.NoError(tr, err, "View")
	return v
}

// viewer returns a look that calls the store's View.
func (tr *trial) viewer(id store.RuntimeID) look {
	return func(ctx context.Context) (*state.View, error) { return tr.store.(state.Viewer).View(ctx, id) }
}

// shown returns what v shows, in the form of trial.view, which asks the ten
// operations.
func (tr *trial) shown(v *state.View) view {
	tr.Helper()
	var s view
	s.State, s.HasState = v.RuntimeState()
	snapshot, ok := v.Snapshot()
	s.Snapshot, s.HasSnapshot = snapshot.String(), ok
	for state := range v.InputStates() {
		s.Inputs = append(s.Inputs, textOf(state))
		one, ok := v.InputState(state.InputID)
		require.True(tr, ok, "InputStates has input %v, but InputState does not", state.InputID)
		require.Equal(tr, textOf(state), textOf(one), "InputState and InputStates disagree")
	}
	require.Equal(tr, len(s.Inputs), v.NumInputStates(), "NumInputStates")
	for _, at := range places() {
		if receipt, ok := v.Receipt(at.run, at.sequence); ok {
			s.Receipts = append(s.Receipts, textOf(receipt))
		}
	}
	return s
}

// markOf returns the mark of input 1, 0 if there is none.
func markOf(v *state.View) uint32 {
	state, _ := v.InputState(store.InputID{1})
	return state.AttemptCount
}
