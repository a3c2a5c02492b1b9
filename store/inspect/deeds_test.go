package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestDelete(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{})
	body := o.send(http.MethodGet, "/delete?"+escaped(busy), nil).Body.String()
	for _, part := range []string{
		"Delete runtime agent/1 &lt;script&gt;alert(1)&lt;/script&gt;</h1>", "3 of its inputs have not ended",
		"<dt>inputs</dt><dd>9</dd>", "<dt>receipts</dt><dd>3</dd>", "<dt>earlier versions</dt><dd>2</dd>", "keeps no tombstones",
	} {
		require.Contains(t, body, part)
	}
	view, err := loop.View(t.Context(), busy)
	require.NoError(t, err)

	body = o.act("/delete?" + escaped(busy))
	require.Regexp(t, `<p class="notice" role="status">\d\d:\d\d:\d\d UTC: Runtime agent/1 &lt;script&gt;alert\(1\)&lt;/script&gt; was deleted, with 9 inputs, 1 run, 3 receipts, 1 session, 2 earlier versions \([^)]+\)\.</p>`, body)
	gone, err := loop.View(t.Context(), busy)
	require.NoError(t, err)
	require.False(t, gone.Exists())
	require.Equal(t, 1, loop.Stats().Held.Runtimes, "the fork stays")
	line := o.logged()
	require.Greater(t, line["revision"], float64(view.Version()))
	delete(line, "revision")
	require.Equal(t, map[string]any{
		"level": "INFO", "action": "delete", "who": "192.0.2.1:1234", "outcome": "done", "runtime_id": string(busy), "version": float64(view.Version()),
	}, line)
	require.Equal(t, http.StatusNotFound, o.send(http.MethodGet, "/delete?"+escaped(busy), nil).Code)
}

func TestDeleteSaysWhatTombstonesDo(t *testing.T) {
	loop := storetest.New(t, loopstore.Options{Tombstones: store.Keep{Last: 5}})
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	o := operatorOf(t, loop, inspect.Actions{})
	require.Contains(t, o.send(http.MethodGet, "/delete?id=a", nil).Body.String(), "The store keeps tombstones")
	o.act("/delete?id=a")
	require.ErrorIs(t, loop.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrDeleted)
}

// A prune removes what its dry run has shown, and nothing that no field speaks of.
func TestPrune(t *testing.T) {
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}, Keys: store.Keep{Last: 100}}})
	fill(t, loop)
	key := store.NewInputState(store.NewInputID(), noon)
	key.CurrentState, key.IdempotencyKey, key.TerminalOutcome = store.InputConsumed, new("kept"), &store.TerminalOutcome{Type: store.OutcomeConsumed}
	require.NoError(t, loop.PersistInputState(t.Context(), busy, key))
	_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.DeleteInputState{RuntimeID: busy, InputID: key.InputID}}})
	require.NoError(t, err)
	o := operatorOf(t, loop, inspect.Actions{})
	held := func() store.Totals {
		view, err := loop.View(t.Context(), busy)
		require.NoError(t, err)
		return view.Summary().Held
	}
	before := held()
	require.Equal(t, 1, before.Keys)

	body := o.send(http.MethodGet, "/prune?"+escaped(busy), nil).Body.String()
	require.Contains(t, body, `Inputs that have ended: keep, of 6<input type="number" name="inputs" min="1" inputmode="numeric" value="" placeholder="all">`)
	require.NotContains(t, body, "What would go", "nobody has said yet what to keep")
	require.NotContains(t, body, `method="post"`)
	require.Contains(t, o.send(http.MethodGet, "/prune?"+escaped(busy)+"&inputs=100", nil).Body.String(), "<p>Nothing.</p>")
	for _, bad := range []string{"0", "-1", "x", "1e3", "99999999999999999999"} {
		require.Equal(t, http.StatusBadRequest, o.send(http.MethodGet, "/prune?"+escaped(busy)+"&versions="+bad, nil).Code, bad)
	}

	body = o.send(http.MethodGet, "/prune?"+escaped(busy)+"&inputs=2&receipts=1", nil).Body.String()
	for _, part := range []string{"<dt>inputs</dt><dd>4</dd>", "<dt>receipts</dt><dd>2</dd>", `name="inputs" min="1" inputmode="numeric" value="2"`} {
		require.Contains(t, body, part)
	}
	require.NotContains(t, body, "earlier versions</dt>")
	require.Equal(t, before, held(), "nothing has gone yet")
	require.Contains(t, o.act("/prune?"+escaped(busy)+"&inputs=2&receipts=1"), "UTC: Pruned: 4 inputs, 2 receipts (")
	after := held()
	require.Equal(t, []int{before.InputStates - 4, before.Receipts - 2, before.Versions}, []int{after.InputStates, after.Receipts, after.Versions})
	require.GreaterOrEqual(t, after.Keys, 1, "a key that is kept stays")
	require.Equal(t, "done", o.logged()["outcome"])

	require.Contains(t, o.act("/prune?"+escaped(busy)+"&versions=1"), "Pruned: 2 earlier versions (")
	require.Zero(t, held().Versions)
	require.Contains(t, o.act("/prune?"+escaped(busy)+"&inputs=1"), "Pruned: 1 input (")
}

