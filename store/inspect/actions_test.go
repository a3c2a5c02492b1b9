package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

const here = "127.0.0.1:8080"

// An operator does actions by forms, as a browser would.
type operator struct {
	t    *testing.T
	h    http.Handler
	host string
	log  bytes.Buffer
}

func operatorOf(t *testing.T, source inspect.Source, acts inspect.Actions) *operator {
	o := &operator{t: t, host: here}
	acts.Log = slog.New(slog.NewJSONHandler(&o.log, nil))
	o.h = inspect.Handler(source, inspect.Options{Actions: &acts})
	return o
}

func (o *operator) send(method, target string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(o.t.Context(), method, target, strings.NewReader(form.Encode()))
	r.Host = o.host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.h.ServeHTTP(w, r)
	return w
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="(token|seen)" value="([^"]*)">`)
	formed = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
)

// ask returns the form of an action, and where it goes.
func (o *operator) ask(target string) (to string, form url.Values) {
	o.t.Helper()
	w := o.send(http.MethodGet, target, nil)
	require.Equal(o.t, http.StatusOK, w.Code, w.Body.String())
	found := formed.FindStringSubmatch(w.Body.String())
	require.NotNil(o.t, found, "no form in %s", w.Body)
	form = url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(w.Body.String(), -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return "/" + html.UnescapeString(found[1]), form
}

// act does an action, and returns the page that it leads to.
func (o *operator) act(target string, more ...string) string {
	o.t.Helper()
	to, form := o.ask(target)
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	w := o.send(http.MethodPost, to, form)
	require.Equal(o.t, http.StatusSeeOther, w.Code, w.Body.String())
	w = o.send(http.MethodGet, "/"+strings.TrimPrefix(w.Header().Get("Location"), "./"), nil)
	require.Equal(o.t, http.StatusOK, w.Code)
	return w.Body.String()
}

// logged returns the last line of the log, without its time and level.
func (o *operator) logged() map[string]any {
	o.t.Helper()
	lines := strings.Split(strings.TrimSpace(o.log.String()), "\n")
	var line map[string]any
	require.NoError(o.t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	require.Equal(o.t, "inspect action", line["msg"])
	delete(line, "time")
	delete(line, "msg")
	return line
}

func inputAt(action string, n int) string {
	return "/" + action + "?" + escaped(busy) + "&input=" + uuidOf(store.ParseInputID, n).String()
}

var everyAction = []string{"/delete?" + escaped(busy), "/prune?" + escaped(busy) + "&inputs=1", inputAt("requeue", 5), inputAt("abandon", 5), "/compact"}

// Without Actions no page offers any, none has a page, and no POST does anything.
func TestActionsAreOffUnlessAllowed(t *testing.T) {
	loop := durable(t)
	for _, h := range []http.Handler{
		inspect.Handler(loop, inspect.Options{}),
		inspect.Handler(struct{ inspect.Source }{loop}, inspect.Options{Actions: &inspect.Actions{}}), // which is no Changer
	} {
		before := loop.Stats().Operations
		for _, target := range append(everyPage(), everyAction...) {
			require.NotContains(t, get(t, h, target).Body.String(), "<form method=\"post\"", target)
			require.NotContains(t, get(t, h, target).Body.String(), "offers\"", target)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
			r.Host = here
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, target)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
		for _, target := range everyAction {
			require.Equal(t, http.StatusNotFound, get(t, h, target).Code, target)
		}
		require.Contains(t, get(t, h, "/").Body.String(), "These pages change nothing.")
		for kind, of := range loop.Stats().Operations {
			if !kind.ReadOnly() {
				require.Equal(t, before[kind], of, kind)
			}
		}
	}
}

// durable is sample with a journal.
func durable(t *testing.T) *loopstore.Loop {
	loop, err := loopstore.Open(t.Context(), journaltest.NewEngine(), "p", loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = loop.Close() })
	fill(t, loop)
	return loop
}

// Under a prefix that was cut off with its slash there is nothing.
func TestActionsUnderAWrongPrefix(t *testing.T) {
	o := operatorOf(t, sample(t), inspect.Actions{})
	o.h = http.StripPrefix("/x/", o.h)
	for _, target := range []string{"/x/delete?" + escaped(busy), "/x/delete.json?" + escaped(busy), "/x/compact", "/x/stats", "/x/"} {
		require.Equal(t, http.StatusNotFound, o.send(http.MethodGet, target, nil).Code, target)
	}
	require.Equal(t, http.StatusMethodNotAllowed, o.send(http.MethodPost, "/x/compact", nil).Code)
}

// With Actions the pages offer what can be done with what they show.
func TestPagesOfferActions(t *testing.T) {
	o := operatorOf(t, durable(t), inspect.Actions{})
	for target, want := range map[string][]string{
		"/": nil, "/stats": {"Compact the journal"}, "/runtime?" + escaped(busy): {"Prune", "Delete"}, "/inputs?" + escaped(busy): nil,
		inputAt("input", 1): nil, inputAt("input", 4): {"Abandon"}, inputAt("input", 5): {"Requeue", "Abandon"}, inputAt("input", 9): {"Requeue", "Abandon"},
	} {
		body := o.send(http.MethodGet, target, nil).Body.String()
		var got []string
		if _, nav, ok := strings.Cut(body, `<nav class="offers" aria-label="Actions">`); ok {
			nav, _, _ = strings.Cut(nav, "</nav>")
			for _, link := range regexp.MustCompile(`>([^<]+)</a>`).FindAllStringSubmatch(nav, -1) {
				got = append(got, link[1])
			}
		}
		require.Equal(t, want, got, target)
		require.Contains(t, body, "These pages change nothing until you confirm it.")
	}
	require.Empty(t, o.log.String(), "nobody did anything")
	w := o.send(http.MethodPost, "/runtime?"+escaped(busy), nil)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	w = o.send(http.MethodPut, "/compact", nil)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD, POST", w.Header().Get("Allow"))
}

// What has changed since it was shown is left alone, whether that was long before or in
// the moment of the action.
func TestNothingIsDoneToWhatHasChanged(t *testing.T) {
	for _, target := range everyAction[:4] {
		loop := sample(t)
		o := operatorOf(t, loop, inspect.Actions{})
		to, form := o.ask(target)
		form.Set("reason", "reset")
		touch := func() {
			input, _, err := loop.LoadInputState(t.Context(), busy, uuidOf(store.ParseInputID, 5))
			require.NoError(t, err)
			input.AttemptCount++
			require.NoError(t, loop.PersistInputState(t.Context(), busy, input))
		}
		touch()
		before, err := loop.View(t.Context(), busy)
		require.NoError(t, err)
		w := o.send(http.MethodPost, to, form)
		require.Equal(t, http.StatusConflict, w.Code, target)
		for _, part := range []string{"It has changed meanwhile", "Nothing was done.", "Look again", ">Back<"} {
			require.Contains(t, w.Body.String(), part, target)
		}
		require.Equal(t, "conflict", o.logged()["outcome"])
		after, err := loop.View(t.Context(), busy)
		require.NoError(t, err)
		require.Equal(t, before.Version(), after.Version(), target)

		if strings.HasPrefix(target, "/prune") {
			continue // it looks before, not in one step with it
		}
		o = operatorOf(t, &late{loop, sync.OnceFunc(touch)}, inspect.Actions{})
		to, form = o.ask(target)
		form.Set("reason", "reset")
		require.Equal(t, http.StatusConflict, o.send(http.MethodPost, to, form).Code, target)
		view, err := loop.View(t.Context(), busy)
		require.NoError(t, err)
		input, ok := view.Input(uuidOf(store.ParseInputID, 5))
		require.True(t, ok)
		require.Equal(t, store.InputStaged, input.State.CurrentState)
	}
}

// late is a store to which something happens just before an action.
type late struct {
	*loopstore.Loop
	before func()
}

func (l *late) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	l.before()
	return l.Loop.Commit(ctx, b)
}

