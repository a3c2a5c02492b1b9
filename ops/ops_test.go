package ops_test

import (
	"encoding/json"
	"math"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// A call is an operation with its request filled in.
type call func(*state.State) error

func callOf[R any, O ops.Request[R], P ops.Steps[R, O]](op O) call {
	return func(s *state.State) error {
		_, err := ops.Run[R, O, P](s, op)
		return err
	}
}

// filled returns a state that has something of everything in runtime a, and a
// run there that is at its last sequence.
func filled(t *testing.T) *state.State {
	s := new(state.State)
	for _, do := range []call{
		callOf(ops.PersistInputState{RuntimeID: "a", State: accepted(1)}),
		callOf(ops.PersistRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}),
		callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))}),
		callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
			Receipt: store.RunBoundaryReceipt{RunID: store.RunID{9}, Boundary: store.RunStart, Sequence: math.MaxUint64},
		}}),
	} {
		require.NoError(t, do(s))
	}
	return s
}

// held is all that a state holds.
func held(s *state.State) []any {
	return []any{s.Revision(), s.Totals(), slices.Collect(s.Records())}
}

func commitWith(snapshot []byte, updates ...store.InputState) store.BoundaryCommit {
	return store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: snapshot},
		Boundary: store.RunStart, InputUpdates: updates,
	}
}

// Every refused call is refused whole: what it would have done besides is not
// there either.
func TestAtomic(t *testing.T) {
	good, bad := accepted(7), accepted(8)
	bad.CurrentState = "nonsense"
	badBatch := []store.InputState{good, bad}
	exhausted := commitWith(documentOf(`[]`), good)
	exhausted.RunID = store.RunID{9}
	noBoundary := commitWith(documentOf(conversation), good)
	noBoundary.Boundary = ""
	receipt := store.RunBoundaryReceipt{Boundary: store.RunStart}

	for name, c := range map[string]struct {
		do    call
		is    error
		field string
	}{
		"commit_session_boundary, snapshot":  {callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith([]byte("{"), good)}), store.ErrInvalidSnapshot, ""},
		"commit_session_boundary, no bytes":  {callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(nil, good)}), store.ErrInvalidSnapshot, ""},
		"commit_session_boundary, update":    {callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation), badBatch...)}), store.ErrInvalidValue, "input_updates[1].current_state"},
		"commit_session_boundary, boundary":  {callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: noBoundary}), store.ErrInvalidValue, "boundary"},
		"commit_session_boundary, exhausted": {callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: exhausted}), store.ErrSequenceExhausted, ""},
		"commit_session_boundary, runtime":   {callOf(ops.CommitSessionBoundary{RuntimeID: "\xff", Commit: commitWith(documentOf(conversation), good)}), store.ErrInvalidValue, "runtime_id"},
		"atomic_apply, update":               {callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Session: &store.SessionDelta{}, Receipt: receipt, InputUpdates: badBatch}}), store.ErrInvalidValue, "input_updates[1].current_state"},
		"atomic_apply, receipt":              {callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Session: &store.SessionDelta{}, InputUpdates: []store.InputState{good}}}), store.ErrInvalidValue, "receipt.boundary"},
		"atomic_apply, runtime":              {callOf(ops.AtomicApply{RuntimeID: "\xff", Commit: store.BoundaryApply{Receipt: receipt}}), store.ErrInvalidValue, "runtime_id"},
		"atomic_lifecycle_commit, state":     {callOf(ops.AtomicLifecycleCommit{RuntimeID: "a", Commit: store.LifecycleCommit{InputStates: []store.InputState{good}}}), store.ErrInvalidValue, "runtime_state"},
		"atomic_lifecycle_commit, inputs":    {callOf(ops.AtomicLifecycleCommit{RuntimeID: "a", Commit: store.LifecycleCommit{RuntimeState: store.RuntimeRunning, InputStates: badBatch}}), store.ErrInvalidValue, "input_states[1].current_state"},
		"atomic_lifecycle_commit, runtime":   {callOf(ops.AtomicLifecycleCommit{RuntimeID: "\xff", Commit: store.LifecycleCommit{RuntimeState: store.RuntimeRunning}}), store.ErrInvalidValue, "runtime_id"},
		"persist_input_state":                {callOf(ops.PersistInputState{RuntimeID: "a", State: bad}), store.ErrInvalidValue, "current_state"},
		"persist_input_state, runtime":       {callOf(ops.PersistInputState{RuntimeID: "\xff", State: good}), store.ErrInvalidValue, "runtime_id"},
		"persist_runtime_state":              {callOf(ops.PersistRuntimeState{RuntimeID: "a", State: "nonsense"}), store.ErrInvalidValue, "runtime_state"},
		"persist_runtime_state, runtime":     {callOf(ops.PersistRuntimeState{RuntimeID: "\xff", State: store.RuntimeIdle}), store.ErrInvalidValue, "runtime_id"},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t)
			err := c.do(s)
			require.ErrorIs(t, err, c.is)
			if c.is == store.ErrInvalidValue {
				var v *store.ValueError
				require.ErrorAs(t, err, &v)
				assert.Equal(t, c.field, v.Field)
			}
			if c.is == store.ErrInvalidSnapshot {
				var where *session.Error
				require.ErrorAs(t, err, &where)
			}
			assert.NotContains(t, err.Error(), "nonsense", "an error holds nothing of the value")
			assert.Equal(t, held(filled(t)), held(s))
		})
	}
}

