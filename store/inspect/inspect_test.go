package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

func escaped(id store.RuntimeID) string { return "id=" + url.QueryEscape(string(id)) }

// everyPage returns the addresses of all that there is of the sample.
func everyPage() []string {
	id, input := escaped(busy), "&input="+uuidOf(store.ParseInputID, 1).String()
	pages := []string{"/", "/?q=agent&sort=bytes&desc=1", "/stats", "/runtime?" + id, "/inputs?" + id, "/inputs?" + id + "&state=queued",
		"/runs?" + id, "/run?" + id + "&run=" + run.String(), "/run?" + id + "&sequence=1&run=" + run.String()}
	for n := 1; n <= 9; n++ {
		pages = append(pages, "/input?"+id+"&input="+uuidOf(store.ParseInputID, n).String())
	}
	pages = append(pages, "/runtime?"+escaped(forked), "/versions?"+id, "/version?"+id+"&number=2", "/snapshot?"+id+"&number=2",
		"/transcript?"+id, "/transcript?"+id+"&number=2", "/message?"+id+"&message=1", "/raw?"+id+"&message=1",
		"/diff?"+id+"&from=1&to=2", "/diff?"+id+"&from=0&to=1", "/timeline?"+id)
	return append(pages, "/payload?"+id+input, "/snapshot?"+id, "/nowhere", "/runtime?id=nobody")
}

func TestPayloadsAreHiddenUnlessAllowed(t *testing.T) {
	loop := sample(t)
	hidden, shown := inspect.Handler(loop, inspect.Options{}), inspect.Handler(loop, inspect.Options{Payloads: true})
	met := 0
	for _, target := range everyPage() {
		w := get(t, hidden, target)
		require.NotContains(t, w.Body.String()+fmt.Sprint(w.Header()), "canary", target)
		met += strings.Count(get(t, shown, target).Body.String(), "canary")
	}
	require.Equal(t, 3+1+1+1+3+2+3+1, met, "three inputs and the snapshot in pages, one of each as a file, the fork's snapshot, a version's in a page and as a file, "+
		"two conversations, a message twice in a page and once as a file, and what the first version added")
	for _, target := range []string{"/snapshot?" + escaped(busy) + "&number=2", "/payload?" + escaped(busy) + "&input=" + first.String(), "/snapshot?" + escaped(busy),
		"/message?" + escaped(busy) + "&message=1", "/raw?" + escaped(busy) + "&message=1"} {
		require.Equal(t, http.StatusForbidden, get(t, hidden, target).Code)
	}
}

func TestNothingBecomesMarkup(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{Payloads: true})
	for _, target := range everyPage() {
		w := get(t, h, target)
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		body := w.Body.String()
		for _, part := range []string{"<script>alert", "<script>document", "<img", "<b>"} {
			require.NotContains(t, body, part, target)
		}
		require.LessOrEqual(t, strings.Count(body, "</script>"), 1, target)
	}
	require.Contains(t, get(t, h, "/").Body.String(), "agent/1 &lt;script&gt;alert(1)&lt;/script&gt;")
	require.Contains(t, get(t, h, "/?q=%22%3E%3Cb%3E").Body.String(), `value="&#34;&gt;&lt;b&gt;"`)
}

func TestPayloadsAreFiles(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{Payloads: true})
	for target, want := range map[string]string{
		"/payload?" + escaped(busy) + "&input=" + first.String(): secretInput,
		"/snapshot?" + escaped(busy):                             secretSnapshot,
		"/snapshot?" + escaped(busy) + "&number=1":               secretSnapshot,
		"/raw?" + escaped(busy) + "&number=1&message=1":          `{"role":"user","content":"` + secretMessage + `"}`,
	} {
		w := get(t, h, target)
		require.Equal(t, want, w.Body.String())
		require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		require.Regexp(t, `^attachment; filename="[-a-z0-9]+\.(txt|json)"$`, w.Header().Get("Content-Disposition"))
	}
}

