//go:build unix

package inspect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// conversation makes a runtime whose session has something of everything, and changes, and
// whose inputs have come and gone for two hours. It returns the parameters of the last one
// of these.
func conversation(t testing.TB, loop *loopstore.Loop) string {
	now := time.Now().Truncate(time.Second)
	lines := strings.Join([]string{
		lineOf("system", "You plan trips. "+strings.Repeat("Never pay without an explicit yes. ", 10)),
		lineOf("user", "Two of us want to go from Zürich to 京都 for the leaves.\nWe can't do stairs well."),
		`{"role":"assistant","content":[{"type":"thinking","thinking":"Flights first."},{"type":"text","text":"I look at flights."},{"type":"tool_use","id":"1","name":"search_flights","input":{"adults":2,"from":"ZRH","to":["KIX","ITM"],"depart":"2026-11-12","max_stops":1}},{"type":"tool_use","id":"2","name":"leaf_forecast","input":{"city":"京都"}}],"usage":{"input_tokens":812,"output_tokens":64}}`,
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"LX-KE-77 via ICN, CHF 1034\nAY-12 via HEL, CHF 948"},{"type":"tool_result","tool_use_id":"2","is_error":true,"content":"no such city ` + strings.Repeat("w", 200) + `"}]}`,
		`{"role":"user","content":[{"type":"text","text":"Here is a map."},{"type":"image","source":{"media_type":"image/png","data":"` + strings.Repeat("A", 4000) + `"}}]}`,
		`{"role":"assistant","tool_calls":[{"id":"3","function":{"name":"book","arguments":"{\"flight\":\"LX-KE-77\"}"}}]}`,
		`{"note":"` + strings.Repeat("unbroken", 60) + `"}`,
	}, "\n") + "\n"
	commit := func(text string, run store.RunID, in store.InputState) {
		_, err := loop.CommitSessionBoundary(t.Context(), "talk", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(text), Format: store.FormatLines}, RunID: run, Boundary: store.RunCheckpoint,
			ContributingInputIDs: []store.InputID{in.InputID}, InputUpdates: []store.InputState{in},
		})
		require.NoError(t, err)
	}
	for n := range 9 {
		began := now.Add(-2*time.Hour + time.Duration(n)*11*time.Minute)
		states := []store.InputLifecycleState{store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed}
		in := moved(t, 200+n, began, time.Duration(n+1)*20*time.Second, states[:4-n/8]...)
		commit(lines+lineOf("user", fmt.Sprint("turn ", n))+"\n", store.NewRunID(), in)
	}
	require.NoError(t, loop.PersistInputState(t.Context(), "talk", moved(t, 220, now.Add(-5*time.Hour), 3*time.Second, store.InputQueued)))
	changed := strings.Replace(strings.Replace(lines, "stairs well", "any stairs", 1), lineOf("system", "You plan"), "", 1)
	commit(changed+lineOf("assistant", "Booked.\nHave a good time!")+"\n"+lineOf("user", "Thanks")+"\n", store.NewRunID(), moved(t, 230, now.Add(-time.Minute), time.Second, store.InputQueued, store.InputStaged))
	return "&from=" + store.TimeOf(now.Add(-2*time.Hour)).String() + "&to=" + store.TimeOf(now).String()
}

// All of a conversation and of a time line is reached by the keyboard: folded reasoning
// opens, long texts scroll, a part of the time line is entered, and each has a name.
func TestBrowserIsUsedByKeyboard(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	loop := past(t)
	conversation(t, loop)
	at := serve(t, loop)
	press := func(key string, code int) {
		for _, kind := range []string{"keyDown", "keyUp"} {
			event := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
			if key == "Enter" && kind == "keyDown" {
				event["text"] = "\r"
			}
			b.call("Input.dispatchKeyEvent", event, nil)
		}
	}
	reach := func(selector string) {
		t.Helper()
		for range 100 {
			press("Tab", 9)
			var there bool
			if b.eval(fmt.Sprintf(`document.activeElement.matches(%q)`, selector), &there); there {
				return
			}
		}
		t.Fatalf("the keyboard does not reach %s", selector)
	}
	b.visit(at + "transcript?id=talk")
	reach(".skip")
	reach("summary")
	press("Enter", 13)
	b.until(`document.querySelector('.talk details').open`)
	reach(".call pre")
	b.visit(at + "timeline?id=talk")
	reach(".axis a:nth-child(4)")
	press("Enter", 13)
	b.until(`location.search.includes('from=') && document.readyState === 'complete'`)
	reach(".zoom a[aria-label='Show everything']")
	var nameless []string
	b.eval(`[...document.querySelectorAll('main a, main button, main input')].filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.type === 'hidden')).map(e => e.outerHTML)`, &nameless)
	require.Empty(t, nameless)
	b.noFaults()
}