// The next sequence is not spent by a commit that was refused.
func TestRefusedCommitKeepsTheSequence(t *testing.T) {
	s := filled(t)
	for range 3 {
		require.Error(t, callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith([]byte("x"))})(s))
	}
	receipt, err := ops.Run(s, ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation))})
	require.NoError(t, err)
	assert.EqualValues(t, 1, receipt.Sequence)
}

func TestNoTrace(t *testing.T) {
	reads := func(id store.RuntimeID) []call {
		return []call{
			callOf(ops.LoadInputStates{RuntimeID: id}),
			callOf(ops.LoadInputState{RuntimeID: id, InputID: store.InputID{99}}),
			callOf(ops.LoadBoundaryReceipt{RuntimeID: id, RunID: store.RunID{99}}),
			callOf(ops.LoadSessionSnapshot{RuntimeID: id}),
			callOf(ops.LoadRuntimeState{RuntimeID: id}),
		}
	}
	empty, full := new(state.State), filled(t)
	for _, id := range []store.RuntimeID{"", "a", "b", "\xff"} {
		for _, do := range reads(id) {
			require.NoError(t, do(empty))
			require.NoError(t, do(full))
		}
	}
	assert.Equal(t, new(state.State), empty)
	assert.Equal(t, shown(filled(t), "a"), shown(full, "a"))
	assert.Zero(t, full.Version("b"))
}

// shown is all that a State holds of a runtime.
func shown(s *state.State, id store.RuntimeID) []any {
	v := s.View(id)
	state, _ := v.RuntimeState()
	snapshot, _ := v.Snapshot()
	latest, _ := v.LatestReceipt()
	all := []any{v.Version(), state, snapshot.String(), latest, slices.Collect(v.InputStates())}
	for run := range v.Runs() {
		all = append(all, run, slices.Collect(v.Receipts(run)))
	}
	return all
}

// Two updates of one input: the last one wins, in the place of the first.
func TestLastUpdateWins(t *testing.T) {
	first, other, last := accepted(1), accepted(2), accepted(1)
	last.CurrentState = store.InputStaged
	batch := []store.InputState{first, other, last}
	for name, do := range map[string]call{
		"commit_session_boundary": callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(documentOf(conversation), batch...)}),
		"atomic_apply":            callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart}, InputUpdates: batch}}),
		"atomic_lifecycle_commit": callOf(ops.AtomicLifecycleCommit{RuntimeID: "a", Commit: store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: batch}}),
	} {
		t.Run(name, func(t *testing.T) {
			var s state.State
			require.NoError(t, do(&s))
			states, err := ops.Run(&s, ops.LoadInputStates{RuntimeID: "a"})
			require.NoError(t, err)
			require.Len(t, states, 2)
			assert.Equal(t, store.InputID{1}, states[0].InputID)
			assert.Equal(t, store.InputStaged, states[0].CurrentState)
			assert.Equal(t, store.InputID{2}, states[1].InputID)
		})
	}
}

func TestLifecycleCommitStoresBoth(t *testing.T) {
	s := filled(t)
	require.NoError(t, callOf(ops.AtomicLifecycleCommit{RuntimeID: "a", Commit: store.LifecycleCommit{
		RuntimeState: store.RuntimeRetired, InputStates: []store.InputState{accepted(5)},
	}})(s))
	assert.Equal(t, store.RuntimeRetired, s.RuntimeState("a"))
	assert.Equal(t, accepted(5), *s.InputState("a", store.InputID{5}))
}