// A form is good for one action on one thing by one user, and only from this handler.
func TestTokens(t *testing.T) {
	loop := sample(t)
	who := "alice"
	acts := inspect.Actions{Who: func(*http.Request) (string, error) { return who, nil }}
	o := operatorOf(t, loop, acts)
	refused := func(what, to string, form url.Values) {
		t.Helper()
		w := o.send(http.MethodPost, to, form)
		require.Equal(t, http.StatusForbidden, w.Code, what)
		require.Contains(t, w.Body.String(), "The form is not valid", what)
		require.Equal(t, "refused", o.logged()["outcome"], what)
	}
	before, err := loop.View(t.Context(), busy)
	require.NoError(t, err)
	to, form := o.ask(inputAt("abandon", 5))
	form.Set("reason", "reset")
	refused("no token", to, url.Values{"seen": form["seen"], "reason": form["reason"]})
	refused("a wrong one", to, url.Values{"seen": form["seen"], "reason": form["reason"], "token": {"x" + form.Get("token")[1:]}})
	refused("another version", to, url.Values{"seen": {"1"}, "reason": form["reason"], "token": form["token"]})
	refused("no version", to, url.Values{"reason": form["reason"], "token": form["token"]})
	refused("in the address", to+"&token="+form.Get("token"), url.Values{"reason": form["reason"], "seen": form["seen"]})
	refused("another action", inputAt("requeue", 5), form)
	refused("another input", inputAt("abandon", 4), form)
	deleting, all := o.ask("/delete?" + escaped(busy))
	refused("another runtime", "/delete?"+escaped(forked), all)
	refused("another action on it", "/prune?"+escaped(busy)+"&inputs=1", all)
	_, pruning := o.ask("/prune?" + escaped(busy) + "&inputs=5")
	refused("another prune", "/prune?"+escaped(busy)+"&inputs=1", pruning)
	who = "bob"
	refused("another user", to, form)
	who = "alice"
	o.h = inspect.Handler(loop, inspect.Options{Actions: &inspect.Actions{Who: acts.Who, Log: slog.New(slog.NewJSONHandler(&o.log, nil))}})
	refused("another handler", to, form)
	refused("another handler", deleting, all)
	after, err := loop.View(t.Context(), busy)
	require.NoError(t, err)
	require.Equal(t, before.Version(), after.Version())
	require.Equal(t, http.StatusBadRequest, o.send(http.MethodPost, to, url.Values{"note": {strings.Repeat("x", 100_000)}}).Code)
	require.NotContains(t, o.log.String(), "canary")
}

