package inspect_test

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/url"
	"regexp"
	"strconv"
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
	"github.com/loopstore/loopstore/store/turn"
)

// A drawn time line is that of a page.
type drawn struct {
	Now, From, To string
	Open          int
	Longest       string `json:"waits_longest"`
	Count         int
	Inputs        []struct {
		InputID string  `json:"input_id"`
		Seconds float64 `json:"seconds"`
		Open    bool
	}
	Runs []struct {
		RunID    string `json:"run_id"`
		Receipts int
		Began    string
		Ended    string
		Known    []struct {
			Sequence uint64
			At       string
		} `json:"receipts_at"`
	}
	RunsCount int `json:"runs_count"`
}

func draw(t testing.TB, loop *loopstore.Loop, query string) (d drawn) {
	t.Helper()
	w := get(t, inspect.Handler(loop, inspect.Options{}), "/timeline.json?id=a"+query)
	require.Equal(t, 200, w.Code, w.Body.String())
	require.Less(t, w.Body.Len(), most)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	return d
}

// moved returns an input that went through some states, each so long after the one before.
func moved(t testing.TB, n int, created time.Time, step time.Duration, states ...store.InputLifecycleState) store.InputState {
	in := store.NewInputState(uuidOf(store.ParseInputID, n), store.TimeOf(created))
	for _, s := range states {
		created = created.Add(step)
		require.NoError(t, in.Move(s, store.TimeOf(created), ""))
	}
	if in.CurrentState == store.InputConsumed {
		in.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
	}
	return in
}

// rects are the parts of the lines that a page draws: state, place and width.
func rects(body string) (all []string) {
	for _, found := range regexp.MustCompile(`<rect class="(\w+)" x="([\d.]+)"(?: y="3")? width="([\d.]+)"`).FindAllStringSubmatch(body, -1) {
		all = append(all, strings.Join(found[1:], " "))
	}
	return all
}