func TestLongPayloadsAreCut(t *testing.T) {
	loop := storetest.New(t)
	long := "\xff" + strings.Repeat("é", 20_000)
	require.NoError(t, loop.AtomicApply(t.Context(), "a", store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("x" + long)},
		Receipt: store.RunBoundaryReceipt{RunID: run, Boundary: store.Immediate},
	}))
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	body := get(t, h, "/runtime?id=a").Body.String()
	require.Contains(t, body, "<pre tabindex=\"0\">x\uFFFD"+strings.Repeat("é", 16_383)+"</pre>")
	require.Contains(t, body, "These are the first 32.8 kB of 40.0 kB.")
	require.Contains(t, body, "<dt>Format</dt><dd>unset</dd>")
	require.Contains(t, body, "not known, the text is stored as it came")
	require.NotContains(t, body, "<dt>Messages</dt>")
	require.Contains(t, body, "no digest")
	require.Equal(t, "x"+long, get(t, h, "/snapshot?id=a").Body.String())
}

func TestRuntimePage(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{})
	body := get(t, h, "/runtime?"+escaped(busy)).Body.String()
	for _, part := range []string{
		`<span class="state running">running</span>`, "<dt>Version</dt><dd>10</dd>", `<dd>9 <span class="open">(3 open)</span></dd>`,
		"0195b1c2-0000-7000-8000-000000000001", "The text is hidden",
		`<h3 id="consumed">consumed <span class="count">3</span></h3>`, `<h3 id="queued">`,
		"run start", "run checkpoint", "All 9 in one list",
	} {
		require.Contains(t, body, part)
	}
	require.Less(t, strings.Index(body, `id="queued"`), strings.Index(body, `id="consumed"`), "what is open comes first")
	require.NotContains(t, body, `id="applied"`, "there is none")
}

// A session's versions are listed, the latest first and in pages, and each can be looked
// at.
func TestEveryVersionOfASessionIsShown(t *testing.T) {
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 120}, ReceiptsPerRun: 2}})
	const many = 130
	var digests []string
	for i := range many {
		receipt, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: fmt.Appendf(nil, "\"line %d <b>\"\n", i), Format: store.FormatLines, Append: true},
			RunID:   run, Boundary: store.RunCheckpoint,
		})
		require.NoError(t, err)
		digests = append(digests, *receipt.ConversationDigest)
	}
	opaque := batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("\x00 by nobody"), Format: store.FormatOpaque, Messages: 1_000_000}
	_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{opaque}})
	require.NoError(t, err)
	require.NoError(t, loop.Fork(t.Context(), "a", 100, "b"))
	h := inspect.Handler(loop, inspect.Options{Payloads: true})

	body := get(t, h, "/runtime?id=a").Body.String()
	for _, part := range []string{
		"<dt>Number</dt><dd>131</dd>", "<dt>Format</dt><dd>opaque</dd>", "<dt>Length</dt><dd>11 B</dd>", "<dt>Messages</dt><dd>1,000,000</dd>",
		`<h3>Versions <span class="count">120</span></h3>`, `<a href="version?id=a&amp;number=127">127</a>`, ">All 120 versions</a>",
	} {
		require.Contains(t, body, part)
	}
	require.NotContains(t, body, "number=126", "it is not among the last five")
	require.NotContains(t, body, "<dt>Session</dt>", "only a session document has an id")
	require.NotContains(t, body, "Forked")

	numbers := regexp.MustCompile(`href="version\?id=a&amp;number=(\d+)"`)
	var listed []string
	for _, target := range []string{"/versions?id=a", "/versions?id=a&page=2"} {
		for _, found := range numbers.FindAllStringSubmatch(get(t, h, target).Body.String(), -1) {
			listed = append(listed, found[1])
		}
	}
	require.Len(t, listed, 120)
	require.Equal(t, []string{"131", "130"}, listed[:2])
	require.Equal(t, "12", listed[119])
	body = get(t, h, "/versions?id=a").Body.String()
	require.Contains(t, body, `<a href="run?id=a&amp;run=`+run.String()+`&amp;sequence=129">`, "the receipt is there")
	require.Contains(t, body, "…00000001 #100, pruned")
	require.Contains(t, body, `title="`+digests[129]+`"`)
	require.Contains(t, body, ">lines</td>")

	body = get(t, h, "/version?id=a&number=12").Body.String()
	for _, part := range []string{
		"Version 12 of the session", "<dt>Format</dt><dd>lines</dd>", "<dt>Messages</dt><dd>12</dd>", digests[11], "line 11 &lt;b&gt;&#34;\n</pre>", `href="snapshot?id=a&amp;number=12"`,
	} {
		require.Contains(t, body, part)
	}
	require.NotContains(t, body, "line 12")
	w := get(t, h, "/snapshot?id=a&number=12")
	require.Equal(t, 12, strings.Count(w.Body.String(), "\n"))
	require.Equal(t, `attachment; filename="snapshot-12.txt"`, w.Header().Get("Content-Disposition"))
	require.Equal(t, http.StatusNotFound, get(t, h, "/version?id=a&number=11").Code)

	body = get(t, h, "/runtime?id=b").Body.String()
	require.Contains(t, body, `Forked from version 100 of <a href="runtime?id=a">a</a>`)
	require.Contains(t, body, "<dt>Number</dt><dd>1</dd>")
	require.Contains(t, body, digests[99])
	require.NotContains(t, body, "<h3>Versions")
	require.NotContains(t, get(t, inspect.Handler(loop, inspect.Options{}), "/version?id=a&number=12").Body.String(), "line 1")
}

