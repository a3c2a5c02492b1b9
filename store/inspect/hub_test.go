package inspect_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
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

const listPace = 500 * time.Millisecond // as in hub.go

// However many follow the list, the owner is asked nothing while nothing changes, and for
// one view of what has changed, the pages that they load again included.
func TestManyReadersOfTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		h := inspect.Handler(loop, inspect.Options{})
		clients := make([]*client, 500)
		for i := range clients {
			clients[i] = follow(t, h, "/changes?after=1.1")
		}
		synctest.Wait()
		time.Sleep(time.Second)
		before := loop.Stats().Operations
		time.Sleep(time.Hour)
		require.Equal(t, before, loop.Stats().Operations)
		synctest.Wait()
		for _, c := range clients {
			text := c.text()
			require.True(t, strings.HasPrefix(text, begun))
			require.NotContains(t, text, "event: version")
		}
		for n := uint64(1); n <= 3; n++ {
			set(t, loop, []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning}[n%2])
			synctest.Wait()
			for i, c := range clients {
				require.Contains(t, c.text(), fmt.Sprintf("event: version\nid: 1.%d\n", n+1))
				if i%10 == 0 {
					require.Equal(t, http.StatusOK, get(t, h, "/").Code)
				}
			}
			time.Sleep(time.Second)
			now := loop.Stats().Operations
			require.Equal(t, before[ops.KindLoadView].Done+n, now[ops.KindLoadView].Done)
			require.Equal(t, before[ops.KindLoadImage], now[ops.KindLoadImage])
			require.LessOrEqual(t, now[ops.KindLoadChanges].Done-before[ops.KindLoadChanges].Done, 2*n)
		}
	})
}

// Who follows the list sees what is made, changes and goes, at most twice a second, in the
// order of activity; and the page that was there already is no news.
func TestTheListIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		h := inspect.Handler(loop, inspect.Options{})
		put := func(ids ...store.RuntimeID) {
			t.Helper()
			for _, id := range ids {
				require.NoError(t, loop.PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
			}
		}
		put("a", "b")
		require.Contains(t, get(t, h, "/").Body.String(), `data-events="changes?after=2.2"`)
		c := follow(t, h, "/changes?after=2.2")
		require.Equal(t, begun, c.took())
		require.Equal(t, begun, follow(t, h, "/changes?after=1.1", "Last-Event-ID", "2.2").took())
		require.Equal(t, begun+"event: version\nid: 2.2\ndata: 2.2\n\n", follow(t, h, "/changes").took())

		time.Sleep(time.Second)
		put("c")
		require.Equal(t, "event: version\nid: 3.3\ndata: 3.3\n\n", c.took())
		require.Equal(t, []string{"c", "b", "a"}, idsIn(t, h, "/"))
		for range 100 {
			put("a", "b")
		}
		require.Empty(t, c.took())
		time.Sleep(listPace)
		require.Equal(t, "event: version\nid: 3.203\ndata: 3.203\n\n", c.took(), "the last one")
		require.Equal(t, []string{"b", "a", "c"}, idsIn(t, h, "/"))

		time.Sleep(time.Second)
		_, err := loop.DeleteRuntime(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, "event: version\nid: 2.202\ndata: 2.202\n\n", c.took())
		require.Equal(t, []string{"a", "c"}, idsIn(t, h, "/"))

		time.Sleep(time.Second)
		var all []store.RuntimeID
		for i := range 2000 { // more than are looked at one by one
			all = append(all, store.RuntimeID(fmt.Sprintf("r%04d", i)))
		}
		views := loop.Stats().Operations[ops.KindLoadView].Done
		put(all...)
		time.Sleep(listPace)
		require.Contains(t, c.took(), "id: 2002.")
		require.Less(t, loop.Stats().Operations[ops.KindLoadView].Done-views, uint64(600))
		require.Equal(t, "r1999", idsIn(t, h, "/")[0])

		require.NoError(t, loop.Close())
		c.gone.Wait()
		require.Equal(t, http.StatusServiceUnavailable, get(t, h, "/").Code)
		require.Equal(t, http.StatusServiceUnavailable, get(t, h, "/changes").Code)
	})
}

// A busy source refuses what comes while it is, and a feed may say that it has forgotten.
type flaky struct {
	*loopstore.Loop
	err chan error // of the next question
}

func (f *flaky) fails() error {
	select {
	case err := <-f.err:
		return err
	default:
		return nil
	}
}

func (f *flaky) Changes(ctx context.Context, after state.ChangeCursor) iter.Seq2[state.Change, error] {
	return func(yield func(state.Change, error) bool) {
		for change, err := range f.Loop.Changes(ctx, after) {
			if failed := f.fails(); failed != nil {
				change, err = state.Change{}, failed
			}
			if !yield(change, err) || err != nil {
				return
			}
		}
	}
}