// No session leaves the snapshot as it is; an empty one replaces it.
func TestApplyWithoutSession(t *testing.T) {
	s := filled(t)
	apply := store.BoundaryApply{Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart}}
	require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "a", Commit: apply})(s))
	assert.Equal(t, string(documentOf(conversation)), s.Snapshot("a").String())

	apply.Session = &store.SessionDelta{}
	require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "a", Commit: apply})(s))
	found, err := ops.Run(s, ops.LoadSessionSnapshot{RuntimeID: "a"})
	require.NoError(t, err)
	assert.Equal(t, ops.Found[[]byte]{Value: []byte{}, OK: true}, found)
}

// rich is a state with a part of every kind that a caller could change.
func rich(t *testing.T) store.InputState {
	var s store.InputState
	require.NoError(t, json.Unmarshal([]byte(`{"input_id":"0195b1c2-0000-7000-8000-000000000001","current_state":"abandoned",
		"policy":{"version":1,"decision":{"apply_mode":"ignore","wake_mode":"none","queue_mode":"none","consume_point":"on_apply","policy_version":2}},
		"terminal_outcome":{"outcome_type":"abandoned","reason":"reset"},"idempotency_key":"k",
		"history":[{"timestamp":"2026-03-12T15:57:06Z","from":"queued","to":"abandoned","reason":"r"}],
		"reconstruction_source":{"source_type":"coalescing","source_input_ids":["0195b1c2-0000-7000-8000-000000000002"]},
		"persisted_input":{"a":1},"last_run_id":"0195b1c2-0000-7000-8000-000000000003","last_boundary_sequence":4,
		"created_at":"2026-03-12T15:57:06Z","updated_at":"2026-03-12T15:57:06Z"}`), &s))
	return s
}

// scribble changes all that a state leads to.
func scribble(s *store.InputState) {
	s.Policy.Version, s.TerminalOutcome.Reason = 99, store.AbandonRetired
	*s.IdempotencyKey, *s.History[0].Reason, s.History[0].To = "x", "x", store.InputStaged
	s.ReconstructionSource.SourceInputIDs[0] = store.InputID{}
	copy(s.PersistedInput, jsontext.Value("[2,3]x"))
	*s.LastRunID, *s.LastBoundarySequence = store.RunID{}, 99
	s.CurrentState = store.InputQueued
}

func TestPrivate(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	run := store.RunID{1}
	id := rich(t).InputID

	// Each way in: what the caller does to its arguments afterwards is not seen.
	ways := map[store.RuntimeID]func([]store.InputState, []byte, []store.InputID) error{
		"persist": func(states []store.InputState, _ []byte, _ []store.InputID) error {
			return s.PersistInputState(ctx, "persist", states[0])
		},
		"lifecycle": func(states []store.InputState, _ []byte, _ []store.InputID) error {
			return s.AtomicLifecycleCommit(ctx, "lifecycle", store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: states})
		},
		"apply": func(states []store.InputState, snapshot []byte, ids []store.InputID) error {
			digest := "d"
			defer func() { digest = "x" }()
			return s.AtomicApply(ctx, "apply", store.BoundaryApply{
				Session:      &store.SessionDelta{SessionSnapshot: snapshot},
				Receipt:      store.RunBoundaryReceipt{RunID: run, Boundary: store.RunStart, ContributingInputIDs: ids, ConversationDigest: &digest},
				InputUpdates: states,
			})
		},
		"commit": func(states []store.InputState, snapshot []byte, ids []store.InputID) error {
			receipt, err := s.CommitSessionBoundary(ctx, "commit", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: snapshot}, RunID: run, Boundary: store.RunStart,
				ContributingInputIDs: ids, InputUpdates: states,
			})
			if err == nil {
				receipt.ContributingInputIDs[0], *receipt.ConversationDigest = store.InputID{}, "x"
			}
			return err
		},
	}
	for runtime, put := range ways {
		states := []store.InputState{rich(t)}
		snapshot, ids := documentOf(conversation), []store.InputID{{7}}
		require.NoError(t, put(states, snapshot, ids))
		scribble(&states[0])
		states[0] = store.InputState{}
		clear(snapshot)
		clear(ids)

		// Each way out, twice: what the caller does to the first answer is not
		// in the second.
		want := rich(t)
		if runtime == "commit" {
			want.LastRunID, want.LastBoundarySequence = new(run), new(uint64(0))
		}
		for range 2 {
			all, err := s.LoadInputStates(ctx, runtime)
			require.NoError(t, err)
			require.Equal(t, []store.InputState{want}, all, runtime)
			scribble(&all[0])
			one := loadInput(t, s, runtime, id)
			require.Equal(t, want, one, runtime)
			scribble(&one)

			receipt, ok, err := s.LoadBoundaryReceipt(ctx, runtime, run, 0)
			require.NoError(t, err)
			got, has, err := s.LoadSessionSnapshot(ctx, runtime)
			require.NoError(t, err)
			require.Equal(t, ok, has)
			if ok {
				require.Equal(t, []store.InputID{{7}}, receipt.ContributingInputIDs, runtime)
				require.NotEqual(t, "x", *receipt.ConversationDigest)
				require.Equal(t, string(documentOf(conversation)), string(got), runtime)
				receipt.ContributingInputIDs[0], *receipt.ConversationDigest = store.InputID{}, "x"
				clear(got)
			}
		}
	}
}