// A long text is cut where its parts meet as well as within one.
func TestLongVersionsAreCut(t *testing.T) {
	loop := storetest.New(t)
	var text strings.Builder
	for i := 0; text.Len() < 100_000; i++ {
		fmt.Fprintf(&text, "%d é,", i)
	}
	_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte(text.String()), Format: store.FormatOpaque}}})
	require.NoError(t, err)
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	for _, target := range []string{"/runtime?id=a", "/version?id=a&number=1"} {
		_, shown, _ := strings.Cut(get(t, h, target).Body.String(), `<pre tabindex="0">`)
		shown, _, _ = strings.Cut(shown, "</pre>")
		require.True(t, strings.HasPrefix(text.String(), shown), target)
		require.InDelta(t, 32<<10, len(shown), 4, target)
	}
	require.Equal(t, text.String(), get(t, h, "/snapshot?id=a&number=1").Body.String())
}

// Every link of every page leads to a page, and one of a receipt to its inputs
// and back.
func TestLinksLeadSomewhere(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/a/b/", http.StripPrefix("/a/b", inspect.Handler(sample(t), inspect.Options{Payloads: true})))
	base, err := url.Parse("http://example.com/a/b/")
	require.NoError(t, err)
	seen := map[string]bool{base.String(): true}
	href := regexp.MustCompile(`(?:href|data-events)="([^"]+)"`)
	for queue := []*url.URL{base}; len(queue) > 0; queue = queue[1:] {
		if strings.HasSuffix(queue[0].Path, "/events") || strings.HasSuffix(queue[0].Path, "/changes") {
			continue // it does not end
		}
		w := get(t, mux, queue[0].String())
		require.Equal(t, http.StatusOK, w.Code, queue[0])
		if queue[0].Path == "/a/b/timeline" && queue[0].Query().Has("from") {
			continue // there is no end to the parts of a time line
		}
		body, _, _ := strings.Cut(w.Body.String(), "<script>")
		for _, link := range href.FindAllStringSubmatch(body, -1) {
			if strings.HasPrefix(link[1], "data:") || strings.HasPrefix(link[1], "#") {
				continue
			}
			to, err := queue[0].Parse(html.UnescapeString(link[1]))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(to.Path, "/a/b/"), to)
			if !seen[to.String()] {
				seen[to.String()] = true
				queue = append(queue, to)
			}
		}
	}
	for _, target := range everyPage() {
		if !strings.Contains(target, "nobody") && !strings.HasPrefix(target, "/runs") && target != "/nowhere" && !strings.Contains(target, "state=") && !strings.Contains(target, "q=") {
			to, err := base.Parse("." + target)
			require.NoError(t, err)
			to.RawQuery = to.Query().Encode()
			require.True(t, seen[to.String()], "%s is not linked to", to)
		}
	}
}

