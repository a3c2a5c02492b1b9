package inspect_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

var listed = regexp.MustCompile(`rowheader"><a href="runtime\?id=([^"]*)"`)

// idsIn returns the runtimes that a list shows.
func idsIn(t *testing.T, h http.Handler, target string) (ids []string) {
	t.Helper()
	w := get(t, h, target)
	require.Equal(t, http.StatusOK, w.Code)
	for _, found := range listed.FindAllStringSubmatch(w.Body.String(), -1) {
		ids = append(ids, found[1])
	}
	return ids
}

func TestRuntimesAreSortedAndFiltered(t *testing.T) {
	loop := storetest.New(t)
	ctx := t.Context()
	h := inspect.Handler(loop, inspect.Options{})
	require.Contains(t, get(t, h, "/").Body.String(), "No runtimes yet.")

	require.NoError(t, loop.PersistRuntimeState(ctx, "c", store.RuntimeIdle))
	for n := range 3 {
		require.NoError(t, loop.PersistInputState(ctx, "b", store.NewInputState(uuidOf(store.ParseInputID, n), noon)))
	}
	require.NoError(t, loop.AtomicApply(ctx, "ab", store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: make([]byte, 10_000)},
		Receipt: store.RunBoundaryReceipt{RunID: run, Boundary: store.Immediate},
	}))
	require.NoError(t, loop.PersistRuntimeState(ctx, "ab", store.RuntimeRunning))

	_, err := loop.Commit(ctx, batch.Batch{Then: []batch.Write{batch.PutLabels{RuntimeID: "b", Labels: map[string]string{"team": "a=b"}}}})
	require.NoError(t, err)
	for target, want := range map[string]string{
		"/": "b ab c", "/?sort=active": "c ab b", "/?sort=nonsense": "b ab c",
		"/?sort=id": "ab b c", "/?sort=id&desc=1": "c b ab",
		"/?sort=state": "b c ab", "/?sort=open": "ab c b", "/?sort=open&desc=1": "b ab c",
		"/?sort=inputs&desc=1": "b ab c", "/?sort=receipts&desc=1": "ab b c", "/?sort=bytes": "c b ab",
		"/?q=b": "b ab", "/?q=b&sort=id": "ab b", "/?q=b&begins=1": "b", "/?state=idle": "c", "/?state=none": "b", "/?state=running&q=b": "ab",
		"/?q=x": "", "/?state=stopped": "", "/?input=accepted": "b", "/?input=queued": "", "/?input=x": "",
		"/?label=team": "b", "/?label=team%3Da%3Db": "b", "/?label=team%3Da": "", "/?label=other": "",
	} {
		require.Equal(t, want, strings.Join(idsIn(t, h, target), " "), target)
	}
	_, err = loop.Commit(ctx, batch.Batch{Then: []batch.Write{batch.PutLabels{RuntimeID: "c", Labels: map[string]string{"a=b": "c=d", "empty": ""}}}})
	require.NoError(t, err)
	for _, label := range []string{"a=b", "a=b=c=d", "empty", "empty="} {
		require.Equal(t, []string{"c"}, idsIn(t, h, "/?label="+url.QueryEscape(label)), label)
	}
	for _, label := range []string{"a", "a=b=c", "a=b=", "empty=x"} {
		require.Empty(t, idsIn(t, h, "/?label="+url.QueryEscape(label)), label)
	}
	body := get(t, h, "/?q=b&state=none&sort=inputs&desc=1").Body.String()
	for _, part := range []string{
		"<strong>1</strong> of 3 runtimes match.", `<option value="none" selected>none</option>`, `<option value="running">running</option>`,
		`aria-sort="descending"><a href="./?q=b&amp;sort=inputs&amp;state=none"`,
		`aria-sort="none"><a href="./?q=b&amp;sort=id&amp;state=none"`,
		`href="./?label=team%3Da%3Db">team: a=b</a>`,
	} {
		require.Contains(t, body, part)
	}
	require.Contains(t, get(t, h, "/?sort=id").Body.String(), `aria-sort="ascending"><a href="./?desc=1&amp;sort=id"`)
}

