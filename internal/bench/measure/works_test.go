package measure_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

func loop() measure.Subject {
	return measure.Subject{
		Name: "loop",
		Open: func() (store.RuntimeStore, error) { return loopstore.New(loopstore.Options{}), nil },
		Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
			return s.(*loopstore.Loop).Reader(id).View
		},
	}
}

func mutex() measure.Subject {
	return measure.Subject{Name: "mutex", Open: func() (store.RuntimeStore, error) { return locked.New(new(state.State)), nil }}
}

func only(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

func TestEveryCellIsMeasured(t *testing.T) {
	const quick = `^(hand_off|operation|commit|turn|read_while_committing|reader|batch)[=/]|^growth/receipts=(0|1000|10000)$`
	r, err := measure.Run(t.Context(), []measure.Subject{loop(), mutex()}, measure.Config{Rounds: 1, Time: time.Nanosecond, Only: only(quick)})
	require.NoError(t, err)
	var cells []string
	for _, result := range r.Results {
		cells = append(cells, result.Cell)
		require.Len(t, result.Samples, 1, result.Cell)
		require.Positive(t, result.Samples[0].Calls, result.Cell)
		ns, ok := result.Median(measure.Time)
		require.True(t, ok && ns > 0, result.Cell)
		_, ok = result.Median(measure.Allocs)
		require.Equal(t, !strings.HasPrefix(result.Cell, "read_while"), ok, result.Cell)
	}
	cells = append(slices.Compact(cells), "growth/receipts=100000", "growth/receipts=1000000")
	require.Equal(t, measure.CellNames(), cells)
}

func TestCellNamesAreThoseOfBenchmarks(t *testing.T) {
	names := measure.CellNames()
	for i, name := range names {
		assert.Regexp(t, `^[a-z_]+(=[a-z_0-9A-Z]+)?/[a-z]+=[0-9A-Za-z]+(/callers=\d+)?$`, name)
		assert.NotContains(t, names[:i], name)
	}
	for _, name := range []string{
		"hand_off/callers=8", "operation=load_runtime_state/callers=8", "operation=load_input_states_1000/callers=64",
		"commit=scratch/session=1MB/callers=8", "commit=grown/session=1KB/callers=1",
		"commit=appended/session=10KB/callers=8", "commit=appended/session=10MB/callers=1",
		"commit=grown_lines/session=1MB/callers=1", "commit=counted/session=1MB/callers=1", "turn/callers=64",
		"read_while_committing/session=1MB", "reader/callers=1", "batch/writes=64", "growth/receipts=1000000",
	} {
		assert.Contains(t, names, name)
	}
}

// spied returns what a store sees of one cell.
func spied(t *testing.T, cell string, goal time.Duration) []seen {
	t.Helper()
	s := newSpy()
	_, err := measure.Run(t.Context(), []measure.Subject{{Name: "spy", Open: s.open}},
		measure.Config{Rounds: 1, Time: goal, Only: only("^" + cell + "$")})
	require.NoError(t, err)
	require.Equal(t, "Close", s.seen[len(s.seen)-1].method)
	return s.seen[:len(s.seen)-1]
}

// spiedUntil is spied for as long as it takes to see more than so many calls that count,
// however slow the machine is.
func spiedUntil(t *testing.T, cell string, more int, counts func(seen) bool) (calls []seen) {
	t.Helper()
	for goal, n := 20*time.Millisecond, 0; n <= more && goal < time.Minute; goal *= 2 {
		calls, n = spied(t, cell, goal), 0
		for _, c := range calls {
			if counts(c) {
				n++
			}
		}
	}
	return calls
}

func anyCall(seen) bool { return true }

// Each operation finds what it loads, and replaces what it stores.
func TestOperationsDoWhatTheySay(t *testing.T) {
	for name, want := range map[string]seen{
		"load_runtime_state":           {method: "LoadRuntimeState", found: store.RuntimeIdle},
		"load_input_state_miss":        {method: "LoadInputState", found: nil},
		"load_input_states_10":         {method: "LoadInputStates", found: 10},
		"load_input_states_1000":       {method: "LoadInputStates", found: 1000},
		"load_session_snapshot_1KB":    {method: "LoadSessionSnapshot", found: measure.Session(1 << 10)},
		"load_input_state":             {method: "LoadInputState"},
		"load_boundary_receipt":        {method: "LoadBoundaryReceipt"},
		"persist_runtime_state":        {method: "PersistRuntimeState"},
		"persist_input_state":          {method: "PersistInputState"},
		"atomic_apply":                 {method: "AtomicApply"},
		"atomic_lifecycle_commit":      {method: "AtomicLifecycleCommit"},
		"commit_session_boundary_1KB":  {method: "CommitSessionBoundary"},
		"commit_session_boundary_10KB": {method: "CommitSessionBoundary"},
	} {
		calls := spied(t, "operation="+name+"/callers=8", time.Nanosecond)
		runtimes := map[store.RuntimeID]int{}
		for _, call := range calls[len(calls)-8:] {
			runtimes[call.id]++
			require.Equal(t, want.method, call.method, name)
			switch {
			case want.found != nil || strings.HasSuffix(name, "miss"):
				require.Equal(t, want.found, call.found, name)
			case strings.HasPrefix(name, "load"):
				require.NotNil(t, call.found, name)
			}
		}
		require.Len(t, runtimes, 8, "each caller has a runtime of its own")
	}
	require.Len(t, measure.Operations(), 13)
}

func sessionsOf(calls []seen) (sessions [][]byte) {
	for _, c := range calls {
		if commit, ok := c.arg.(store.BoundaryCommit); ok {
			sessions = append(sessions, commit.Session.SessionSnapshot)
		}
	}
	return sessions
}

func hasSession(c seen) bool { return len(sessionsOf([]seen{c})) > 0 }

// goesOn reports whether the second session begins with the messages of the
// first.
func goesOn(first, second []byte) bool {
	head, _, _ := bytes.Cut(first, []byte(`],"created_at"`))
	return bytes.HasPrefix(second, head)
}

func TestCommitsFromScratchGoOnFromNothing(t *testing.T) {
	for _, cell := range []string{"commit=scratch/session=10KB/callers=1", "operation=commit_session_boundary_10KB/callers=1"} {
		sessions := sessionsOf(spiedUntil(t, cell, 3, hasSession))
		require.Greater(t, len(sessions), 3, cell)
		for i := range sessions[1:] {
			require.False(t, goesOn(sessions[i], sessions[i+1]), cell)
			require.InDelta(t, 10<<10, len(sessions[i+1]), 1100, cell)
		}
	}
}

func TestGrownCommitsGoOnFromWhatIsHeld(t *testing.T) {
	held := map[store.RuntimeID][]byte{}
	measured := 0
	for _, c := range spiedUntil(t, "commit=grown/session=1KB/callers=8", 8*64+8, anyCall) {
		session := c.arg.(store.BoundaryCommit).Session.SessionSnapshot
		if bytes.Equal(session, measure.Session(1<<10)) {
			require.False(t, held[c.id] != nil && goesOn(held[c.id], session))
		} else {
			measured++
			require.True(t, goesOn(held[c.id], session))
			require.InDelta(t, len(held[c.id])+1<<10, len(session), 50)
		}
		held[c.id] = session
	}
	require.Greater(t, measured, 8)
	require.Len(t, held, 8*64)
}

// What is measured appends a line to lines of about the size that the name says.
func TestAppendedCommitsSendTheLineAlone(t *testing.T) {
	for cell, size := range map[string]int{"commit=appended/session=10KB/callers=8": 10 << 10, "commit=appended/session=1MB/callers=1": 1 << 20} {
		held := map[store.RuntimeID]int{}
		appended := 0
		for _, c := range spiedUntil(t, cell, 8, func(c seen) bool { return c.arg.(store.BoundaryCommit).Session.Append }) {
			d := c.arg.(store.BoundaryCommit).Session
			require.Equal(t, store.FormatLines, d.Format, cell)
			if d.Append {
				appended++
				require.InDelta(t, 1<<10, len(d.SessionSnapshot), 50, cell)
				require.InDelta(t, size, held[c.id], float64(size)/7, cell)
				held[c.id] += len(d.SessionSnapshot)
			} else {
				held[c.id] = len(d.SessionSnapshot)
			}
			require.Equal(t, uint64(bytes.Count(d.SessionSnapshot, []byte("\n"))) > 1, !d.Append, cell)
		}
		require.Greater(t, appended, 8, cell)
	}
}

func TestWholeTextsGoOnFromWhatIsHeld(t *testing.T) {
	for cell, format := range map[string]store.Format{"grown_lines": store.FormatLines, "counted": store.FormatMeerkat} {
		calls := spied(t, "commit="+cell+"/session=1MB/callers=1", time.Nanosecond)
		first, second := calls[0].arg.(store.BoundaryCommit).Session, calls[len(calls)-1].arg.(store.BoundaryCommit).Session
		require.Equal(t, []store.Format{format, format}, []store.Format{first.Format, second.Format})
		require.InDelta(t, 1<<20, len(first.SessionSnapshot), 2000)
		require.InDelta(t, len(first.SessionSnapshot)+1<<10, len(second.SessionSnapshot), 50)
		require.Equal(t, cell == "counted", bytes.Contains(second.SessionSnapshot, []byte(`":1000,`)))
		require.Equal(t, cell == "grown_lines", bytes.HasPrefix(second.SessionSnapshot, first.SessionSnapshot), "the counter moves all by a byte")
	}
	one, two := measure.Counted(10<<10, 999), measure.Counted(10<<10, 1000)
	require.Len(t, two, len(one)+1)
	require.Less(t, bytes.Index(one, []byte("999")), bytes.Index(one, []byte(`"messages"`)))
	_, one, _ = bytes.Cut(one, []byte("999"))
	require.True(t, bytes.HasSuffix(two, one))
}

func TestATurnIsAnInputsWholeLife(t *testing.T) {
	calls := spiedUntil(t, "turn/callers=1", 10*7, anyCall)
	require.Greater(t, len(calls), 10*7)
	for i := range 10 {
		turn := calls[i*7 : (i+1)*7]
		var states []store.InputLifecycleState
		for _, c := range turn[:4] {
			states = append(states, c.arg.(store.InputState).CurrentState)
		}
		require.Equal(t, []store.InputLifecycleState{store.InputAccepted, store.InputQueued, store.InputStaged, store.InputStaged}, states)
		require.Equal(t, turn[4].arg, turn[3].arg.(store.InputState).InputID)
		require.Equal(t, turn[4].found, turn[3].arg)

		commit, receipt := turn[5].arg.(store.BoundaryCommit), turn[5].found.(store.RunBoundaryReceipt)
		require.Equal(t, store.InputApplied, commit.InputUpdates[0].CurrentState)
		require.EqualValues(t, i%8, receipt.Sequence, "a run is eight turns")
		require.Equal(t, "AtomicLifecycleCommit", turn[6].method)
	}
	sessions := sessionsOf(calls)
	for i := range 9 {
		require.Equal(t, i != 7, goesOn(sessions[i], sessions[i+1]), i)
	}
}

func TestATurnEndsWithItsInputConsumed(t *testing.T) {
	s := newSpy()
	_, err := measure.Run(t.Context(), []measure.Subject{{Name: "spy", Open: func() (store.RuntimeStore, error) { return struct{ store.RuntimeStore }{s}, nil }}},
		measure.Config{Rounds: 1, Time: time.Nanosecond, Only: only("^turn/callers=1$")})
	require.NoError(t, err)
	inputs, err := s.LoadInputStates(t.Context(), "runtime-0")
	require.NoError(t, err)
	require.Len(t, inputs, 1)
	require.Equal(t, store.InputConsumed, inputs[0].CurrentState)
	require.EqualValues(t, 0, *inputs[0].LastBoundarySequence)
	require.Len(t, inputs[0].History, 4)
	require.NoError(t, s.Close())
}

func TestGrowthIsFilledOnceAndCommitsAnew(t *testing.T) {
	opened := 0
	var s *spy
	open := func() (store.RuntimeStore, error) {
		opened++
		s = newSpy()
		return s, nil
	}
	_, err := measure.Run(t.Context(), []measure.Subject{{Name: "spy", Open: open}},
		measure.Config{Rounds: 4, Time: time.Nanosecond, Only: only("^growth/receipts=1000$")})
	require.NoError(t, err)
	require.Equal(t, 1, opened, "for all rounds")
	var sequences []uint64
	for _, c := range s.seen {
		if receipt, ok := c.found.(store.RunBoundaryReceipt); ok {
			sequences = append(sequences, receipt.Sequence)
		}
	}
	require.Equal(t, []uint64{1000, 1001, 1002, 1003, 1004}, sequences, "the first is not measured")
	sessions := sessionsOf(s.seen)
	for i := range sessions[1:] {
		require.False(t, goesOn(sessions[i], sessions[i+1]))
	}
}

func TestGrowthIsFilledAnewBeforeItHasGrownMuch(t *testing.T) {
	var spies []*spy
	open := func() (store.RuntimeStore, error) {
		spies = append(spies, newSpy())
		return spies[len(spies)-1], nil
	}
	for goal := 20 * time.Millisecond; len(spies) < 2 && goal < time.Minute; goal *= 2 {
		spies = nil
		_, err := measure.Run(t.Context(), []measure.Subject{{Name: "spy", Open: open}},
			measure.Config{Rounds: 1, Time: goal, Only: only("^growth/receipts=0$")})
		require.NoError(t, err)
	}
	require.Greater(t, len(spies), 1)
	for _, s := range spies {
		require.LessOrEqual(t, len(sessionsOf(s.seen)), 65)
		require.Equal(t, "Close", s.seen[len(s.seen)-1].method)
	}
}

func TestABatchIsOneCommitWhereThereAreBatches(t *testing.T) {
	for name, c := range map[string]struct {
		wrap  func(*spy) store.RuntimeStore
		how   string
		calls int
	}{
		"with":    {func(s *spy) store.RuntimeStore { return committer{s} }, "by Commit", 1},
		"without": {func(s *spy) store.RuntimeStore { return s }, "one call after another", 64},
	} {
		s := newSpy()
		r, err := measure.Run(t.Context(), []measure.Subject{{Name: name, Open: func() (store.RuntimeStore, error) { return c.wrap(s), nil }}},
			measure.Config{Rounds: 1, Time: time.Nanosecond, Only: only("^batch/")})
		require.NoError(t, err)
		require.Equal(t, c.how, r.Result("batch/writes=64", name).How)
		require.Len(t, s.seen, c.calls+1, "and Close")
		if batch, ok := s.seen[0].arg.(batch.Batch); ok {
			require.Len(t, batch.Then, 64)
		}
	}
}

func TestAReaderIsUsedWhereThereIsOne(t *testing.T) {
	r, err := measure.Run(t.Context(), []measure.Subject{loop(), mutex()},
		measure.Config{Rounds: 1, Time: time.Nanosecond, Only: only("^reader/callers=8$")})
	require.NoError(t, err)
	require.Equal(t, "by its reader", r.Result("reader/callers=8", "loop").How)
	require.Equal(t, "by LoadRuntimeState", r.Result("reader/callers=8", "mutex").How)
}

func TestReadsAndCommitsRunAtOnce(t *testing.T) {
	var calls []seen
	methods := map[string]bool{}
	// On a busy machine a goroutine may not run for a millisecond.
	for goal := time.Millisecond; len(methods) < 2 && goal < time.Second; goal *= 2 {
		calls = spied(t, "read_while_committing/session=1MB", goal)
		require.Equal(t, "PersistRuntimeState", calls[0].method)
		for _, c := range calls[1:] {
			methods[fmt.Sprint(c.method, " ", c.id)] = true
		}
	}
	require.Equal(t, map[string]bool{"LoadRuntimeState read": true, "CommitSessionBoundary committed": true}, methods)
	sessions := sessionsOf(calls)
	for i := range sessions[1:] {
		require.False(t, goesOn(sessions[i], sessions[i+1]))
	}
}