func TestRequeueAndAbandon(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{Who: func(*http.Request) (string, error) { return "alice", nil }})
	staged, accepted := uuidOf(store.ParseInputID, 5), uuidOf(store.ParseInputID, 9)
	claimed, ok, err := loop.LoadInput(t.Context(), busy, staged)
	require.True(t, ok)
	require.NoError(t, err)

	require.Contains(t, o.send(http.MethodGet, inputAt("requeue", 5), nil).Body.String(), "Somebody may be at work on it.")
	require.NotContains(t, o.send(http.MethodGet, inputAt("requeue", 9), nil).Body.String(), "Somebody may be at work on it.")
	require.Regexp(t, `UTC: The input was requeued\.</p>`, o.act(inputAt("requeue", 5), "note", " its worker hangs <b> "))
	now, _, err := loop.LoadInput(t.Context(), busy, staged)
	require.NoError(t, err)
	require.Equal(t, store.InputQueued, now.State.CurrentState)
	last := now.State.History[len(now.State.History)-1]
	require.Equal(t, "requeued by alice: its worker hangs <b>", *last.Reason)
	require.Equal(t, store.InputStaged, last.From)
	line := o.logged()
	require.Equal(t, map[string]any{
		"level": "INFO", "action": "requeue", "who": "alice", "outcome": "done", "runtime_id": string(busy), "input_id": staged.String(),
		"version": float64(claimed.Version), "revision": float64(now.Version),
	}, line)

	// The worker that had it is fenced.
	claimed.State.CurrentState, claimed.State.TerminalOutcome = store.InputConsumed, &store.TerminalOutcome{Type: store.OutcomeConsumed}
	_, err = loop.Commit(t.Context(), batch.Batch{
		If:   []batch.Condition{batch.InputVersionIs{RuntimeID: busy, InputID: staged, Version: claimed.Version}},
		Then: []batch.Write{batch.PutInputState{RuntimeID: busy, State: claimed.State}},
	})
	require.ErrorIs(t, err, store.ErrConflict)

	require.Contains(t, o.act(inputAt("abandon", 9), "reason", "cancelled"), "The input was abandoned.")
	ended, _, err := loop.LoadInput(t.Context(), busy, accepted)
	require.NoError(t, err)
	require.Equal(t, &store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: store.AbandonCancelled}, ended.State.TerminalOutcome)
	require.Equal(t, "abandoned by alice", *ended.State.History[0].Reason)

	// What has ended stays so, and what waits is not queued again.
	for _, target := range []string{inputAt("abandon", 9), inputAt("requeue", 1), inputAt("requeue", 5)} {
		require.Equal(t, http.StatusConflict, o.send(http.MethodGet, target, nil).Code, target)
	}
	to, form := o.ask(inputAt("abandon", 5))
	for _, bad := range []url.Values{{"reason": {"stopped"}}, {"reason": {""}}, {"reason": {"reset"}, "note": {strings.Repeat("é", 201)}}} {
		bad["seen"], bad["token"] = form["seen"], form["token"]
		w := o.send(http.MethodPost, to, bad)
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Contains(t, w.Body.String(), "Nothing was done.")
	}
	require.Equal(t, "refused", o.logged()["outcome"])
}

// Without a name nobody is in the history.
func TestAbandonWithoutAName(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{})
	o.act(inputAt("abandon", 4), "reason", "reset", "note", strings.Repeat("é", 200))
	ended, _, err := loop.LoadInput(t.Context(), busy, uuidOf(store.ParseInputID, 4))
	require.NoError(t, err)
	require.Equal(t, "abandoned by hand: "+strings.Repeat("é", 200), *ended.State.History[0].Reason)
}

// compacted counts compactions of a store.
type compacted struct {
	*loopstore.Loop
	n   int
	err error
}

func (c *compacted) Compact(ctx context.Context) error {
	c.n++
	return errors.Join(c.err, ctx.Err())
}