// A snapshot that takes long to prepare is prepared whole, whatever its size.
func TestLargeSnapshots(t *testing.T) {
	if testing.Short() {
		t.Skip("100 MB")
	}
	ctx, s := t.Context(), newStore(t)
	text := strings.Repeat("x", 100<<20)
	receipt, err := s.CommitSessionBoundary(ctx, "a", commitWith(documentOf(`[{"role":"user","content":"`+text+`"}]`)))
	require.NoError(t, err)
	assert.EqualValues(t, 1, receipt.MessageCount)
	_, err = s.CommitSessionBoundary(ctx, "a", commitWith([]byte(text)))
	require.ErrorIs(t, err, store.ErrInvalidSnapshot)
	assert.Less(t, len(err.Error()), 200)
	_, err = s.CommitSessionBoundary(ctx, "a", commitWith([]byte(strings.Repeat("[", 100<<20))))
	require.ErrorIs(t, err, store.ErrInvalidSnapshot)
}

// A conversation that grows, or does not, has the same receipts whatever the
// store held before.
func TestContinuedCommits(t *testing.T) {
	turn := `{"role":"user","content":"` + strings.Repeat("x", 1000) + `"},`
	var s state.State
	for i, n := range []int{1, 5, 6, 6, 2, 9, 0, 3} {
		snapshot := documentOf("[" + strings.TrimSuffix(strings.Repeat(turn, n), ",") + "]")
		op := ops.CommitSessionBoundary{RuntimeID: "a", Commit: commitWith(snapshot)}
		if i == 5 { // bytes that are no document, nor were read as one
			require.NoError(t, callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
				Session: &store.SessionDelta{SessionSnapshot: snapshot[:len(snapshot)-9]},
				Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
			}})(&s))
		}
		got, err := ops.Run(&s, op)
		require.NoError(t, err)
		want, err := ops.Run(new(state.State), op)
		require.NoError(t, err)
		assert.Equal(t, want.ConversationDigest, got.ConversationDigest)
		assert.EqualValues(t, n, got.MessageCount)
		assert.Equal(t, string(snapshot), s.Snapshot("a").String())
	}
}

// The owner runs no code of another package's.
func TestSealed(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "build", "./testdata/sealed").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "embedsRequest does not satisfy ops.Request")
	assert.Contains(t, string(out), "cannot use type ops.Request[ops.None] outside a type constraint")
}

// A request may be prepared again after a change of it.
func TestPrepareAgain(t *testing.T) {
	op := ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("old")},
		Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}}
	require.NoError(t, op.Prepare(new(state.State)))
	op.Commit.Session = nil
	var s state.State
	_, err := ops.Run(&s, op)
	require.NoError(t, err)
	assert.Nil(t, s.Snapshot("a"))
}

