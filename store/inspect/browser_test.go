//go:build unix

package inspect_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// overflow lists what is wider than the window, but for what scrolls by itself.
const overflow = `(() => {
	const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
	return wide <= 0 ? [] : [wide + 'px'].concat([...document.querySelectorAll('body *')]
		.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className));
})()`

// pale lists the texts whose contrast is below the 4.5 of WCAG 2.2, 1.4.3.
const pale = `(() => {
	const channels = color => color.match(/[\d.]+/g).map(Number);
	const light = color => {
		const [r, g, b] = channels(color).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = e => {
		for (; e; e = e.parentElement) {
			const color = getComputedStyle(e).backgroundColor;
			if (channels(color)[3] !== 0) return color;
		}
		return getComputedStyle(document.body).backgroundColor;
	};
	return [...document.querySelectorAll('body, body *')]
		.filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
		.map(e => [e, light(getComputedStyle(e).color), light(ground(e))])
		.map(([e, a, b]) => [e, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)])
		.filter(([, contrast]) => contrast < 4.5)
		.map(([e, contrast]) => e.tagName + '.' + e.className + ' ' + contrast.toFixed(2));
})()`

const isLive = `document.getElementById('live').checkVisibility() && document.getElementById('live').textContent === 'live'`

// serve serves a loop's pages under a prefix, and returns where that is.
func serve(t *testing.T, loop *loopstore.Loop) string {
	mux := http.NewServeMux()
	mux.Handle("/under/", http.StripPrefix("/under", inspect.Handler(loop, inspect.Options{Payloads: true})))
	server := listen(t, mux)
	return server.URL + "/under/"
}

// Every page fits a window of 320 pixels, can be read in both schemes, needs no
// script, and does nothing that its own policy forbids.
func TestBrowserShowsPages(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	loop := sample(t)
	for i, id := range []store.RuntimeID{"agent-1", "agent-2", store.RuntimeID(strings.Repeat("a-long-id-without-a-place-to-break", 4)), "", "a\nb"} {
		require.NoError(t, loop.PersistRuntimeState(t.Context(), id, []store.RuntimeState{store.RuntimeIdle, store.RuntimeRetired, store.RuntimeStopped}[i%3]))
	}
	talking, told := conversation(t, loop), "?id=talk"
	at, id := serve(t, loop), "?id="+url.QueryEscape(string(busy))
	for name, path := range map[string]string{
		"runtimes": "?q=a&sort=id", "runtime": "runtime" + id, "inputs": "inputs" + id, "input": "input" + id + "&input=" + first.String(),
		"transcript": "transcript" + told, "message": "message" + told + "&message=2", "diff": "diff" + told, "timeline": "timeline" + told + talking,
		"times": "timeline" + id, "conversation": "transcript" + id, "runs": "runs" + id, "run": "run" + id + "&run=" + run.String(), "stats": "stats",
		"versions": "versions" + id, "version": "version" + id + "&number=1",
	} {
		b.scripts(false)
		b.visit(at + path)
		var shown bool
		b.eval(`document.getElementById('live')?.checkVisibility() ?? false`, &shown)
		require.False(t, shown, "%s is live without scripts", name)
		var text string
		b.eval(`document.querySelector('main').innerText`, &text)
		require.NotEmpty(t, text)

		b.scripts(true)
		b.visit(at + path)
		if strings.Contains(path, "?id=") || name == "runtimes" {
			b.until(isLive)
		}
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1200} {
				b.look(width, scheme)
				seen := fmt.Sprintf("%s-%s-%d", name, scheme, width)
				b.readable(seen, width)
				var ground string
				b.eval(`getComputedStyle(document.body).backgroundColor`, &ground)
				require.Equal(t, map[string]string{"light": "rgb(251, 251, 250)", "dark": "rgb(20, 21, 19)"}[scheme], ground)
			}
		}
	}
	b.noFaults()
}

// readable requires that the page fits its window and has contrast, and keeps a picture.
func (b *browser) readable(name string, width int) {
	b.t.Helper()
	var faults []string
	b.eval(overflow, &faults)
	require.Empty(b.t, faults, "too wide: %s", name)
	b.eval(pale, &faults)
	require.Empty(b.t, faults, "too pale: %s", name)
	b.picture(name, width)
}

