package turn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
	"github.com/loopstore/loopstore/store/turn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const agent = "agent-1"

var opts = loopstore.Options{Queue: turn.Queue}

// A world is what a crash does not take: the journal, what the tool has done, and what it
// and the sender were asked.
type world struct {
	t      *testing.T
	engine *journaltest.Faulty
	did    map[string]int // by the key of the call
	asked  int
	lives  int
}

// effect is the tool's. It takes anything.
func (w *world) effect(c turn.Call) { w.did[c.Key()]++ }

// live runs the program in a process until it has nothing to do, or the process dies.
func (w *world) live() (done bool) {
	ctx := w.t.Context()
	w.lives++
	l, err := loopstore.Open(ctx, w.engine, "p", opts)
	require.NoError(w.t, err)
	defer l.Close()
	err = w.program(ctx, l)
	if errors.Is(err, store.ErrOutcomeUnknown) {
		return false // the process dies of it
	}
	require.NoError(w.t, err)
	return true
}

// program sends two messages, each until that has succeeded, and works until both are done.
func (w *world) program(ctx context.Context, l *loopstore.Loop) error {
	for _, key := range []string{"1", "2"} {
		if _, _, err := turn.Enqueue(ctx, l, agent, turn.Message{Key: key, Body: json.RawMessage(key)}); err != nil {
			return err
		}
	}
	t, err := turn.Recover(ctx, l, agent)
	if err != nil {
		return err
	}
	if t != nil {
		if err := w.work(ctx, l, t); err != nil {
			return err
		}
	}
	for {
		view, err := l.View(ctx, agent)
		if err != nil {
			return err
		}
		if len(view.InputPage(state.Paging{}, turn.Queue.Ready...).Items) == 0 {
			return nil
		}
		t, err := turn.Next(ctx, l)
		if err != nil {
			return err
		}
		if err := w.work(ctx, l, t); err != nil {
			return err
		}
	}
}

// work does the rest of a turn: what is said already says what comes next.
func (w *world) work(ctx context.Context, l *loopstore.Loop, t *turn.Turn) error {
	name := string(t.Input().PersistedInput)
	if !t.Begun() {
		if err := t.Begin(ctx, line(name, "user")); err != nil {
			return err
		}
	}
	for _, c := range t.MaybeDone() {
		w.asked++
		if w.did[c.Key()] == 0 { // the tool says that it was not
			if err := t.Again(ctx, c.ID); err != nil {
				return err
			}
			w.effect(c)
		}
		if err := t.Result(ctx, c.ID, json.RawMessage(`"done"`), line(name, "result "+c.ID)); err != nil {
			return err
		}
	}
	for _, id := range []string{"a", "b"} {
		text, _, err := l.LoadSessionSnapshot(ctx, agent)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), string(line(name, "call "+id))) {
			continue
		}
		c := turn.Call{ID: id, Tool: "tool"}
		if err := t.Intend(ctx, &c, line(name, "call "+id)); err != nil {
			return err
		}
		w.effect(c)
		if err := t.Result(ctx, id, json.RawMessage(`"done"`), line(name, "result "+id)); err != nil {
			return err
		}
	}
	return t.Finish(ctx, line(name, "bye"))
}

func line(name, text string) []byte { return fmt.Appendf(nil, "%q\n", name+" "+text) }

// check compares what there is with what a program without a crash leaves.
func (w *world) check() {
	l, err := loopstore.Open(w.t.Context(), w.engine, "p", opts)
	require.NoError(w.t, err)
	defer l.Close()
	view, err := l.View(w.t.Context(), agent)
	require.NoError(w.t, err)
	var want strings.Builder
	for _, name := range []string{"1", "2"} {
		for _, text := range []string{"user", "call a", "result a", "call b", "result b", "bye"} {
			want.Write(line(name, text))
		}
	}
	session, _ := view.Snapshot()
	assert.Equal(w.t, want.String(), session.String())
	assert.Len(w.t, w.did, 4)
	for key, n := range w.did {
		assert.Equal(w.t, 1, n, "call %s", key)
	}
	assert.Less(w.t, w.asked, w.lives, "one question for each crash at most")
	assert.Equal(w.t, map[store.InputLifecycleState]int{store.InputConsumed: 6}, view.CountInputStates(), "two messages and four calls")
	is, _ := view.RuntimeState()
	assert.Equal(w.t, store.RuntimeIdle, is)
	for run := range view.RunViews() {
		assert.EqualValues(w.t, run.NumReceipts()-1, run.HighestSequence(), "none is missing")
		assert.GreaterOrEqual(w.t, run.NumReceipts(), 6)
	}
}

