//go:build unix

package inspect_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
)

// press presses a key that has a name.
func (b *browser) press(key string) {
	b.t.Helper()
	params := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": map[string]int{"Tab": 9, "Enter": 13, "ArrowDown": 40}[key]}
	if key == "Enter" {
		params["text"] = "\r"
	}
	b.call("Input.dispatchKeyEvent", params, nil)
	params["type"] = "keyUp"
	b.call("Input.dispatchKeyEvent", params, nil)
}

// reach presses Tab until an element has the keyboard, and requires that this can be seen.
func (b *browser) reach(selector string) {
	b.t.Helper()
	for range 200 {
		b.press("Tab")
		var there, seen bool
		b.eval(fmt.Sprintf("document.activeElement.matches(%q)", selector), &there)
		if there {
			b.eval("getComputedStyle(document.activeElement).outlineStyle !== 'none'", &seen)
			require.True(b.t, seen, "nothing shows that the keyboard is at %s", selector)
			return
		}
	}
	b.t.Fatalf("no way by keyboard to %s", selector)
}

// good requires that a page fits and can be read.
func (b *browser) good(name string, width int) {
	b.t.Helper()
	var faults []string
	b.eval(overflow, &faults)
	require.Empty(b.t, faults, "too wide: %s", name)
	b.eval(pale, &faults)
	require.Empty(b.t, faults, "too pale: %s", name)
	b.picture(name, width)
}

const noticed = `document.readyState === 'complete' && document.querySelector('[role=status]')`

func at(page string) string {
	return fmt.Sprintf("document.readyState === 'complete' && location.pathname.endsWith(%q)", "/"+page)
}

// An input is abandoned and a runtime deleted by keyboard alone, without any script.
func TestBrowserDoesActions(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	loop := durable(t)
	mux := http.NewServeMux()
	mux.Handle("/under/", http.StripPrefix("/under", inspect.Handler(loop, inspect.Options{
		Actions: &inspect.Actions{Hosts: []string{"ops.example"}, Log: slog.New(slog.DiscardHandler)},
	})))
	server := listen(t, mux)

	b.scripts(false)
	n, base := 0, server.URL+"/under/"
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{320, 1200} {
			n++
			b.look(width, scheme)
			seen := fmt.Sprintf("%s-%d", scheme, width)
			id := store.RuntimeID(fmt.Sprintf("agent-%d <b>", n))
			input := store.NewInputState(store.NewInputID(), noon)
			input.CurrentState, input.PersistedInput = store.InputStaged, []byte(secretInput)
			require.NoError(t, loop.PersistInputState(t.Context(), id, input))

			b.visit(base + "input?" + escaped(id) + "&input=" + input.InputID.String())
			b.good("input-offers-"+seen, width)
			b.reach(`.offers a[href^="abandon"]`)
			b.press("Enter")
			b.until(at("abandon"))
			b.good("abandon-"+seen, width)
			b.reach("select[name=reason]")
			b.press("ArrowDown")
			b.reach("input[name=note]")
			b.call("Input.insertText", map[string]any{"text": "stuck since noon <b>"}, nil)
			b.reach("button.danger")
			b.press("Enter")
			b.until(noticed + " && " + at("input"))
			b.good("abandoned-"+seen, width)
			var notice string
			b.eval(`document.querySelector('[role=status]').innerText`, &notice)
			require.Regexp(t, `UTC: The input was abandoned\.$`, notice)
			ended, _, err := loop.LoadInputState(t.Context(), id, input.InputID)
			require.NoError(t, err)
			require.Equal(t, store.AbandonReset, ended.TerminalOutcome.Reason, "the second of the list")
			require.Equal(t, "abandoned by hand: stuck since noon <b>", *ended.History[0].Reason)

			b.visit(base + "runtime?" + escaped(id))
			b.good("runtime-offers-"+seen, width)
			b.reach(`.offers a[href^="delete"]`)
			b.press("Enter")
			b.until(at("delete"))
			b.good("delete-"+seen, width)
			b.reach(`.buttons a`) // no, rather not
			b.press("Enter")
			b.until(at("runtime"))
			b.reach(`.offers a[href^="delete"]`)
			b.press("Enter")
			b.until(at("delete"))
			b.reach("button.danger")
			b.press("Enter")
			b.until(noticed + " && " + at("under/"))
			b.good("deleted-"+seen, width)
			view, err := loop.View(t.Context(), id)
			require.NoError(t, err)
			require.False(t, view.Exists())

			for name, path := range map[string]string{
				"delete-open": "delete?" + escaped(busy), "prune": "prune?" + escaped(busy), "prune-shown": "prune?" + escaped(busy) + "&inputs=2&versions=1",
				"compact": "compact", "requeue": strings.TrimPrefix(inputAt("requeue", 5), "/"), "stats-offers": "stats",
			} {
				b.visit(base + path)
				b.good(name+"-"+seen, width)
			}
		}
	}
	b.noFaults() // what follows are some, to the console

	// Under a plain name a browser sends no Sec-Fetch-Site, but an Origin.
	named := strings.Replace(server.URL, "127.0.0.1", "ops.example", 1)
	b.visit(named + "/under/delete?" + escaped(forked))
	b.reach("button.danger")
	b.press("Enter")
	b.until(noticed + " && " + at("under/"))

	// Another site sends a form that is as good as ours, and is refused.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/under/delete?"+escaped(busy), nil)
	r.Host = "ops.example"
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	require.Regexp(t, formed, w.Body.String())
	for _, base := range []string{server.URL, named} {
		copied := strings.Replace(w.Body.String(), `method="post" action="`, `method="post" action="`+base+"/under/", 1)
		evil := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, copied) }))
		evilAt, err := url.Parse(evil.URL)
		require.NoError(t, err)
		b.visit("http://evil.example:" + evilAt.Port() + "/")
		b.reach("button.danger")
		b.press("Enter")
		b.until(at("delete"))
		var title string
		b.eval("document.querySelector('h1').innerText", &title)
		require.Equal(t, "Sent from elsewhere", title)
	}
	// A name that points here is not one of ours.
	b.visit(strings.Replace(named, "ops.", "evil.", 1) + "/under/delete?" + escaped(busy))
	var title string
	b.eval("document.querySelector('h1').innerText", &title)
	require.Equal(t, "Not by this name", title)
	view, err := loop.View(t.Context(), busy)
	require.NoError(t, err)
	require.True(t, view.Exists())
}