// An input's line goes from when it was accepted to its end, or until now, through the
// states that its history has. What waits longest comes first, and a receipt is where its
// version of the session was made.
func TestTimelineShowsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := loopstore.New(loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
		defer loop.Close()
		start := time.Now() // to the second, in a bubble
		persist := func(in store.InputState) { require.NoError(t, loop.PersistInputState(t.Context(), "a", in)) }
		persist(moved(t, 1, start, time.Second, store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed))
		persist(moved(t, 2, start.Add(20*time.Second), time.Second, store.InputQueued))
		persist(moved(t, 3, start.Add(10*time.Second), 0))
		ms := start.UnixMilli() // of a new id too, if no other in this process was made later
		run, err := store.ParseRunID(fmt.Sprintf("%08x-%04x-7000-8000-000000000001", ms>>16, ms&0xffff))
		require.NoError(t, err)
		for range 3 {
			time.Sleep(25 * time.Second)
			_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte("1\n"), Format: store.FormatLines, Append: true}, RunID: run, Boundary: store.RunCheckpoint,
			})
			require.NoError(t, err)
		}
		unknown := uuidOf(store.ParseRunID, 7)
		unknown[6] = 0x40 // a random one
		require.NoError(t, loop.AtomicApply(t.Context(), "a", store.BoundaryApply{Receipt: store.RunBoundaryReceipt{RunID: unknown, Boundary: store.Immediate}}))
		time.Sleep(25 * time.Second)

		d := draw(t, loop, "")
		require.Equal(t, []any{2, 3, uuidOf(store.ParseInputID, 3).String()}, []any{d.Open, d.Count, d.Longest})
		require.Equal(t, store.TimeOf(start).String(), d.From)
		require.Equal(t, store.TimeOf(start.Add(100*time.Second)).String(), d.To)
		for i, want := range []struct {
			n       int
			seconds float64
			open    bool
		}{{3, 90, true}, {2, 80, true}, {1, 4, false}} {
			require.Equal(t, uuidOf(store.ParseInputID, want.n).String(), d.Inputs[i].InputID)
			require.InDelta(t, want.seconds, d.Inputs[i].Seconds, 1e-9)
			require.Equal(t, want.open, d.Inputs[i].Open)
		}
		require.Len(t, d.Runs, 2)
		require.Equal(t, unknown.String(), d.Runs[0].RunID)
		require.Empty(t, d.Runs[0].Known)
		require.Empty(t, d.Runs[0].Began)
		require.Equal(t, 3, d.Runs[1].Receipts)
		require.Equal(t, store.TimeOf(start).String(), d.Runs[1].Began, "as the id says")
		require.Equal(t, store.TimeOf(start.Add(75*time.Second)).String(), d.Runs[1].Known[2].At)

		body := get(t, inspect.Handler(loop, inspect.Options{}), "/timeline?id=a").Body.String()
		require.Equal(t, []string{
			"accepted 100.0 900.0", "accepted 200.0 10.0", "queued 210.0 790.0",
			"accepted 0.0 10.0", "queued 10.0 10.0", "staged 20.0 10.0", "applied 30.0 10.0",
			"run 0.0 750.0",
		}, rects(body))
		require.Equal(t, 3, strings.Count(body, `class="mark"`))
		for _, part := range []string{
			"<strong>Waits longest:</strong>", "accepted <strong>1 min 30 s</strong> ago", "2 inputs are open", "<strong>waits 1 min 30 s</strong>", ">waits 1 min 20 s<", ">4.0 s<",
			"without times", "not known", ">1 min 15 s<",
		} {
			require.Contains(t, body, part)
		}
		runtime := get(t, inspect.Handler(loop, inspect.Options{}), "/runtime?id=a").Body.String()
		require.Equal(t, rects(body), rects(runtime)[:8])
		require.Equal(t, "/timeline?id=a", linked(t, runtime, "All of the time line"))

		// A part of it is drawn as large as all of it.
		body = get(t, inspect.Handler(loop, inspect.Options{}), linked(t, body, regexp.QuoteMeta(start.UTC().Format("15:04:05")))).Body.String()
		require.Equal(t, []string{
			"accepted 400.0 600.0", "accepted 800.0 40.0", "queued 840.0 160.0", "accepted 0.0 40.0", "queued 40.0 40.0", "staged 80.0 40.0", "applied 120.0 40.0", "run 0.0 1000.0",
		}, rects(body))
		body = get(t, inspect.Handler(loop, inspect.Options{}), linked(t, body, "Later")).Body.String()
		body = get(t, inspect.Handler(loop, inspect.Options{}), linked(t, body, "Later")).Body.String()
		require.Equal(t, []string{"accepted 0.0 1000.0", "queued 0.0 1000.0", "run 0.0 1000.0"}, rects(body), "what ended before is not there")
		require.Equal(t, "/timeline?id=a", linked(t, body, "Everything"))
		later := draw(t, loop, "&from="+url.QueryEscape(store.TimeOf(start.Add(500*time.Second)).String())+"&to="+url.QueryEscape(store.TimeOf(start.Add(600*time.Second)).String()))
		require.Len(t, later.Inputs, 2, "what is open, stays")
		require.Empty(t, later.Runs)
	})
}