// A page of another site cannot do anything, with or without a token, and not under a name
// that it has pointed here.
func TestOtherSitesCanDoNothing(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{Hosts: []string{"ops.example"}})
	to, form := o.ask("/delete?" + escaped(busy))
	for _, header := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:8081"},
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site", "Origin", "http://" + here},
	} {
		w := o.send(http.MethodPost, to, form, header...)
		require.Equal(t, http.StatusForbidden, w.Code, header)
		require.Contains(t, w.Body.String(), "Nothing was done.")
		require.Equal(t, "refused", o.logged()["outcome"])
		require.Equal(t, "WARN", o.logged()["level"])
	}
	for host, known := range map[string]bool{
		here: true, "127.0.0.1": true, "[::1]:8080": true, "[::1]": true, "localhost": true, "LocalHost:80": true, "a.localhost:80": true,
		"ops.example": true, "OPS.example:443": true, "10.1.2.3": true,
		"evil.example": false, "evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "": false, "ops.example.evil": false,
	} {
		o.host = host
		want := http.StatusMisdirectedRequest
		if known {
			want = http.StatusOK
		}
		require.Equal(t, want, o.send(http.MethodGet, "/delete?"+escaped(busy), nil).Code, host)
		if !known {
			require.Equal(t, want, o.send(http.MethodPost, to, form).Code, host)
			require.NotContains(t, o.send(http.MethodGet, "/delete?"+escaped(busy), nil).Body.String(), "token", host)
		}
	}
	view, err := loop.View(t.Context(), busy)
	require.NoError(t, err)
	require.True(t, view.Exists())

	o.host = here
	w := o.send(http.MethodGet, "/delete?"+escaped(busy), nil)
	require.Equal(t, "same-origin", w.Header().Get("Referrer-Policy"), "without it a browser says that a form's origin is null")
	require.Equal(t, http.StatusSeeOther, o.send(http.MethodPost, to, form, "Origin", "http://"+here).Code)
}

// Whom Who does not know can do nothing, and is told no more than that.
func TestWhoRefuses(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{Who: func(r *http.Request) (string, error) {
		if strings.TrimSuffix(r.URL.Path, ".json") == "/abandon" {
			return "alice \xff", nil
		}
		return "", errors.New("canary: not among the operators")
	}})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := o.send(method, "/delete?"+escaped(busy), nil)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.NotContains(t, w.Body.String(), "canary")
		require.Equal(t, map[string]any{
			"level": "WARN", "action": "delete", "who": "192.0.2.1:1234", "outcome": "refused", "runtime_id": string(busy), "version": 0.0,
			"reason": "canary: not among the operators",
		}, o.logged())
	}
	o.act(inputAt("abandon", 4), "reason", "reset")
	require.Equal(t, "alice \uFFFD", o.logged()["who"])
	o.send(http.MethodGet, "/delete?id="+strings.Repeat("x", 10_000), nil)
	require.Less(t, len(o.logged()["runtime_id"].(string)), 500, "a stranger's text")
}