// TestEveryCrashPoint ends the process at each append, and then at each later one, stored or
// not: every point between two steps of the program is one of these.
func TestEveryCrashPoint(t *testing.T) {
	run := func(t *testing.T, crashes ...int) (appends int) {
		w := &world{t: t, engine: journaltest.NewFaulty(journaltest.NewEngine()), did: map[string]int{}}
		w.engine.Script(func(int, journal.Batch) (f journaltest.Fault) {
			for _, at := range crashes {
				if at/2 == appends {
					f = journaltest.Ambiguous(at%2 == 0)
				}
			}
			appends++
			return f
		})
		for !w.live() {
			require.LessOrEqual(t, w.lives, len(crashes))
		}
		w.check()
		return appends
	}
	n := run(t)
	require.Greater(t, n, 10)
	for first := range 2 * n {
		for second := first; second < 2*(n+4); second++ {
			if run(t, first, second); t.Failed() {
				t.Fatalf("with crashes at %d and %d", first, second)
			}
		}
	}
}

// first claims the first message of an agent.
func first(t *testing.T, l *loopstore.Loop) *turn.Turn {
	t.Helper()
	_, _, err := turn.Enqueue(t.Context(), l, agent, turn.Message{Body: json.RawMessage("1")})
	require.NoError(t, err)
	claimed, err := turn.Next(t.Context(), l)
	require.NoError(t, err)
	return claimed
}

// TestStaleTurns refuses whoever had a turn that was recovered.
func TestStaleTurns(t *testing.T) {
	l := storetest.New(t, opts)
	ctx := t.Context()
	stale := first(t, l)
	again, err := turn.Recover(ctx, l, agent)
	require.NoError(t, err)
	require.Nil(t, again, "it waits again")
	require.ErrorIs(t, stale.Begin(ctx, line("1", "user")), store.ErrConflict)
	stale, err = turn.Next(ctx, l)
	require.NoError(t, err)
	require.NoError(t, stale.Begin(ctx, line("1", "user")))
	c := turn.Call{ID: "a", Tool: "tool", Arguments: json.RawMessage(`{"n":1}`)}
	require.NoError(t, stale.Intend(ctx, &c, line("1", "call a")))
	current, err := turn.Recover(ctx, l, agent)
	require.NoError(t, err)
	assert.Equal(t, []turn.Call{c}, current.MaybeDone())
	for _, step := range []error{
		stale.Checkpoint(ctx, line("1", "more")), stale.Result(ctx, "a", json.RawMessage("1"), nil), stale.Again(ctx, "a"),
		stale.Abandon(ctx, store.AbandonCancelled, nil), stale.Intend(ctx, &turn.Call{ID: "b"}, nil),
	} {
		assert.ErrorIs(t, step, store.ErrConflict)
	}
	require.NoError(t, current.Result(ctx, "a", json.RawMessage("1"), line("1", "result a")))
	require.NoError(t, current.Finish(ctx, line("1", "bye")))
	require.Error(t, current.Checkpoint(ctx, nil), "it has ended")
	left, err := turn.Recover(ctx, l, agent)
	require.NoError(t, err)
	assert.Nil(t, left)
}