// A run whose id says nothing was under way as long as the input with which it began, also
// where no version of the session is kept.
func TestTimelineOfTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t, loopstore.Options{Queue: turn.Queue})
		start := time.Now()
		for n := range 2 {
			_, _, err := turn.Enqueue(t.Context(), loop, "a", turn.Message{Body: json.RawMessage(`"hello"`)})
			require.NoError(t, err)
			time.Sleep(time.Second)
			next, err := turn.Next(t.Context(), loop)
			require.NoError(t, err)
			require.NoError(t, next.Begin(t.Context(), []byte(`{"role":"user"}`+"\n")))
			time.Sleep(8 * time.Second)
			if n == 0 {
				require.NoError(t, next.Finish(t.Context(), []byte(`{"role":"assistant"}`+"\n")))
				time.Sleep(time.Second)
			}
		}
		d := draw(t, loop, "")
		at := func(seconds int) string {
			return store.TimeOf(start.Add(time.Duration(seconds) * time.Second)).String()
		}
		require.Len(t, d.Runs, 2)
		require.Equal(t, []string{at(11), "", at(1), at(9)}, []string{d.Runs[0].Began, d.Runs[0].Ended, d.Runs[1].Began, d.Runs[1].Ended})
		h := inspect.Handler(loop, inspect.Options{})
		body := get(t, h, "/timeline?id=a").Body.String()
		require.Contains(t, body, ">open 8.0 s<")
		require.Contains(t, body, ">8.0 s<")
		require.NotContains(t, body, "not known")
		early := draw(t, loop, "&from="+url.QueryEscape(at(8))+"&to="+url.QueryEscape(at(10)))
		require.Len(t, early.Runs, 1)

		// An input that is in a later run says nothing of an earlier one.
		in := moved(t, 1, start, time.Second, store.InputStaged, store.InputApplied)
		for n := 1; n < 3; n++ {
			_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte("1\n"), Format: store.FormatLines, Append: true}, RunID: store.RunIDOf(fmt.Sprint(n)), Boundary: store.RunStart,
				ContributingInputIDs: []store.InputID{in.InputID}, InputUpdates: []store.InputState{in},
			})
			require.NoError(t, err)
		}
		d = draw(t, loop, "")
		require.Equal(t, []string{at(2), ""}, []string{d.Runs[0].Began, d.Runs[1].Began})
	})
}

// The runs of a range are those that were under way then, however many came later, and it is
// said how many there are.
func TestTimelineHasTheRunsOfItsRange(t *testing.T) {
	loop := past(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 50 {
		ms := start.Add(time.Duration(n) * time.Hour).UnixMilli()
		run, err := store.ParseRunID(fmt.Sprintf("%08x-%04x-7000-8000-%012d", ms>>16, ms&0xffff, n))
		require.NoError(t, err)
		require.NoError(t, loop.AtomicApply(t.Context(), "a", store.BoundaryApply{Receipt: store.RunBoundaryReceipt{RunID: run, Boundary: store.RunCheckpoint}}))
	}
	h := inspect.Handler(loop, inspect.Options{})
	for query, want := range map[string][3]int{ // how many, and the hours of the last and the first that is shown
		"": {50, 49, 30},
		"&from=2026-01-01T00:30:00Z&to=2026-01-01T05:30:00Z": {5, 5, 1},
		"&from=2026-01-01T02:30:00Z&to=2026-01-02T01:30:00Z": {23, 25, 6},
	} {
		d := draw(t, loop, query)
		require.Equal(t, want[0], d.RunsCount, query)
		require.Len(t, d.Runs, min(want[0], 20), query)
		require.Equal(t, store.TimeOf(start.Add(time.Duration(want[1])*time.Hour)).String(), d.Runs[0].Began, query)
		require.Equal(t, store.TimeOf(start.Add(time.Duration(want[2])*time.Hour)).String(), d.Runs[len(d.Runs)-1].Began, query)
		body := get(t, h, "/timeline?id=a"+query).Body.String()
		require.Equal(t, want[0] > 20, strings.Contains(body, fmt.Sprintf("These are the last 20 of %d", want[0])), query)
	}
}

// What a history does not say is not drawn as if it did, and of a long one the last states
// are.
func TestTimelineOfShortAndLongHistories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := loopstore.New(loopstore.Options{})
		defer loop.Close()
		start := time.Now()
		time.Sleep(100 * time.Second)
		claimed := store.InputState{InputID: uuidOf(store.ParseInputID, 1), CurrentState: store.InputStaged, CreatedAt: store.TimeOf(start), UpdatedAt: store.TimeOf(start.Add(60 * time.Second))}
		ended := store.InputState{InputID: uuidOf(store.ParseInputID, 2), CurrentState: store.InputAbandoned, CreatedAt: store.TimeOf(start.Add(10 * time.Second)), UpdatedAt: store.TimeOf(start.Add(20 * time.Second))}
		often := moved(t, 3, start, 0)
		for n := range 20 {
			require.NoError(t, often.Move([]store.InputLifecycleState{store.InputQueued, store.InputStaged}[n%2], store.TimeOf(start.Add(time.Duration(n+1)*time.Second)), ""))
		}
		for _, in := range []store.InputState{claimed, ended, often} {
			require.NoError(t, loop.PersistInputState(t.Context(), "a", in))
		}
		body := get(t, inspect.Handler(loop, inspect.Options{}), "/timeline?id=a").Body.String()
		require.Equal(t, []string{
			"unknown 0.0 600.0", "staged 600.0 400.0",
			"unknown 0.0 120.0", "staged 120.0 10.0", "queued 130.0 10.0", "staged 140.0 10.0", "queued 150.0 10.0", "staged 160.0 10.0", "queued 170.0 10.0", "staged 180.0 10.0", "queued 190.0 10.0", "staged 200.0 800.0",
			"unknown 100.0 100.0",
		}, rects(body))
		require.Contains(t, body, "<strong>Open longest:</strong>")
		require.Contains(t, body, "staged for 40.0 s.")
	})
}