// A notice is what a handler has said itself.
func TestNoticesCannotBeForged(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{})
	to, form := o.ask(inputAt("requeue", 5))
	at, err := url.Parse(o.send(http.MethodPost, to, form).Header().Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "input", at.Path)
	query := at.Query()
	require.Contains(t, o.send(http.MethodGet, "/"+at.String(), nil).Body.String(), `class="notice"`)
	query.Set("notice", "Send your password to evil.example.")
	at.RawQuery = query.Encode()
	require.NotContains(t, o.send(http.MethodGet, "/"+at.String(), nil).Body.String(), "evil.example")
}

// What asks for JSON gets it: what would be done with a token, what was done, and what was
// not.
func TestActionsInJSON(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{})
	object := func(w *httptest.ResponseRecorder, status int) map[string]any {
		t.Helper()
		require.Equal(t, status, w.Code, w.Body.String())
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		var got map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		return got
	}
	form := func(got map[string]any, more ...string) url.Values {
		v := url.Values{"seen": {fmt.Sprint(got["seen"])}, "token": {got["token"].(string)}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	asJSON := func(target string) string { return strings.Replace(target, "?", ".json?", 1) }

	pruning := asJSON("/prune?" + escaped(busy) + "&inputs=2")
	got := object(o.send(http.MethodGet, pruning, nil), http.StatusOK)
	require.Equal(t, []any{"prune", string(busy), map[string]any{"inputs": 2.0}}, []any{got["action"], got["runtime_id"], got["keep"]})
	require.Equal(t, 4.0, got["removed"].(map[string]any)["input_states"])
	done := object(o.send(http.MethodPost, pruning, form(got)), http.StatusOK)
	require.Equal(t, 4.0, done["removed"].(map[string]any)["input_states"])
	got = object(o.send(http.MethodGet, pruning, nil), http.StatusOK)
	require.NotContains(t, got, "token", "nothing is left to do")

	abandoning := inputAt("abandon", 5)
	got = object(o.send(http.MethodGet, abandoning, nil, "Accept", "application/json"), http.StatusOK)
	done = object(o.send(http.MethodPost, abandoning, form(got, "reason", "reset"), "Accept", "application/json"), http.StatusOK)
	input, _, err := loop.LoadInput(t.Context(), busy, uuidOf(store.ParseInputID, 5))
	require.NoError(t, err)
	require.Equal(t, []any{"abandon", string(busy), input.State.InputID.String(), float64(input.Version)},
		[]any{done["action"], done["runtime_id"], done["input_id"], done["revision"]})
	again := object(o.send(http.MethodPost, abandoning, form(got, "reason", "reset"), "Accept", "application/json"), http.StatusConflict)
	require.Equal(t, map[string]any{"error": "The input has ended", "detail": "It is abandoned. Nothing was done.", "status": 409.0, "applied": "nothing"}, again)
	object(o.send(http.MethodPost, "/delete.json?"+escaped(busy), nil), http.StatusForbidden)
	object(o.send(http.MethodPost, "/delete.json?id=nobody", nil), http.StatusNotFound)
}

// Whatever ids and labels say, it is text.
func TestActionPagesEscape(t *testing.T) {
	loop := sample(t)
	o := operatorOf(t, loop, inspect.Actions{})
	hostile := store.RuntimeID(`"><b>"&id=x` + "\n")
	require.NoError(t, loop.PersistRuntimeState(t.Context(), hostile, store.RuntimeIdle))
	for _, target := range append([]string{"/delete?" + escaped(hostile), "/prune?" + escaped(hostile)}, everyAction[:4]...) {
		body := o.send(http.MethodGet, target, nil).Body.String()
		for _, part := range []string{"<script>alert", "<b>", "<img"} {
			require.NotContains(t, body, part, target)
		}
	}
	require.NotContains(t, o.act("/delete?"+escaped(hostile)), "<b>")
	require.Equal(t, string(hostile), o.logged()["runtime_id"])
	view, err := loop.View(t.Context(), hostile)
	require.NoError(t, err)
	require.False(t, view.Exists())
}
