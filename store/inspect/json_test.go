package inspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/state"
)

// getJSON asks for the JSON of a page, by its path.
func getJSON(t testing.TB, h http.Handler, target string) (status int, shown map[string]any) {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	if path == "/" {
		path = "/runtimes"
	}
	w := get(t, h, path+".json?"+query)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"), target)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &shown), target)
	return w.Code, shown
}

// accepting asks for a page with an Accept header.
func accepting(t testing.TB, h http.Handler, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Contains(t, w.Header().Values("Vary"), "Accept")
	return w
}

func TestEveryPageHasItsJSON(t *testing.T) {
	loop := sample(t)
	hidden, allowed := inspect.Handler(loop, inspect.Options{}), inspect.Handler(loop, inspect.Options{Payloads: true})
	met := 0
	for _, target := range everyPage() {
		if strings.HasPrefix(target, "/payload") || strings.HasPrefix(target, "/snapshot") || strings.HasPrefix(target, "/raw") {
			require.Equal(t, http.StatusNotFound, get(t, allowed, strings.Replace(target, "?", ".json?", 1)).Code, "it is a file as it is")
			continue
		}
		status, shown := getJSON(t, allowed, target)
		require.Equal(t, get(t, allowed, target).Code, status, target)
		require.NotEmpty(t, shown)
		if strings.Contains(target, escaped(busy)) {
			require.Equal(t, string(busy), shown["runtime_id"], target)
			require.InDelta(t, 10, shown["version"], 0, target)
		}
		body := accepting(t, allowed, target, "application/json").Body.String()
		if path, query, _ := strings.Cut(target, "?"); path != "/stats" && path != "/" && path != "/timeline" { // these say what time it is
			require.Equal(t, get(t, allowed, path+".json?"+query).Body.String(), body)
		}
		for _, part := range []string{"<script", "<b>", "<img"} {
			require.NotContains(t, body, part, target)
		}
		met += strings.Count(body, "canary")
		require.NotContains(t, accepting(t, hidden, target, "application/json").Body.String(), "canary", target)
	}
	require.Equal(t, 3+1+1+1+2+1+1, met, "three inputs, the snapshot of the runtime and its fork, a version, two conversations, a message and what was added")
}

func TestJSONSaysWhatThePageDoes(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{Payloads: true})
	id := escaped(busy)
	_, list := getJSON(t, h, "/?q=agent")
	require.InDelta(t, 2, list["all"], 0)
	require.InDelta(t, 1, list["matching"], 0)
	row := list["runtimes"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"accepted": 1., "queued": 1., "staged": 1., "consumed": 3., "abandoned": 1., "superseded": 1., "coalesced": 1.}, row["inputs_in"])
	require.Equal(t, "running", row["runtime_state"])

	_, one := getJSON(t, h, "/runtime?"+id)
	require.Equal(t, noon.String(), one["open_since"])
	require.Equal(t, row["open_since"], one["open_since"])
	require.Len(t, one["inputs"], 9)
	require.Len(t, one["latest_receipts"], 3)
	require.Len(t, one["session_versions"], 3)
	snapshot := one["snapshot"].(map[string]any)
	require.Equal(t, "meerkat", snapshot["format"])
	require.Equal(t, map[string]any{"bytes": float64(len(secretSnapshot)), "hidden": false, "text": secretSnapshot}, snapshot["payload"])
	_, fork := getJSON(t, h, "/runtime?"+escaped(forked))
	require.Equal(t, map[string]any{"runtime_id": string(busy), "number": 2.}, fork["origin"])
	require.Nil(t, fork["latest_receipt"])

	_, input := getJSON(t, h, "/input?"+id+"&input="+first.String())
	require.NotContains(t, input["input"], "persisted_input")
	require.Equal(t, "key <b>", input["input"].(map[string]any)["idempotency_key"])
	require.Equal(t, secretInput, input["payload"].(map[string]any)["text"])

	_, receipt := getJSON(t, h, "/run?"+id+"&sequence=1&run="+run.String())
	require.Equal(t, []any{uuidOf(store.ParseInputID, 2).String()}, receipt["receipts"].([]any)[0].(map[string]any)["contributing_input_ids"])
	_, version := getJSON(t, h, "/version?"+id+"&number=2")
	require.InDelta(t, 2, version["snapshot"].(map[string]any)["number"], 0)
	_, stats := getJSON(t, h, "/stats")
	require.Equal(t, true, stats["serving"])
}

// What is hidden is not counted, rather than counted as nothing.
func TestHiddenMessagesAreNotCounted(t *testing.T) {
	loop := sample(t)
	for target, counts := range map[string][]string{
		"/transcript?": {"count"}, "/diff?": {"same_before", "added", "removed", "changed", "limited", "by_line", "count"},
	} {
		for _, payloads := range []bool{true, false} {
			_, shown := getJSON(t, inspect.Handler(loop, inspect.Options{Payloads: payloads}), target+escaped(busy))
			require.Equal(t, !payloads, shown["hidden"])
			for _, name := range counts {
				_, there := shown[name]
				require.Equal(t, payloads, there, "%s %s", target, name)
			}
		}
	}
}

func TestAcceptChoosesJSON(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{})
	for accept, asJSON := range map[string]bool{
		"": false, "*/*": false, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
		"application/json": true, "Application/JSON; charset=utf-8": true, "application/json, text/plain, */*": true,
		"application/json, text/html": false, "application/json;q=0.9, text/html": false, "text/html;q=0.5, application/json": true,
		"application/json;q=0": false, "application/json;q=x": false, "text/html;q=0, application/json;q=0.1": true,
	} {
		w := accepting(t, h, "/", accept)
		require.Equal(t, asJSON, w.Header().Get("Content-Type") == "application/json", accept)
	}
}

func TestProblemsInJSON(t *testing.T) {
	loop := sample(t)
	h := inspect.Handler(loop, inspect.Options{})
	for target, status := range map[string]int{
		"/nowhere": 404, "/runtime?id=nobody": 404, "/input?" + escaped(busy): 400, "/inputs?from=x&" + escaped(busy): 400,
	} {
		got, shown := getJSON(t, h, target)
		require.Equal(t, status, got, target)
		require.InDelta(t, status, shown["status"], 0)
		require.NotEmpty(t, shown["error"])
		require.NotEmpty(t, shown["detail"])
	}
	require.JSONEq(t, `{"error":"Payloads are hidden","detail":"The program that serves these pages does not show them.","status":403}`,
		accepting(t, h, "/snapshot?"+escaped(busy), "application/json").Body.String(), "a file that cannot be had")
	require.NoError(t, loop.Close())
	got, shown := getJSON(t, h, "/")
	require.Equal(t, 503, got)
	require.Equal(t, "The store is closed", shown["error"])
}

// The JSON of a list leads to the next page of it.
func TestJSONHasPages(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	for i := range 150 {
		require.NoError(t, loop.PersistInputState(t.Context(), "a", store.NewInputState(uuidOf(store.ParseInputID, i), noon)))
	}
	h := inspect.Handler(loop, inspect.Options{})
	_, shown := getJSON(t, h, "/inputs?id=a")
	require.Len(t, shown["inputs"], 100)
	require.InDelta(t, 150, shown["count"], 0)
	var from state.Cursor
	require.NoError(t, from.UnmarshalText([]byte(shown["next"].(string))))
	_, shown = getJSON(t, h, fmt.Sprint("/inputs?id=a&from=", from))
	require.Len(t, shown["inputs"], 50)
	require.NotContains(t, shown, "next")
}