// TestMessagesThatRepeat are answered with the input that stands.
func TestMessagesThatRepeat(t *testing.T) {
	for name, o := range map[string]loopstore.Options{"kept": {}, "unique": {UniqueKeys: true}} {
		t.Run(name, func(t *testing.T) {
			o.Queue = turn.Queue
			l := storetest.New(t, o)
			first, repeated, err := turn.Enqueue(t.Context(), l, agent, turn.Message{Key: "k", Body: json.RawMessage(`"hello"`)})
			require.NoError(t, err)
			assert.False(t, repeated)
			again, repeated, err := turn.Enqueue(t.Context(), l, agent, turn.Message{Key: "k", Body: json.RawMessage(`"other"`)})
			require.NoError(t, err)
			assert.True(t, repeated)
			assert.Equal(t, first, again)
			for range 2 { // without a key nothing repeats
				_, repeated, err = turn.Enqueue(t.Context(), l, agent, turn.Message{Body: json.RawMessage("1")})
				require.NoError(t, err)
				assert.False(t, repeated)
			}
		})
	}
}

// An overtaken store has something happen after its next view.
type overtaken struct {
	*loopstore.Loop
	then func()
}

func (o *overtaken) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	view, err := o.Loop.View(ctx, id)
	if then := o.then; then != nil {
		o.then = nil
		then()
	}
	return view, err
}

// TestCallsWhileATurnIsTakenOver are known to who takes it over, or refused.
func TestCallsWhileATurnIsTakenOver(t *testing.T) {
	l := &overtaken{Loop: storetest.New(t, opts)}
	tn := first(t, l.Loop)
	require.NoError(t, tn.Begin(t.Context(), line("1", "user")))
	c := turn.Call{ID: "a"}
	l.then = func() { require.NoError(t, tn.Intend(t.Context(), &c, nil)) }
	left, err := turn.Recover(t.Context(), l, agent)
	require.NoError(t, err)
	assert.Equal(t, []turn.Call{c}, left.MaybeDone())
	require.ErrorIs(t, tn.Intend(t.Context(), &turn.Call{ID: "b"}, nil), store.ErrConflict)
}

// TestCallsAreTheTurnsOwn shares nothing of them, and keeps their order and each byte.
func TestCallsAreTheTurnsOwn(t *testing.T) {
	l := storetest.New(t, opts)
	tn := first(t, l)
	require.NoError(t, tn.Begin(t.Context(), line("1", "user")))
	for _, wrong := range []turn.Call{{ID: "a\xff"}, {ID: "a", Tool: "\xff"}} {
		_, ok := errors.AsType[*turn.CallError](tn.Intend(t.Context(), &wrong, nil))
		require.True(t, ok)
	}
	var calls []turn.Call
	for _, id := range []string{"a", "b", "c"} {
		calls = append(calls, turn.Call{ID: id, Arguments: json.RawMessage(`{"n":1}`)})
		require.NoError(t, tn.Intend(t.Context(), &calls[len(calls)-1], nil))
	}
	want := tn.MaybeDone()
	for _, c := range calls {
		copy(c.Arguments, "XXXXXXX")
	}
	require.NoError(t, tn.Again(t.Context(), "a"))
	assert.Equal(t, want, tn.MaybeDone())
	left, err := turn.Recover(t.Context(), l, agent)
	require.NoError(t, err)
	assert.Equal(t, want, left.MaybeDone())
}

// TestCallsThatAreMadeAgain say so in their history.
func TestCallsThatAreMadeAgain(t *testing.T) {
	l := storetest.New(t, opts)
	tn := first(t, l)
	require.NoError(t, tn.Begin(t.Context(), line("1", "user")))
	c := turn.Call{ID: "a"}
	require.NoError(t, tn.Intend(t.Context(), &c, nil))
	require.NoError(t, tn.Again(t.Context(), "a"))
	call, ok, err := l.LoadInputState(t.Context(), agent, store.InputIDOf("call/"+c.Key()))
	require.NoError(t, err)
	require.True(t, ok)
	assert.EqualValues(t, 2, call.AttemptCount)
	require.Len(t, call.History, 1)
	assert.Equal(t, "again", *call.History[0].Reason)
	assert.Equal(t, call.UpdatedAt, call.History[0].Timestamp)
}