// Times that no clock has shown are drawn somewhere, and break nothing.
func TestTimelineOfStrangeTimes(t *testing.T) {
	loop := past(t)
	var first, last store.Time
	require.NoError(t, first.UnmarshalText([]byte("-262143-01-01T00:00:00Z")))
	require.NoError(t, last.UnmarshalText([]byte("+262142-12-31T23:59:59Z")))
	for n, in := range []store.InputState{
		{CreatedAt: first, UpdatedAt: last}, {CreatedAt: last, UpdatedAt: first}, {}, {CreatedAt: first, UpdatedAt: first, CurrentState: store.InputConsumed},
		{History: []store.HistoryEntry{{Timestamp: last, From: store.InputAccepted, To: store.InputQueued}, {Timestamp: first, From: store.InputQueued, To: store.InputStaged}}, CurrentState: store.InputStaged},
	} {
		in.InputID = uuidOf(store.ParseInputID, n)
		if in.CurrentState == "" {
			in.CurrentState = store.InputAccepted
		}
		require.NoError(t, loop.PersistInputState(t.Context(), "a", in))
	}
	h := inspect.Handler(loop, inspect.Options{})
	require.Equal(t, 5, strings.Count(get(t, h, "/timeline?id=a").Body.String(), `scope="row"`))
	for target := "/timeline?id=a"; ; {
		body := get(t, h, target).Body.String()
		for _, r := range rects(body) {
			parts := strings.Fields(r)
			place, _ := strconv.ParseFloat(parts[1], 64)
			wide, _ := strconv.ParseFloat(parts[2], 64)
			require.True(t, place >= 0 && wide >= 0 && place+wide <= 1000.1, r)
		}
		require.NotContains(t, body, "NaN")
		if !strings.Contains(body, ">Zoom in</a>") {
			break
		}
		target = linked(t, body, "Zoom in")
	}
	require.Equal(t, 200, get(t, h, linked(t, get(t, h, "/timeline?id=a&from=-262143-01-01T00:00:00Z&to=-262143-01-01T00:00:10Z").Body.String(), "Later")).Code)
}