// Small texts do not keep the large ones alive that they are parts of.
func TestStoredTextsAreTheirOwn(t *testing.T) {
	const n, size = 64, 1 << 20
	s := newStore(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range byte(n) {
		large := strings.Repeat(" ", size) + "idle accepted run_start key"
		part := func(text string) string {
			at := strings.Index(large, text)
			return large[at : at+len(text)]
		}
		id := store.RuntimeID(part("key")[:2]) + store.RuntimeID(i)
		input := accepted(i)
		input.CurrentState, input.IdempotencyKey = store.InputLifecycleState(part("accepted")), new(part("key"))
		require.NoError(t, s.PersistInputState(t.Context(), id, input))
		require.NoError(t, s.PersistRuntimeState(t.Context(), id, store.RuntimeState(part("idle"))))
		require.NoError(t, s.AtomicApply(t.Context(), store.RuntimeID(part("key")), store.BoundaryApply{
			Receipt: store.RunBoundaryReceipt{Boundary: store.RunApplyBoundary(part("run_start")), ConversationDigest: new(part("key")), Sequence: uint64(i)},
		}))
		require.Equal(t, "key", *loadInput(t, s, id, input.InputID).IdempotencyKey)
	}
	assert.Less(t, heap(), before+n*size/2)
}

func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for k := range ops.NumKinds {
		name := k.String()
		assert.Equal(t, strings.ToLower(name), name)
		seen[name] = true
	}
	assert.Len(t, seen, int(ops.NumKinds))
	words := regexp.MustCompile("([a-z])([A-Z])")
	for _, op := range []ops.Operation{
		ops.CommitSessionBoundary{}, ops.AtomicApply{}, ops.LoadInputStates{}, ops.LoadInputState{}, ops.LoadInput{}, ops.LoadBoundaryReceipt{},
		ops.LoadSessionSnapshot{}, ops.LoadRuntimeState{}, ops.PersistInputState{}, ops.PersistRuntimeState{},
		ops.AtomicLifecycleCommit{}, ops.Commit{}, ops.LoadSession{}, ops.LoadSessionAt{}, ops.Fork{}, ops.LoadView{}, ops.DeleteRuntime{}, ops.Prune{}, ops.Expire{}, ops.LoadChanges{}, ops.ClaimNext{},
		ops.ListRuntimes{}, ops.LoadImage{}, ops.BeginImport{}, ops.StorePiece{}, ops.Import{},
	} {
		name := op.Kind().String()
		assert.Equal(t, name, strings.ToLower(words.ReplaceAllString(reflect.TypeOf(op).Name(), "${1}_${2}")))
		delete(seen, name)
	}
	assert.Empty(t, seen, "each kind has a request")
	assert.Equal(t, "unknown operation", ops.NumKinds.String())
}

// A session may be over a limit that was set later. What adds nothing to it is not
// refused.
func TestAdditionToASessionOverTheLimit(t *testing.T) {
	s := new(state.State)
	add := func(text string) error {
		c := commitWith([]byte(text))
		c.Session.Format, c.Session.Append = store.FormatLines, true
		return callOf(ops.CommitSessionBoundary{RuntimeID: "a", Commit: c})(s)
	}
	require.NoError(t, add("{}\n"))
	s.Limits.SnapshotBytes = 2
	require.NoError(t, add(""))
	require.ErrorIs(t, add("1\n"), store.ErrLimit)
	require.Equal(t, "{}\n", s.Snapshot("a").String())
}

// What is appended after RestoreSession goes on from what that has left, which Prepare
// cannot know.
func TestRunAppendsAfterRestoreSession(t *testing.T) {
	s := &state.State{Retention: store.Retention{Sessions: store.Keep{Last: 9}}}
	add := func(text string) batch.Write {
		return batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(text), Format: store.FormatLines, Append: true}
	}
	for i, writes := range [][]batch.Write{{add("1\n"), add("2\n")}, {batch.RestoreSession{RuntimeID: "a", Number: 1}, add("3\n"), add("4\n")}} {
		_, err := ops.Run(s, ops.Commit{Batch: batch.Batch{Then: writes}})
		require.NoError(t, err)
		require.Equal(t, []string{"1\n2\n", "1\n3\n4\n"}[i], s.Snapshot("a").String())
	}
}

// The version that is restored was made by the same batch, and what is added to it is
// too large for the owner.
func TestRunAppendsToWhatTheBatchHasMade(t *testing.T) {
	large := []byte(strings.Repeat("1\n", 64<<10))
	put := func(text []byte, add bool) batch.Write {
		return batch.PutSnapshot{RuntimeID: "a", Snapshot: text, Format: store.FormatLines, Append: add}
	}
	for name, first := range map[string]batch.Write{"a whole text": put([]byte("2\n"), false), "an addition": put([]byte("2\n"), true)} {
		t.Run(name, func(t *testing.T) {
			s := &state.State{Retention: store.Retention{Sessions: store.Keep{Last: 9}}}
			_, err := ops.Run(s, ops.Commit{Batch: batch.Batch{Then: []batch.Write{
				first, put([]byte("3\n"), false), batch.RestoreSession{RuntimeID: "a", Number: 1}, put(large, true),
			}}})
			require.NoError(t, err)
			require.Equal(t, "2\n"+string(large), s.Snapshot("a").String())
		})
	}
}