// A page follows its runtime, keeps what its reader has opened and where the
// keyboard is, stays as it is while it is paused, and shows that the runtime has
// gone, or come back.
func TestBrowserFollowsRuntime(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	loop := sample(t)
	at := serve(t, loop)
	persist := func(state store.RuntimeState) {
		t.Helper()
		require.NoError(t, loop.PersistRuntimeState(t.Context(), busy, state))
	}
	shows := func(text string) string {
		return fmt.Sprintf("document.querySelector('main').innerText.includes(%q)", text)
	}
	const press = `document.getElementById('live').click(), true`
	var done bool

	b.visit(at + "runtime?id=" + url.QueryEscape(string(busy)))
	b.until(isLive)
	b.eval(`document.querySelector('details').open = true, document.querySelector('.legend a, h3 a.id').focus(), document.querySelector('h3 a.id').focus(), true`, &done)
	persist(store.RuntimeRecovering)
	b.until(shows("recovering"))
	b.until(shows("canary-message </script><img src=x onerror=alert(1)>")) // it is open, and text
	b.eval(`document.activeElement === document.querySelector('h3 a.id')`, &done)
	require.True(t, done, "the keyboard is elsewhere")

	b.eval(press, &done)
	b.until(`document.getElementById('live').textContent === 'paused'`)
	persist(store.RuntimeRetired)
	b.eval(press, &done)
	b.until(isLive)
	b.until(shows("retired"))

	b.noFaults() // what follows is one, to the console
	_, err := loop.DeleteRuntime(t.Context(), busy)
	require.NoError(t, err)
	b.until(shows("No such runtime"))
	persist(store.RuntimeIdle)
	b.until(shows("idle"))

	require.NoError(t, loop.Close())
	b.until(`document.getElementById('live').textContent === 'not live'`)
}

// The list follows the store: a runtime appears, moves to the top and goes away. The
// keyboard stays where it is, and so does what is being typed.
func TestBrowserFollowsTheList(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	loop := storetest.New(t)
	at := serve(t, loop)
	put := func(id store.RuntimeID) {
		t.Helper()
		require.NoError(t, loop.PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
	}
	first := func(ids ...string) string {
		return fmt.Sprintf("JSON.stringify([...document.querySelectorAll('tbody th a')].map(a => a.textContent)) === JSON.stringify(%s)", "['"+strings.Join(ids, "','")+"']")
	}
	put("one")
	put("two")
	b.visit(at)
	b.until(isLive)
	b.until(first("two", "one"))
	var done bool
	b.eval(`document.querySelector('a[href="runtime?id=one"]').focus(), document.querySelector('[name=q]').value = 'half a wo', true`, &done)
	put("three")
	b.until(first("three", "two", "one"))
	put("one")
	b.until(first("one", "three", "two"))
	_, err := loop.DeleteRuntime(t.Context(), "two")
	require.NoError(t, err)
	b.until(first("one", "three"))
	b.eval(`document.activeElement.getAttribute('href') === 'runtime?id=one' && document.querySelector('[name=q]').value === 'half a wo'`, &done)
	require.True(t, done, "the keyboard is elsewhere, or a word is lost")
	input := store.NewInputState(uuidOf(store.ParseInputID, 1), store.TimeOf(time.Now().Add(-time.Hour)))
	require.NoError(t, loop.PersistInputState(t.Context(), "three", input))
	b.until(`document.querySelector('.waiters .long')?.innerText.includes('1 h')`)
	b.noFaults()
}

// A page says that something on the way holds back what the store sends.
func TestBrowserSaysThatItIsHeldBack(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	h := inspect.Handler(sample(t), inspect.Options{})
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/changes" { // as a proxy that waits for the end of an answer
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r)
	}))
	b.visit(server.URL + "/")
	b.until(`document.getElementById('live').textContent === 'held back by a proxy: reload to see news'`)
	b.noFaults()
}
