package storetest

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// A trial is one promise that is tried on a store of its own. Unless its comment
// says otherwise, a method of a trial calls an operation that must succeed.
type trial struct {
	*testing.T
	*suite
	store   store.RuntimeStore
	closers []func() error // one for each store of the trial; closes it the first time

	mu        sync.Mutex
	abandoned bool
}

// use makes s the store of the trial, to be closed at its end.
func (tr *trial) use(s store.RuntimeStore) {
	tr.Helper()
	require.NotNil(tr, s, "the Factory returned a nil store")
	tr.store = s
	tr.closers = append(tr.closers, sync.OnceValue(func() error { return closeStore(s) }))
}

// open continues the trial with a new store.
func (tr *trial) open() {
	tr.Helper()
	tr.use(tr.factory.Open(tr.T))
}

// openWith continues the trial with a new store that has these options. It skips the
// promise if there is none.
func (tr *trial) openWith(opts loopstore.Options) {
	tr.Helper()
	if missing := noOpenWith(tr.factory, tr.store); missing != "" {
		tr.Skip("skipped: " + missing)
	}
	s := tr.factory.OpenWith(tr.T, opts)
	if s == nil {
		tr.Skip("skipped: the Factory opens no store with these options")
	}
	tr.use(s)
}

func noOpenWith(f Factory, _ store.RuntimeStore) (missing string) {
	if f.OpenWith == nil {
		return "the Factory has no OpenWith"
	}
	return ""
}

// closeStore closes a store that has a Close.
func closeStore(s store.RuntimeStore) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// close closes the latest store.
func (tr *trial) close() {
	tr.Helper()
	require.NoError(tr, tr.closers[len(tr.closers)-1](), "Close")
}

// closeAll closes the stores that are still open.
func (tr *trial) closeAll() {
	for _, c := range slices.Backward(tr.closers) {
		if err := c(); err != nil {
			tr.Errorf("Close: %v", err)
		}
	}
}

// reopen closes the store and continues the trial with what it kept.
func (tr *trial) reopen() {
	tr.Helper()
	tr.close()
	tr.use(tr.factory.Reopen(tr.T, tr.store))
}

// repeats returns how often to repeat something: n times, or a quarter with -short.
func repeats(n int) int {
	if testing.Short() {
		return max(1, n/4)
	}
	return n
}

func (tr *trial) persist(id store.RuntimeID, states ...store.InputState) {
	tr.Helper()
	for _, s := range states {
		require.NoError(tr, tr.store.PersistInputState(tr.Context(), id, s), "PersistInputState")
	}
}

func (tr *trial) setRuntime(id store.RuntimeID, state store.RuntimeState) {
	tr.Helper()
	require.NoError(tr, tr.store.PersistRuntimeState(tr.Context(), id, state), "PersistRuntimeState")
}

func (tr *trial) lifecycle(id store.RuntimeID, state store.RuntimeState, inputs ...store.InputState) {
	tr.Helper()
	err := tr.store.AtomicLifecycleCommit(tr.Context(), id, store.LifecycleCommit{RuntimeState: state, InputStates: inputs})
	require.NoError(tr, err, "AtomicLifecycleCommit")
}

func (tr *trial) apply(id store.RuntimeID, a store.BoundaryApply) {
	tr.Helper()
	require.NoError(tr, tr.store.AtomicApply(tr.Context(), id, a), "AtomicApply")
}

func (tr *trial) commit(id store.RuntimeID, c store.BoundaryCommit) store.RunBoundaryReceipt {
	tr.Helper()
	receipt, err := tr.store.CommitSessionBoundary(tr.Context(), id, c)
	require.NoError(tr, err, "CommitSessionBoundary")
	return receipt
}

func (tr *trial) inputs(id store.RuntimeID) []store.InputState {
	tr.Helper()
	states, err := tr.store.LoadInputStates(tr.Context(), id)
	require.NoError(tr, err, "LoadInputStates")
	require.NotNil(tr, states, "LoadInputStates returned nil, not an empty list")
	return states
}

// input returns one input's state, which must be there.
func (tr *trial) input(id store.RuntimeID, input store.InputID) store.InputState {
	tr.Helper()
	state, ok, err := tr.store.LoadInputState(tr.Context(), id, input)
	require.NoError(tr, err, "LoadInputState")
	require.True(tr, ok, "runtime %q has no input %v", id, input)
	return state
}