func (f *flaky) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	if err := f.fails(); err != nil {
		return nil, err
	}
	return f.Loop.View(ctx, id)
}

func TestWhatPassesEndsNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Loop: storetest.New(t), err: make(chan error, 1)}
		set(t, f.Loop, store.RuntimeIdle)
		h := inspect.Handler(f, inspect.Options{})
		list, one := follow(t, h, "/changes?after=1.1"), follow(t, h, "/events?id=a&after=1")
		require.Equal(t, begun, list.took())
		require.Equal(t, begun, one.took())
		time.Sleep(time.Second)
		f.err <- store.ErrCursorExpired
		require.NoError(t, f.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle))
		time.Sleep(time.Second)
		require.Contains(t, list.took(), "id: 2.2\n")
		f.err <- store.ErrBusy
		set(t, f.Loop, store.RuntimeRunning)
		time.Sleep(2 * time.Second)
		require.Contains(t, one.took(), "id: 3\n")
		require.Contains(t, list.took(), "id: 2.3\n")
	})
}

// An answer is kept for others who ask for the same, whatever else their address has, and
// none whose links would be long.
func TestAnswersThatAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		h := inspect.Handler(loop, inspect.Options{})
		follow(t, h, "/changes").took()
		for n := range 10 {
			require.Equal(t, http.StatusOK, get(t, h, fmt.Sprint("/?sort=id&junk=", n)).Code)
			require.Equal(t, http.StatusOK, get(t, h, fmt.Sprint("/runtimes?x=", n, "&sort=id")).Code)
		}
		require.Equal(t, 1, inspect.Made(h))
		require.Equal(t, http.StatusOK, get(t, h, "/runtimes.json?sort=id").Code)
		require.Equal(t, 2, inspect.Made(h))
		require.Contains(t, get(t, h, "/?q="+strings.Repeat("x", 1000)).Body.String(), "No runtime matches.")
		require.Equal(t, 2, inspect.Made(h))
	})
}

// The first page says what waits, in which states and since when the longest, and who
// stands out.
func TestWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		h := inspect.Handler(loop, inspect.Options{})
		body := get(t, h, "/").Body.String()
		require.Contains(t, body, "No input waits")
		require.Contains(t, body, "No turn is under way")
		verdict := func() string {
			t.Helper()
			found := regexp.MustCompile(`<p class="verdict[^>]*>(.*?)</p>`).FindStringSubmatch(get(t, h, "/").Body.String())
			return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(found[1], "")
		}
		require.Equal(t, "Nothing waits, and no turn has inputs under way.", verdict())
		put := func(id store.RuntimeID, n int, current store.InputLifecycleState) {
			t.Helper()
			in := store.NewInputState(uuidOf(store.ParseInputID, n), store.TimeOf(time.Now()))
			in.CurrentState = current
			require.NoError(t, loop.PersistInputState(t.Context(), id, in))
		}
		put("old <b>", 1, store.InputQueued)
		require.Equal(t, "Nothing has waited, or been under way, for unusually long.", verdict())
		time.Sleep(11 * time.Minute)
		require.Equal(t, "old &lt;b&gt; has an input that has waited for 11 min, unusually long, and no turn under way: is a worker there?", verdict())
		put("old <b>", 2, store.InputStaged)
		require.Equal(t, "old &lt;b&gt; has an input that has waited for 11 min, unusually long.", verdict())
		time.Sleep(11 * time.Minute)
		require.Equal(t, "old &lt;b&gt; has had a turn open for 11 min, unusually long, and 1 input waits behind it.", verdict())
		_, err := loop.DeleteRuntime(t.Context(), "old <b>")
		require.NoError(t, err)
		began := time.Now()
		put("old <b>", 1, store.InputQueued)
		put("turn", 2, store.InputStaged)
		require.NoError(t, loop.PersistRuntimeState(t.Context(), "runs", store.RuntimeRunning))
		require.NoError(t, loop.PersistRuntimeState(t.Context(), "idle", store.RuntimeIdle))
		time.Sleep(2 * time.Hour)
		for n := range 6 {
			put(store.RuntimeID(fmt.Sprint("new ", n)), 10+n, store.InputAccepted)
			put(store.RuntimeID(fmt.Sprint("new ", n)), 20+n, store.InputQueued)
		}
		time.Sleep(3 * time.Minute)
		check := func() {
			t.Helper()
			_, shown := getJSON(t, h, "/")
			waiting, underWay := shown["waiting"].(map[string]any), shown["under_way"].(map[string]any)
			require.InDelta(t, 13, waiting["inputs"], 0)
			require.InDelta(t, 7, waiting["runtimes"], 0)
			longest := waiting["longest"].([]any)
			require.Len(t, longest, 5)
			require.Equal(t, map[string]any{
				"runtime_id": "old <b>", "input_id": uuidOf(store.ParseInputID, 1).String(), "state": "queued", "since": store.TimeOf(began).String(), "long": true,
			}, longest[0])
			require.Equal(t, false, longest[1].(map[string]any)["long"])
			require.InDelta(t, 2, underWay["runtimes"], 0)
			require.InDelta(t, 1, underWay["inputs"], 0)
			require.Equal(t, true, underWay["longest"].([]any)[0].(map[string]any)["long"], "there is nothing to compare it with, but two hours are long")
			require.Equal(t, []any{
				map[string]any{"state": "accepted", "inputs": 6., "runtimes": 6., "since": store.TimeOf(began.Add(2 * time.Hour)).String()},
				map[string]any{"state": "queued", "inputs": 7., "runtimes": 7., "since": store.TimeOf(began).String()},
				map[string]any{"state": "staged", "inputs": 1., "runtimes": 1., "since": store.TimeOf(began).String()},
			}, shown["open"])
		}
		check()
		body = get(t, h, "/").Body.String()
		for _, part := range []string{
			"<strong>13</strong> inputs wait in 7 runtimes", "<strong>2</strong> runtimes have a turn under way",
			`<a class="who" href="runtime?id=old&#43;%3Cb%3E">old &lt;b&gt;</a>`, ">2 h</time> <strong>unusually long</strong>", ">3 min</time>",
		} {
			require.Contains(t, body, part)
		}
		require.Equal(t, []string{"old&#43;%3Cb%3E", "turn"}, idsIn(t, h, "/?sort=open&desc=1")[:2])

		follow(t, h, "/changes").took() // and who is live sees the same
		check()
		put("old <b>", 1, store.InputStaged)
		time.Sleep(time.Second)
		_, shown := getJSON(t, h, "/")
		require.InDelta(t, 12, shown["waiting"].(map[string]any)["inputs"], 0)
	})
}

