package measure_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// opening returns a subject that notes when it is opened.
func opening(name string, opened *[]string) measure.Subject {
	s := mutex()
	open := s.Open
	s.Name, s.Open = name, func() (store.RuntimeStore, error) {
		*opened = append(*opened, name)
		return open()
	}
	return s
}

func TestRoundsAreInterleavedAndRotated(t *testing.T) {
	var opened []string
	subjects := []measure.Subject{opening("a", &opened), opening("b", &opened), opening("c", &opened)}
	_, err := measure.Run(t.Context(), subjects, measure.Config{Rounds: 4, Time: time.Nanosecond, Only: only("operation=load_input_state/callers=(1|8)$")})
	require.NoError(t, err)
	require.Equal(t, strings.Split("abcabc bcabca cabcab abcabc", ""), strings.Split(strings.Join(slices.Concat(
		opened[:6], []string{" "}, opened[6:12], []string{" "}, opened[12:18], []string{" "}, opened[18:]), ""), ""), "both cells in each round")
}

func TestResultsAreInTheOrderOfCellsAndSubjects(t *testing.T) {
	var opened []string
	r, err := measure.Run(t.Context(), []measure.Subject{opening("a", &opened), opening("b", &opened)},
		measure.Config{Time: time.Nanosecond, Only: only("(load_input_state|hand_off)/callers=(1|8)$")})
	require.NoError(t, err)
	var order []string
	for _, result := range r.Results {
		order = append(order, result.Cell+" "+result.Subject)
		require.Len(t, result.Samples, 5, "as there are rounds")
	}
	require.Equal(t, []string{
		"hand_off/callers=1 bare hand-off", "hand_off/callers=8 bare hand-off",
		"operation=load_input_state/callers=1 a", "operation=load_input_state/callers=1 b",
		"operation=load_input_state/callers=8 a", "operation=load_input_state/callers=8 b",
	}, order)
	require.Equal(t, []string{"a", "b"}, r.Subjects)
	require.Nil(t, r.Result("hand_off/callers=1", "a"))
}

func TestProgressSaysWhatIsUnderWay(t *testing.T) {
	var progress strings.Builder
	_, err := measure.Run(t.Context(), []measure.Subject{mutex()},
		measure.Config{Rounds: 2, Time: time.Nanosecond, Progress: &progress, Only: only("persist|^batch")})
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(progress.String()) {
		_, what, _ := strings.Cut(line, "s  ")
		lines = append(lines, strings.TrimSpace(what))
	}
	require.Equal(t, []string{"round 1 of 2: operation", "round 1 of 2: batch", "round 2 of 2: operation", "round 2 of 2: batch"}, lines)
}

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	r, err := measure.Run(t.Context(), []measure.Subject{mutex()}, measure.Config{Only: only("nonsense")})
	require.ErrorIs(t, err, measure.ErrNoCell)
	require.NotNil(t, r)
	r, err = measure.Run(t.Context(), []measure.Subject{loop(), mutex(), loop()}, measure.Config{Time: time.Nanosecond, Only: only("^batch")})
	require.EqualError(t, err, `measure: two subjects have the name "loop"`)
	require.NotNil(t, r)
}

var errBroken = errors.New("broken")

func TestAFailureNamesCellAndSubject(t *testing.T) {
	for _, c := range []struct {
		cell, method, says string
	}{
		{"batch/writes=64", "PersistInputState", "broken"},
		{"operation=load_input_state/callers=1", "LoadInputState", "broken"},
		{"operation=load_input_state/callers=8", "LoadInputState", "broken"},
		{"operation=load_input_state/callers=8", "Close", "closing it: broken"},
		{"operation=load_input_state/callers=8", "PersistRuntimeState", "filling it: broken"},
		{"operation=load_input_state/callers=8", "PersistInputState", "filling it: broken"},
		{"operation=load_input_state/callers=8", "CommitSessionBoundary", "filling it: broken"},
		{"commit=grown/session=1KB/callers=8", "CommitSessionBoundary", "broken"},
		{"turn/callers=1", "PersistInputState", "broken"},
		{"turn/callers=8", "LoadInputState", "broken"},
		{"turn/callers=8", "CommitSessionBoundary", "broken"},
		{"read_while_committing/session=1MB", "CommitSessionBoundary", "broken"},
		{"read_while_committing/session=1MB", "LoadRuntimeState", "broken"},
		{"reader/callers=1", "PersistRuntimeState", "broken"},
		{"reader/callers=1", "LoadRuntimeState", "broken"},
		{"growth/receipts=1000", "AtomicApply", "filling it: broken"},
		{"growth/receipts=1000", "LoadRuntimeState", "warming it: broken"},
		{"growth/receipts=1000", "Close", "closing it: broken"},
	} {
		s := newSpy()
		s.err = map[string]error{c.method: errBroken}
		subjects := []measure.Subject{mutex(), {Name: "spy", Open: s.open}}
		r, err := measure.Run(t.Context(), subjects, measure.Config{Rounds: 1, Time: time.Nanosecond, Only: only("^" + c.cell + "$")})
		require.ErrorIs(t, err, errBroken, "%v", c)
		require.EqualError(t, err, "measure: "+c.cell+" of spy: "+c.says)
		require.Len(t, r.Result(c.cell, "mutex").Samples, 1, "what was measured before is there")
	}
}