// TestStepsOutOfTurn refuses what cannot be next, and stores nothing.
func TestStepsOutOfTurn(t *testing.T) {
	l := storetest.New(t, opts)
	ctx := t.Context()
	tn := first(t, l)
	before := l.Stats().Held
	refused := func(step string, input store.InputLifecycleState, err error) {
		t.Helper()
		wrong, ok := errors.AsType[*turn.StepError](err)
		require.True(t, ok, "%v", err)
		wrong.Reason = ""
		assert.Equal(t, &turn.StepError{Agent: agent, Step: step, Input: input}, wrong)
	}
	refused("Checkpoint", store.InputStaged, tn.Checkpoint(ctx, line("1", "more")))
	refused("Finish", store.InputStaged, tn.Finish(ctx, nil))
	refused("Intend", store.InputStaged, tn.Intend(ctx, &turn.Call{ID: "a"}, nil))
	refused("Abandon", store.InputStaged, tn.Abandon(ctx, store.AbandonCancelled, line("1", "sorry")))
	require.NoError(t, tn.PutBack(ctx))
	refused("PutBack", store.InputQueued, tn.PutBack(ctx))
	refused("Abandon", store.InputQueued, tn.Abandon(ctx, store.AbandonCancelled, nil))
	tn, err := turn.Next(ctx, l)
	require.NoError(t, err)
	assert.Equal(t, before.InputStates, l.Stats().Held.InputStates)
	require.NoError(t, tn.Begin(ctx, line("1", "user")))
	refused("Begin", store.InputApplied, tn.Begin(ctx, line("1", "user")))
	refused("PutBack", store.InputApplied, tn.PutBack(ctx))
	require.NoError(t, tn.Intend(ctx, &turn.Call{ID: "a"}, nil))
	wrong := json.RawMessage("{")
	_, err = turn.Recover(ctx, l, "nobody")
	require.NoError(t, err)
	for _, step := range []error{
		tn.Intend(ctx, &turn.Call{}, nil), tn.Intend(ctx, &turn.Call{ID: "a"}, nil), tn.Finish(ctx, nil), tn.Result(ctx, "b", nil, nil), tn.Again(ctx, "b"),
		tn.Intend(ctx, &turn.Call{ID: "c", Arguments: wrong}, nil), tn.Result(ctx, "a", wrong, nil),
	} {
		call, ok := errors.AsType[*turn.CallError](step)
		require.True(t, ok, "%v", step)
		assert.Contains(t, step.Error(), call.Call)
	}
	require.NoError(t, tn.Abandon(ctx, store.AbandonCancelled, line("1", "sorry")))
	refused("Abandon", store.InputAbandoned, tn.Abandon(ctx, store.AbandonCancelled, nil))
	refused("Finish", store.InputAbandoned, tn.Finish(ctx, nil))
	require.Error(t, tn.Again(ctx, "a"), "it has ended")
	other := store.NewInputState(store.NewInputID(), store.Time{})
	other.CurrentState = store.InputApplied
	require.NoError(t, l.PersistInputState(ctx, "other", other))
	left, err := turn.Recover(ctx, l, "other")
	require.NoError(t, err)
	assert.Nil(t, left, "it is no turn of this package")
	view, err := l.View(ctx, tn.Agent())
	require.NoError(t, err)
	assert.Equal(t, map[store.InputLifecycleState]int{store.InputAbandoned: 2}, view.CountInputStates())
	snapshot, _ := view.Snapshot()
	assert.Equal(t, string(line("1", "user"))+string(line("1", "sorry")), snapshot.String(), "and nothing of what was refused")
}

// TestStoresThatFail shows what went wrong, and names the store's errors.
func TestStoresThatFail(t *testing.T) {
	l := storetest.New(t, opts)
	ctx := t.Context()
	tn := first(t, l)
	require.NoError(t, tn.Begin(ctx, line("1", "user")))
	other := store.NewInputState(store.NewInputID(), store.Time{})
	other.CurrentState, other.PersistedInput = store.InputAppliedPendingConsumption, []byte(`"no call"`)
	require.NoError(t, l.PersistInputState(ctx, agent, other))
	left, err := turn.Recover(ctx, l, agent)
	require.NoError(t, err)
	require.Empty(t, left.MaybeDone(), "it is somebody else's")
	require.NoError(t, l.Close())
	_, err = turn.Recover(ctx, l, agent)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = turn.Next(ctx, l)
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, tn.Intend(ctx, &turn.Call{ID: "a"}, nil), store.ErrClosed)
}