func TestCompact(t *testing.T) {
	c := &compacted{Loop: durable(t)}
	o := operatorOf(t, c, inspect.Actions{})
	require.Contains(t, o.send(http.MethodGet, "/compact", nil).Body.String(), "Stored since the start")
	require.Zero(t, c.n)
	require.Regexp(t, `UTC: The journal was compacted. It took `, o.act("/compact"))
	require.Equal(t, 1, c.n)
	require.Equal(t, "done", o.logged()["outcome"])

	memory := sample(t)
	o = operatorOf(t, memory, inspect.Actions{})
	require.Equal(t, http.StatusNotFound, o.send(http.MethodGet, "/compact", nil).Code)
	require.Equal(t, http.StatusNotFound, o.send(http.MethodPost, "/compact", nil).Code)
	require.NotContains(t, o.send(http.MethodGet, "/stats", nil).Body.String(), "offers\"")
}

// failing is a store whose every action fails.
type failing struct {
	*loopstore.Loop
	err error
}

func (f *failing) Commit(context.Context, batch.Batch) (batch.Result, error) {
	return batch.Result{}, f.err
}

func (f *failing) Prune(context.Context, store.RuntimeID, store.Retention) (state.Removed, error) {
	return state.Removed{}, f.err
}

// An error is shown in words that say whether anything was done, and logged.
func TestErrorsSayWhatWasDone(t *testing.T) {
	loop := sample(t)
	f := &failing{Loop: loop}
	o := operatorOf(t, f, inspect.Actions{})
	op := func(err error) error { return &store.OpError{Op: "commit", Err: err} }
	panicked := &store.PanicError{Value: "canary"}
	for _, c := range []struct {
		err     error
		status  int
		title   string
		applied string
		outcome string
	}{
		{op(&batch.ConflictError{RuntimeID: busy}), 409, "It has changed meanwhile", "nothing", "conflict"},
		{op(store.ErrOutcomeUnknown), 503, "Nobody knows whether it was done", "unknown", "unknown"},
		{op(panicked), 503, "Nobody knows whether it was done", "unknown", "unknown"},
		{op(fmt.Errorf("an earlier operation panicked: %w", panicked)), 503, "The store has failed", "nothing", "failed"},
		{op(store.ErrClosed), 503, "The store is closed", "nothing", "failed"},
		{op(fmt.Errorf("%w: canary", journal.ErrRejected)), 503, "The journal has refused it", "nothing", "failed"},
		{op(&store.LimitError{}), 503, "A limit is in the way", "nothing", "failed"},
		{op(store.ErrBusy), 503, "The store is busy", "nothing", "failed"},
		{op(context.DeadlineExceeded), 503, "There was not enough time", "nothing", "failed"},
		{errors.New("canary"), 500, "It has failed", "nothing", "failed"},
		{&state.PartialError{Removed: state.Removed{Totals: store.Totals{InputStates: 2}}, Err: store.ErrClosed}, 503, "The store is closed", "part", "part"},
		{&state.PartialError{Removed: state.Removed{Totals: store.Totals{InputStates: 2}}, Err: store.ErrOutcomeUnknown}, 503, "Nobody knows whether it was done", "unknown", "unknown"},
		{&state.PartialError{Err: panicked}, 503, "Nobody knows whether it was done", "unknown", "unknown"},
	} {
		f.err = c.err
		to, form := o.ask("/prune?" + escaped(busy) + "&inputs=1")
		w := o.send(http.MethodPost, to, form, "Accept", "application/json")
		var got map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, []any{float64(c.status), c.title, c.applied}, []any{got["status"], got["error"], got["applied"]}, c.err)
		require.NotContains(t, got["detail"], "canary")
		require.Equal(t, c.applied == "nothing", strings.HasSuffix(got["detail"].(string), "Nothing was done."))
		require.Equal(t, c.outcome, o.logged()["outcome"])
		require.Equal(t, c.err.Error(), o.logged()["reason"])
		if c.outcome == "part" {
			require.Contains(t, got["detail"], "It was done in part: 2 inputs (0 B) went.")
			require.Equal(t, 2.0, got["removed"].(map[string]any)["input_states"])
		}
		page := o.send(http.MethodPost, to, form).Body.String()
		require.Contains(t, page, "<h1>"+c.title+"</h1>")
	}
	f.err = op(store.ErrClosed)
	to, form := o.ask("/delete?" + escaped(busy))
	require.Equal(t, http.StatusServiceUnavailable, o.send(http.MethodPost, to, form).Code)
}