// A clock that is ahead, by however much, hides nobody who waits long.
func TestWhatIsStuckBesideTheFuture(t *testing.T) {
	for _, years := range []int{1, 50, 200_000} {
		loop := storetest.New(t)
		for n, at := range []time.Time{time.Now().Add(-48 * time.Hour), time.Now().AddDate(years, 0, 0), time.Now().AddDate(years, 0, 1), time.Now().AddDate(years, 0, 2)} {
			require.NoError(t, loop.PersistInputState(t.Context(), store.RuntimeID(fmt.Sprint(n)), store.NewInputState(first, store.TimeOf(at))))
		}
		_, shown := getJSON(t, inspect.Handler(loop, inspect.Options{}), "/")
		longest := shown["waiting"].(map[string]any)["longest"].([]any)
		require.Equal(t, "0", longest[0].(map[string]any)["runtime_id"])
		require.Equal(t, true, longest[0].(map[string]any)["long"], years)
		require.Equal(t, false, longest[1].(map[string]any)["long"], years)
	}
}

// Where it is not known since when inputs wait, it is said so.
type paged struct{ inspect.Source }

func (p paged) Runtimes(ctx context.Context, l state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	l.ByActivity = false
	return p.Source.Runtimes(ctx, l)
}

func TestSourcesThatDoNotKnowSinceWhen(t *testing.T) {
	h := inspect.Handler(paged{sample(t)}, inspect.Options{})
	body := get(t, h, "/").Body.String()
	require.Contains(t, body, "<strong>2</strong> inputs wait in 1 runtime")
	require.Contains(t, body, "since when is not known")
	_, shown := getJSON(t, h, "/")
	require.Nil(t, shown["waiting"].(map[string]any)["longest"].([]any)[0].(map[string]any)["input_id"])
}

// A reader that goes leaves the list to the others, and the last one ends it.
func TestReadersOfTheListComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		h := inspect.Handler(loop, inspect.Options{})
		for range 3 {
			first, second := follow(t, h, "/changes"), follow(t, h, "/changes")
			require.NotEmpty(t, first.took())
			require.NotEmpty(t, second.took())
			first.leave()
			first.gone.Wait()
			_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}}})
			require.NoError(t, err)
			time.Sleep(time.Second)
			require.Contains(t, second.took(), "event: version")
			second.leave()
			second.gone.Wait()
		}
		before := loop.Stats().Operations
		set(t, loop, store.RuntimeRunning)
		time.Sleep(time.Hour)
		now := loop.Stats().Operations
		require.Equal(t, before[ops.KindLoadView], now[ops.KindLoadView], "nobody looks")
	})
}