func TestAnyIDHasItsPage(t *testing.T) {
	loop := storetest.New(t)
	h := inspect.Handler(loop, inspect.Options{})
	for id, name := range map[store.RuntimeID]string{
		"": `&#34;&#34;`, "/": "/", "a\nb": `&#34;a\nb&#34;`, " a": `&#34; a&#34;`, "é": "é", `"q"`: `&#34;\&#34;q\&#34;&#34;`,
		"../../x?y#z&a=b": "../../x?y#z&amp;a=b", "\u202Eabc": `&#34;\u202eabc&#34;`, "javascript:alert(1)": "javascript:alert(1)", "a+b %41": "a&#43;b %41",
		store.RuntimeID(strings.Repeat("é", 120)): strings.Repeat("é", 120),
	} {
		require.NoError(t, loop.PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
		list := get(t, h, "/").Body.String()
		target := "runtime?" + escaped(id)
		require.Contains(t, html.UnescapeString(list), `href="`+target+`"`, "%q", id)
		require.Contains(t, list, ">"+name+"</a>")
		w := get(t, h, "/"+target)
		require.Equal(t, http.StatusOK, w.Code, "%q", id)
		require.Contains(t, w.Body.String(), "<h1>"+name+"</h1>", "%q", id)
	}
}

// A long id is whole in addresses and forms, and nowhere else.
func TestLongIDsAreCut(t *testing.T) {
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 10}}})
	id := store.RuntimeID(strings.Repeat("é", 5000))
	put(t, loop, id, store.FormatLines, lineOf("user", "a")+"\n")
	in := store.NewInputState(first, noon)
	require.NoError(t, loop.PersistInputState(t.Context(), id, in))
	h := inspect.Handler(loop, inspect.Options{Payloads: true, Actions: &inspect.Actions{}})
	require.Contains(t, get(t, h, "/").Body.String(), ">"+strings.Repeat("é", 120)+"…</a>")
	for _, page := range []string{"runtime", "inputs", "input", "runs", "versions", "version", "transcript", "message", "diff", "timeline", "delete", "prune", "abandon"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/"+page+"?"+escaped(id)+"&number=1&message=1&input="+first.String(), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, page)
		shown := strings.ReplaceAll(w.Body.String(), `value="`+string(id)+`"`, "")
		require.NotContains(t, shown, strings.Repeat("é", 401), page)
	}
	require.Contains(t, get(t, h, "/runtime?"+escaped(id)).Body.String(), "<h1>"+strings.Repeat("é", 400)+"…</h1>")
}

// Of a long history the last entries are shown, and how many there are.
func TestLongHistoriesAreCut(t *testing.T) {
	loop := storetest.New(t, loopstore.Options{})
	in := store.NewInputState(first, noon)
	for n := range 10_000 {
		in.History = append(in.History, store.HistoryEntry{Timestamp: noon, From: store.InputQueued, To: store.InputStaged, Reason: new(fmt.Sprint("entry ", n))})
	}
	require.NoError(t, loop.PersistInputState(t.Context(), "a", in))
	h := inspect.Handler(loop, inspect.Options{})
	target := "/input?id=a&input=" + first.String()
	body := get(t, h, target).Body.String()
	require.Equal(t, 100, strings.Count(body, ">entry "))
	require.Contains(t, body, "The last 100 of 10,000 entries.")
	require.Contains(t, body, ">entry 9999<")
	_, shown := getJSON(t, h, target)
	require.EqualValues(t, 10_000, shown["history_count"])
	history := shown["input"].(map[string]any)["history"].([]any)
	require.Len(t, history, 100)
	require.Equal(t, "entry 9999", history[99].(map[string]any)["reason"])
	require.NotContains(t, get(t, inspect.Handler(sample(t), inspect.Options{}), "/input?"+escaped(busy)+"&input="+first.String()).Body.String(), "The last ")
}