// receipt returns one receipt, which must be there.
func (tr *trial) receipt(id store.RuntimeID, run store.RunID, sequence uint64) store.RunBoundaryReceipt {
	tr.Helper()
	receipt, ok, err := tr.store.LoadBoundaryReceipt(tr.Context(), id, run, sequence)
	require.NoError(tr, err, "LoadBoundaryReceipt")
	require.True(tr, ok, "runtime %q has no receipt %d of run %v", id, sequence, run)
	return receipt
}

// snapshot returns the snapshot, which must be there.
func (tr *trial) snapshot(id store.RuntimeID) []byte {
	tr.Helper()
	snapshot, ok, err := tr.store.LoadSessionSnapshot(tr.Context(), id)
	require.NoError(tr, err, "LoadSessionSnapshot")
	require.True(tr, ok, "runtime %q has no snapshot", id)
	return snapshot
}

// runtime returns the runtime's state, which must be there.
func (tr *trial) runtime(id store.RuntimeID) store.RuntimeState {
	tr.Helper()
	state, ok, err := tr.store.LoadRuntimeState(tr.Context(), id)
	require.NoError(tr, err, "LoadRuntimeState")
	require.True(tr, ok, "runtime %q has no state", id)
	return state
}

// A view is all that the ten operations show of a runtime, as far as the suite
// stores it. Views of a runtime are equal if it has not changed. The zero view
// shows a runtime in which nothing was stored.
type view struct {
	State       store.RuntimeState
	HasState    bool
	Snapshot    string
	HasSnapshot bool
	Inputs      []string
	Receipts    []string // those at places()
}

func (tr *trial) view(id store.RuntimeID) view {
	tr.Helper()
	var v view
	var err error
	v.State, v.HasState, err = tr.store.LoadRuntimeState(tr.Context(), id)
	require.NoError(tr, err, "LoadRuntimeState")
	snapshot, ok, err := tr.store.LoadSessionSnapshot(tr.Context(), id)
	require.NoError(tr, err, "LoadSessionSnapshot")
	v.Snapshot, v.HasSnapshot = string(snapshot), ok
	v.Inputs = tr.viewInputs(id)
	for _, at := range places() {
		receipt, ok, err := tr.store.LoadBoundaryReceipt(tr.Context(), id, at.run, at.sequence)
		require.NoError(tr, err, "LoadBoundaryReceipt")
		if ok {
			v.Receipts = append(v.Receipts, textOf(receipt))
		}
	}
	return v
}

// A place is where a receipt is in a runtime.
type place struct {
	run      store.RunID
	sequence uint64
}

// places are all places where the chapters put receipts.
func places() (all []place) {
	for run := range byte(10) {
		for _, sequence := range []uint64{0, 1, 2, 7, 41, math.MaxUint64} {
			all = append(all, place{store.RunID{run}, sequence})
		}
	}
	return all
}

// viewInputs returns the inputs. It also loads each of them by its id, and compares.
func (tr *trial) viewInputs(id store.RuntimeID) []string {
	tr.Helper()
	all := map[store.InputID]string{}
	var texts []string
	for _, s := range tr.inputs(id) {
		texts = append(texts, textOf(s))
		all[s.InputID] = textOf(s)
	}
	require.Len(tr, all, len(texts), "LoadInputStates returned an input twice")
	for n := range byte(20) {
		one, ok, err := tr.store.LoadInputState(tr.Context(), id, store.InputID{n})
		require.NoError(tr, err, "LoadInputState")
		want, listed := all[store.InputID{n}]
		require.Equal(tr, listed, ok, "LoadInputState and LoadInputStates disagree on whether input %d exists", n)
		if ok {
			require.Equal(tr, want, textOf(one), "LoadInputState and LoadInputStates disagree on input %d", n)
		}
	}
	return texts
}

// together calls do from n goroutines at the same time, and waits for all of them.
// It returns their first error. A panic counts as an error.
func together(n int, do func(caller int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for caller := range n {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					errs[caller] = fmt.Errorf("caller %d panicked: %v\n%s", caller, v, debug.Stack())
				}
			}()
			<-start
			errs[caller] = do(caller)
		})
	}
	close(start)
	wg.Wait()
	return firstOf(errs)
}

// firstOf returns the first of the errors, with the number of the others.
func firstOf(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w (and %d other callers failed)", errs[0], len(errs)-1)
}

const callers = 8

// inTurns has each of the callers call do n times, or until it fails. A caller
// yields after each call, so that callers take turns even on one processor.
func inTurns(n int, do func(caller, turn int) error) error {
	return together(callers, func(caller int) error {
		for turn := range n {
			if err := do(caller, turn); err != nil {
				return err
			}
			runtime.Gosched()
		}
		return nil
	})
}