func TestListsHavePages(t *testing.T) {
	loop := storetest.New(t)
	ctx := t.Context()
	const many = 250
	for i := range many {
		require.NoError(t, loop.PersistRuntimeState(ctx, store.RuntimeID(fmt.Sprintf("r%03d", i)), store.RuntimeIdle))
		input := store.NewInputState(uuidOf(store.ParseInputID, i), noon)
		if i%2 == 0 {
			input.CurrentState = store.InputQueued
		}
		require.NoError(t, loop.PersistInputState(ctx, "r000", input))
		for _, receipt := range []store.RunBoundaryReceipt{
			{RunID: run, Boundary: store.RunCheckpoint, Sequence: uint64(i)},
			{RunID: uuidOf(store.ParseRunID, 1000+i), Boundary: store.RunStart},
		} {
			receipt.ContributingInputIDs = slices.Repeat([]store.InputID{first}, 25)
			require.NoError(t, loop.AtomicApply(ctx, "r000", store.BoundaryApply{Receipt: receipt}))
		}
	}
	h := inspect.Handler(loop, inspect.Options{})

	// all follows the links to the next page, and counts the rows.
	all := func(target, row string) (counts []int) {
		for {
			body := get(t, h, target).Body.String()
			_, body, _ = strings.Cut(body, "<main")
			counts = append(counts, len(regexp.MustCompile(row).FindAllString(body, -1)))
			next := regexp.MustCompile(`<a rel="next" href="(?:\./)?([^"]*)"`).FindStringSubmatch(body)
			if next == nil {
				return counts
			}
			require.Less(t, len(counts), 10)
			target = "/" + html.UnescapeString(next[1])
		}
	}
	require.Equal(t, []int{100, 100, 50}, all("/?sort=id&q=r&state=idle", `<th scope="row"`))
	require.Equal(t, []int{100, 100, 50}, all("/inputs?id=r000", `<th scope="row"`))
	require.Equal(t, []int{100, 25}, all("/inputs?id=r000&state=queued", `<th scope="row"`))
	require.Equal(t, []int{100, 100, 50}, all("/run?id=r000&run="+run.String(), `<li `))
	require.Equal(t, []int{100, 100, 51}, all("/runs?id=r000", `<th scope="row"`))

	require.Equal(t, idsIn(t, h, "/?page=3"), idsIn(t, h, "/?page=99"))
	require.Equal(t, idsIn(t, h, "/?page=1"), idsIn(t, h, "/?page=-1"))
	require.Contains(t, get(t, h, "/?page=2").Body.String(), `rel="prev"`)

	overview := get(t, h, "/runtime?id=r000").Body.String()
	for _, part := range []string{"All 125 that are queued", "All receipts of this run", "The last 5 of 251 runs", "and 15 more"} {
		if part == "All receipts of this run" { // its first receipt is the oldest: it is not among the last runs
			require.NotContains(t, overview, part)
			continue
		}
		require.Contains(t, overview, part)
	}
	_, overview, _ = strings.Cut(overview, "<h2>Receipts")
	require.Less(t, strings.Index(overview, uuidOf(store.ParseRunID, 1249).String()), strings.Index(overview, uuidOf(store.ParseRunID, 1245).String()))
}

// Who was written to last comes first, by the clock, and by the version where that is not known.
func TestNewestActivityComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, opts := range []loopstore.Options{{Activity: true}, {}} {
			loop := storetest.New(t, opts)
			for _, id := range []store.RuntimeID{"b", "c", "a", "b"} {
				require.NoError(t, loop.PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
				time.Sleep(time.Minute)
			}
			h := inspect.Handler(loop, inspect.Options{})
			for query, want := range map[string][]any{"": {"b", "a", "c"}, "?sort=active&desc=1": {"b", "a", "c"}, "?sort=active": {"c", "a", "b"}} {
				_, list := getJSON(t, h, "/"+query)
				var ids []any
				for _, row := range list["runtimes"].([]any) {
					ids = append(ids, row.(map[string]any)["runtime_id"])
				}
				require.Equal(t, want, ids, query)
			}
		}
	})
}