func TestProblems(t *testing.T) {
	loop := sample(t)
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	id, unknown := escaped(busy), "0197f3a2-0000-7000-8000-00000000ffff"
	for target, status := range map[string]int{
		"/nowhere": 404, "/runtime": 404, "/runtime?id=nobody": 404, "/runtime?id=%FF": 404, "/inputs?id=nobody": 404, "/runs?id=nobody": 404,
		"/input?id=nobody": 404, "/run?id=nobody": 404, "/snapshot?id=nobody": 404, "/payload?id=nobody": 404,
		"/input?" + id: 400, "/input?input=x&" + id: 400, "/input?input=" + unknown + "&" + id: 404,
		"/inputs?state=x&" + id: 400, "/inputs?from=x&" + id: 400,
		"/run?" + id: 400, "/run?run=" + unknown + "&" + id: 404, "/run?from=x&run=" + run.String() + "&" + id: 400,
		"/run?sequence=x&run=" + run.String() + "&" + id: 400, "/run?sequence=99&run=" + run.String() + "&" + id: 404,
		"/payload?input=" + last.String() + "&" + id: 404, "/events?after=x": 400,
		"/versions?id=nobody": 404, "/version?id=nobody": 404, "/version?" + id: 400, "/version?number=-1&" + id: 400, "/version?number=4&" + id: 404,
		"/transcript?id=nobody": 404, "/transcript?number=9&" + id: 404, "/transcript?from=x&" + id: 400, "/transcript?until=-1&" + id: 400,
		"/message?" + id: 404, "/message?message=2&" + id: 404, "/message?message=x&" + id: 400, "/message?number=x&message=1&" + id: 400,
		"/raw?id=nobody": 404, "/raw?message=2&" + id: 404,
		"/diff?from=9&" + id: 404, "/diff?to=9&" + id: 404, "/diff?from=x&" + id: 404, "/diff?skip=x&" + id: 400,
		"/timeline?from=x&" + id: 400, "/timeline?skip=x&" + id: 400, "/timeline?from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z&" + id: 400,
		"/version?number=0&" + id: 404, "/snapshot?number=x&" + id: 400, "/snapshot?number=4&" + id: 404,
	} {
		w := get(t, h, target)
		require.Equal(t, status, w.Code, target)
		require.Contains(t, w.Body.String(), `<p><a href="./">All runtimes</a></p>`, "in the look of the others")
	}
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "bare", store.RuntimeIdle))
	for _, target := range []string{"/snapshot?id=bare", "/transcript?id=bare", "/diff?id=bare"} {
		require.Equal(t, 404, get(t, h, target).Code, target)
	}
	require.Contains(t, get(t, h, "/timeline?id=bare").Body.String(), "No inputs.")

	require.NoError(t, loop.Close())
	for _, target := range append(everyPage(), "/events?"+id) {
		if target == "/stats" || target == "/nowhere" {
			continue
		}
		w := get(t, h, target)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, target)
		require.Contains(t, w.Body.String(), "The store is closed")
	}
	require.Contains(t, get(t, h, "/stats").Body.String(), "serves nothing any more")
}

