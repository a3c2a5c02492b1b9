//go:build unix

package inspect_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

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