func TestAFailedCommitEndsTheReads(t *testing.T) {
	s := newSpy()
	s.err = map[string]error{"CommitSessionBoundary": errBroken}
	_, err := measure.Run(t.Context(), []measure.Subject{{Name: "spy", Open: s.open}},
		measure.Config{Time: time.Hour, Only: only("^read_while_committing")})
	require.ErrorIs(t, err, errBroken)
}

func TestASubjectThatDoesNotOpenIsNamed(t *testing.T) {
	for _, cell := range []string{"operation=load_input_state/callers=1", "batch/writes=64", "reader/callers=1", "turn/callers=1", "growth/receipts=0", "read_while_committing/session=1MB"} {
		s := measure.Subject{Name: "shut", Open: func() (store.RuntimeStore, error) { return nil, errBroken }}
		_, err := measure.Run(t.Context(), []measure.Subject{s}, measure.Config{Time: time.Nanosecond, Only: only("^" + cell + "$")})
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, "measure: "+cell+" of shut: opening it: broken")
	}
}

// A forgetful store has nothing of what was stored.
type forgetful struct{ store.RuntimeStore }

func (forgetful) LoadInputState(context.Context, store.RuntimeID, store.InputID) (state store.InputState, ok bool, err error) {
	return state, false, nil
}

func (forgetful) LoadRuntimeState(context.Context, store.RuntimeID) (store.RuntimeState, bool, error) {
	return "", false, nil
}

func TestWhatIsLostIsAFailure(t *testing.T) {
	for cell, says := range map[string]string{
		"turn/callers=1":                    "the store has lost the input",
		"read_while_committing/session=1MB": "the store has lost the runtime's state",
		"reader/callers=1":                  "the reader returned no view",
	} {
		s := mutex()
		open := s.Open
		s.Open = func() (store.RuntimeStore, error) {
			m, err := open()
			return forgetful{m}, err
		}
		s.Reader = func(store.RuntimeStore, store.RuntimeID) func(context.Context) (*state.View, error) {
			return func(context.Context) (*state.View, error) { return nil, nil }
		}
		_, err := measure.Run(t.Context(), []measure.Subject{s}, measure.Config{Time: time.Nanosecond, Only: only("^" + cell + "$")})
		require.EqualError(t, err, "measure: "+cell+" of mutex: "+says)
	}
}

func TestItStopsWhenTheContextEnds(t *testing.T) {
	why := errors.New("enough")
	for cell, stops := range map[string]string{
		"batch/writes=64":                   "PersistInputState",
		"operation=load_input_state":        "PersistInputState",
		"commit=grown/session=1KB/callers":  "CommitSessionBoundary",
		"turn":                              "LoadInputState",
		"growth/receipts=1000000":           "AtomicApply",
		"read_while_committing/session=1MB": "CommitSessionBoundary",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := stopper{newSpy(), stops, func() { cancel(why) }}
		r, err := measure.Run(ctx, []measure.Subject{{Name: "spy", Open: func() (store.RuntimeStore, error) { return s, nil }}},
			measure.Config{Time: time.Hour, Rounds: 3, Only: only("^" + cell)})
		require.ErrorIs(t, err, why, cell)
		require.ErrorContains(t, err, "measure: stopped in "+cell)
		require.NotNil(t, r)
	}
}

func TestItStopsBetweenRounds(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := stopper{newSpy(), "Close", func() { cancel(why) }}
	r, err := measure.Run(ctx, []measure.Subject{{Name: "spy", Open: func() (store.RuntimeStore, error) { return s, nil }}},
		measure.Config{Time: time.Nanosecond, Only: only("^batch")})
	require.ErrorIs(t, err, why)
	require.Len(t, r.Result("batch/writes=64", "spy").Samples, 1, "what was measured is there")
}

func TestItStopsThoughCallsDoNotLookAtTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := loop()
	s.Reader = func(store.RuntimeStore, store.RuntimeID) func(context.Context) (*state.View, error) {
		return func(context.Context) (*state.View, error) {
			cancel()
			return new(state.View), nil
		}
	}
	_, err := measure.Run(ctx, []measure.Subject{s}, measure.Config{Time: time.Hour, Only: only("^reader/callers=1$")})
	require.ErrorIs(t, err, context.Canceled)
}

// A stopper stops it all at the first call of a method.
type stopper struct {
	*spy
	method string
	stop   func()
}

func (s stopper) stopAt(method string) {
	if s.method == method {
		s.stop()
	}
}

func (s stopper) Close() error {
	s.stopAt("Close")
	return s.spy.Close()
}

func (s stopper) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	s.stopAt("AtomicApply")
	return s.spy.AtomicApply(ctx, id, apply)
}

func (s stopper) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	s.stopAt("PersistInputState")
	return s.spy.PersistInputState(ctx, id, state)
}

func (s stopper) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	s.stopAt("LoadInputState")
	return s.spy.LoadInputState(ctx, id, input)
}

func (s stopper) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	s.stopAt("CommitSessionBoundary")
	return s.spy.CommitSessionBoundary(ctx, id, commit)
}

func TestNothingIsMeasuredUnderAContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := measure.Run(ctx, []measure.Subject{mutex()}, measure.Config{})
	require.ErrorIs(t, err, context.Canceled)
	for _, result := range r.Results {
		require.Empty(t, result.Samples)
	}
}

func TestAHandOffEndsWithItsContext(t *testing.T) {
	h := measure.NewHandOff()
	defer h.Close()
	require.NoError(t, h.Call(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		if err := h.Call(ctx); err != nil { // it may be answered first
			require.ErrorIs(t, err, context.Canceled)
		}
		require.NoError(t, h.Call(t.Context()))
	}
}