// Whatever number stands in an address, the page is there or the address is wrong: no sum with
// it is too large for the machine.
func TestNumbersInAddresses(t *testing.T) {
	loop := sample(t)
	talking, id := conversation(t, loop), "?id="+url.QueryEscape(string(busy))
	h := inspect.Handler(loop, inspect.Options{Payloads: true})
	for _, page := range []string{
		"/?q=", "/inputs" + id, "/runs" + id, "/run" + id + "&run=" + run.String(), "/versions" + id, "/version" + id,
		"/transcript?id=talk", "/message?id=talk", "/raw?id=talk", "/diff?id=talk", "/timeline?id=talk" + talking, "/timeline" + id,
	} {
		for _, name := range []string{"skip", "from", "to", "until", "message", "number", "page", "sequence"} {
			for _, n := range []string{"", "-1", "0", "1", "1.5", "2147483647", "2147483648", "4294967296", "9223372036854775807", "18446744073709551615", "18446744073709551616"} {
				target := page + "&" + name + "=" + n
				require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound}, get(t, h, target).Code, target)
			}
		}
	}
}

func TestItOnlyReads(t *testing.T) {
	h := inspect.Handler(sample(t), inspect.Options{})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "NONSENSE"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	server := listen(t, h)
	for _, target := range []string{"/", "/events"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+target, nil)
		require.NoError(t, err)
		answer, err := server.Client().Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
}

// A source that fails, or says what it is told.
type source struct {
	inspect.Source
	err   error
	stats loopstore.Stats
}

func (s source) View(context.Context, store.RuntimeID) (*state.View, error) { return nil, s.err }

func (s source) Runtimes(context.Context, state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	return func(yield func(state.RuntimeSummary, error) bool) { yield(state.RuntimeSummary{}, s.err) }
}

func (s source) Stats() loopstore.Stats { return s.stats }

func TestErrorsAreNotQuoted(t *testing.T) {
	for err, title := range map[error]string{
		&store.OpError{Op: "load_view", Err: &store.PanicError{Value: "canary"}}: "The store has failed",
		errors.New("canary"): "Not now",
	} {
		h := inspect.Handler(source{err: err}, inspect.Options{Payloads: true})
		for _, target := range []string{"/", "/runtime?id=a"} {
			w := get(t, h, target)
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), title)
			require.NotContains(t, w.Body.String(), "canary")
		}
	}
}

// Each figure has a value that no other has, and that nothing else in the page
// is.
func TestStatsHasAllFigures(t *testing.T) {
	var stats loopstore.Stats
	var want []string
	next := 100
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		for _, f := range v.Fields() {
			next++
			switch {
			case f.Type() == reflect.TypeFor[time.Duration]():
				f.SetInt(int64(next) * int64(time.Second))
				want = append(want, (time.Duration(next) * time.Second).String())
			case f.CanInt():
				f.SetInt(int64(next))
				want = append(want, fmt.Sprint(next))
			case f.CanUint():
				f.SetUint(uint64(next))
				want = append(want, fmt.Sprint(next))
			case f.CanFloat():
				f.SetFloat(float64(next) / 1000)
				want = append(want, fmt.Sprintf("%.1f %%", float64(next)/10))
			case f.Type() == reflect.TypeFor[store.Totals](), f.Type() == reflect.TypeFor[store.Limits]():
				fill(f)
			}
		}
	}
	fill(reflect.ValueOf(&stats).Elem())
	stats.Slowest = &loopstore.Slow{Kind: ops.KindPrune, Took: 777 * time.Microsecond, At: noon.Time()}
	stats.Operations = map[ops.Kind]loopstore.Operations{ops.KindCommit: {Done: 888, Errors: 999, Conflicts: 777}}
	want = append(want, "prune, 777µs", "2026-11-23 12:00:00 UTC", `data-label="Done">888<`, `data-label="Conflicts">777<`, `warn" data-label="Errors">999<`, "serves nothing any more")
	body := get(t, inspect.Handler(source{stats: stats}, inspect.Options{}), "/stats").Body.String()
	_, body, _ = strings.Cut(body, "<main")
	for _, figure := range want {
		require.Contains(t, body, figure)
	}
	require.Contains(t, get(t, inspect.Handler(source{stats: loopstore.Stats{Serving: true}}, inspect.Options{}), "/stats").Body.String(), "No operations yet.")
}