// However near to the first or the last time that there is, every link leads to a range.
func TestTimelineLinksOfStrangeTimes(t *testing.T) {
	var times []store.Time
	for _, text := range []string{"-262143-01-01T00:00:00Z", "-262143-01-01T00:00:00.001Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "+262142-12-31T23:59:59.99Z", "+262142-12-31T23:59:59.999999999Z"} {
		var at store.Time
		require.NoError(t, at.UnmarshalText([]byte(text)))
		times = append(times, at)
	}
	loop := past(t)
	h := inspect.Handler(loop, inspect.Options{})
	follow := func(target string) {
		t.Helper()
		for _, found := range regexp.MustCompile(`href="(timeline\?[^"]*)"`).FindAllStringSubmatch(get(t, h, target).Body.String(), -1) {
			require.Equal(t, 200, get(t, h, "/"+html.UnescapeString(found[1])).Code, "%s leads to %s", target, found[1])
		}
	}
	for n, at := range times {
		id := fmt.Sprint("at", n)
		require.NoError(t, loop.PersistInputState(t.Context(), store.RuntimeID(id), store.InputState{
			InputID: uuidOf(store.ParseInputID, 1), CurrentState: store.InputConsumed, CreatedAt: at, UpdatedAt: at, TerminalOutcome: &store.TerminalOutcome{Type: store.OutcomeConsumed},
		}))
		follow("/timeline?id=" + id)
		for _, to := range times[n+1:] {
			follow("/timeline?id=" + id + "&from=" + url.QueryEscape(at.String()) + "&to=" + url.QueryEscape(to.String()))
		}
	}
}

// Of 100,000 inputs a page has those that are open, and then those that ended last.
func TestTimelineIsBounded(t *testing.T) {
	loop := past(t)
	const many = 100_000
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < many; from += 1000 {
		var b batch.Batch
		for n := from; n < from+1000; n++ {
			states := []store.InputLifecycleState{store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed}
			if n%400 == 7 {
				states = states[:1]
			}
			in := moved(t, n, start.Add(time.Duration(n)*time.Second), time.Second, states...)
			in.PersistedInput = []byte(`"payload"`)
			b.Then = append(b.Then, batch.PutInputState{RuntimeID: "a", State: in})
		}
		_, err := loop.Commit(t.Context(), b)
		require.NoError(t, err)
	}
	began := time.Now()
	d := draw(t, loop, "")
	t.Logf("JSON: %v", time.Since(began))
	require.Equal(t, []any{250, many, uuidOf(store.ParseInputID, 7).String()}, []any{d.Open, d.Count, d.Longest})
	require.Equal(t, uuidOf(store.ParseInputID, 407).String(), d.Inputs[1].InputID)
	h := inspect.Handler(loop, inspect.Options{})
	began = time.Now()
	body := get(t, h, "/timeline?id=a").Body.String()
	t.Logf("page: %v, %d bytes", time.Since(began), len(body))
	require.Less(t, len(body), most)
	require.Equal(t, 160, strings.Count(body, `<th scope="row"`))
	require.Contains(t, body, "1 to 160 of 100,000")
	body = get(t, h, linked(t, body, "Next")).Body.String()
	require.Contains(t, body, "161 to 320 of 100,000")
	require.Contains(t, body, uuidOf(store.ParseInputID, many-1).String(), "after those that are open comes what ended last")
	require.Contains(t, get(t, h, linked(t, body, "Previous")).Body.String(), "1 to 160 of")
	require.Contains(t, get(t, h, fmt.Sprint("/timeline?id=a&skip=", math.MaxInt32)).Body.String(), "100,000 to 100,000 of 100,000")

	hour := draw(t, loop, "&from=2026-01-01T05:00:00Z&to=2026-01-01T06:00:00Z")
	want := 0
	for n := range many {
		if waits := n%400 == 7; n <= 6*3600 && (waits || n+4 >= 5*3600) {
			want++
		}
	}
	require.Equal(t, want, hour.Count)
	began = time.Now()
	require.Less(t, get(t, h, "/runtime?id=a").Body.Len(), most)
	t.Logf("runtime: %v", time.Since(began))
}
