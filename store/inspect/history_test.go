package inspect_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// A gauged source has the statistics that a test says, and counts how often it is asked.
type gauged struct {
	inspect.Source
	mu    sync.Mutex
	stats loopstore.Stats
	asked int
}

func (g *gauged) Stats() loopstore.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.stats
}

func (g *gauged) times() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

func (g *gauged) set(change func(*loopstore.Stats)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.stats)
}

// curves returns the paths of a chart on the page of statistics, by its title.
func curves(t *testing.T, body, title string) (paths []string) {
	t.Helper()
	_, chart, ok := strings.Cut(body, `<span class="measure">`+title)
	require.True(t, ok, "there is no chart %q", title)
	chart, _, _ = strings.Cut(chart, "</svg>")
	for _, match := range regexp.MustCompile(`class="curve" d="([^"]*)"`).FindAllStringSubmatch(chart, -1) {
		paths = append(paths, match[1])
	}
	return paths
}

func stats(t *testing.T, source inspect.Source, history *inspect.History) string {
	return get(t, inspect.Handler(source, inspect.Options{History: history}), "/stats").Body.String()
}

// What is drawn is what was: a point for each sample, at its second and its share of
// the axis. Rates come from two samples. Where there are none there is a gap, and after
// a new start of the loop too.
func TestChartsShowSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, history := &gauged{}, new(inspect.History)
		ctx, stop := context.WithCancel(t.Context())
		var recorder sync.WaitGroup
		recorder.Go(func() { history.Record(ctx, g) })
		synctest.Wait()
		step := func(saturation float64, done, failed uint64) {
			g.set(func(s *loopstore.Stats) {
				s.Uptime += 5 * time.Second
				s.Serving, s.Saturation, s.WaitP50, s.WaitP99, s.InboxSize = true, saturation, time.Microsecond, 4*time.Microsecond, 8
				s.Operations = map[ops.Kind]loopstore.Operations{ops.KindCommit: {Done: done, Errors: failed}}
				s.Journal = &loopstore.JournalStats{Appends: done / 10, Took: time.Duration(done/10) * 3 * time.Millisecond}
			})
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		step(0.25, 100, 0)
		step(0.5, 200, 0)
		step(0.75, 450, 3)
		body := stats(t, g, history)
		require.Equal(t, []string{"M585 100L590 75L595 50L600 25"}, curves(t, body, "Saturation"))
		require.Equal(t, []string{"M590 20L595 20L600 20", "M590 80L595 80L600 80"}, curves(t, body, "Wait for the owner"), "0 means that nothing was measured")
		require.Equal(t, []string{"M590 60L595 60L600 0"}, curves(t, body, "Calls a second"), "20, 20 and 50 a second")
		require.Equal(t, []string{"M590 100L595 100L600 40", "M590 100L595 100L600 100"}, curves(t, body, "Failures a second"), "0.6 of 1 a second")
		require.Equal(t, []string{"M590 40L595 40L600 40"}, curves(t, body, "Time of an append"), "3 ms of 5")
		require.Contains(t, body, "3 calls failed in the last 15s")
		require.Contains(t, body, `aria-label="Calls a second in the last ten minutes: now 50, from 20 to 50."`)
		require.Regexp(t, `<th scope="row">1 to 0</th><td class="number">20</td><td class="number">50</td>`, body)
		require.Contains(t, body, "<th scope=\"row\">10 to 9</th><td class=\"number\">–</td>")

		stop()
		recorder.Wait()
		time.Sleep(time.Minute)
		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		recorder.Go(func() { history.Record(ctx, g) })
		synctest.Wait()
		g.set(func(s *loopstore.Stats) { s.Uptime = 0 }) // it starts again
		step(0.5, 5, 1)
		step(0.5, 55, 1)
		body = stats(t, g, history)
		require.Equal(t, []string{"M515 100L520 75L525 50L530 25M590 25h0M595 50L600 50"}, curves(t, body, "Saturation"), "nothing was known for a minute, and a new loop is no continuation")
		require.Equal(t, []string{"M520 60L525 60L530 0M600 80h0"}, curves(t, body, "Calls a second"))
		require.Contains(t, body, "4 calls failed in the last 1m25s", "those of both loops")

		time.Sleep(10*time.Minute - 30*time.Second)
		require.NotContains(t, stats(t, g, history), "3 calls failed", "that is over")
		stop()
		recorder.Wait()
	})
}

// However many record, load the page or look at it live, there is one sample in five
// seconds, and of ten minutes at most.
func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, history := &gauged{}, new(inspect.History)
		ctx, stop := context.WithCancel(t.Context())
		var recorders sync.WaitGroup
		for i := range 10 {
			time.Sleep(time.Duration(i) * 100 * time.Millisecond)
			recorders.Go(func() { history.Record(ctx, g) })
		}
		synctest.Wait()
		start := g.times()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, int(time.Hour/(5*time.Second)), g.times()-start)
		stop()
		recorders.Wait()
		require.Equal(t, 122, history.Len())

		_, page := getJSON(t, inspect.Handler(g, inspect.Options{History: history}), "/stats")
		require.Len(t, page["samples"], 120)
		for range 100 {
			time.Sleep(time.Second)
			stats(t, g, history)
		}
		_, page = getJSON(t, inspect.Handler(g, inspect.Options{History: history}), "/stats")
		require.LessOrEqual(t, len(page["samples"].([]any)), 121)
		at := func(i int) time.Time {
			at, err := time.Parse(time.RFC3339, page["samples"].([]any)[i].(map[string]any)["at"].(string))
			require.NoError(t, err)
			return at
		}
		require.GreaterOrEqual(t, at(119).Sub(at(0)), 10*time.Minute-5*time.Second)
	})
}

// Whoever looks at the live page fills the history: one sample an interval for all of
// them, and an event to each. When they go nothing is left.
func TestLiveStatsTakeSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauged{}
		h := inspect.Handler(g, inspect.Options{})
		require.Contains(t, get(t, h, "/stats").Body.String(), `data-events="stats/events"`)
		clients := make([]*client, 100)
		for i := range clients {
			clients[i] = follow(t, h, "/stats/events")
			require.Equal(t, "retry: 2000\nevent: begin\ndata\n\n", clients[i].took())
		}
		asked := g.times()
		for range 10 {
			time.Sleep(5 * time.Second)
			for _, c := range clients {
				require.Regexp(t, `^event: version\nid: (\d+)\ndata: \d+\n\n$`, c.took())
			}
		}
		require.Equal(t, 10, g.times()-asked)
		for _, c := range clients {
			c.leave()
			c.gone.Wait()
		}
		time.Sleep(time.Hour)
		require.Equal(t, 10, g.times()-asked)
	})
}

// A page that is loaded just before a sample is due takes its place: a rate between two
// moments that are hardly apart would be of chance.
func TestSamplesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, history := &gauged{}, new(inspect.History)
		stats(t, g, history)
		time.Sleep(9900 * time.Millisecond)
		stats(t, g, history)
		require.Equal(t, 2, history.Len())
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		history.Record(ctx, g) // until 14.9 s
		require.Equal(t, 2, history.Len(), "none at 10 s")
		ctx, stop = context.WithTimeout(t.Context(), time.Second)
		defer stop()
		history.Record(ctx, g)
		require.Equal(t, 3, history.Len())
	})
}

// Recording asks nothing of the owner.
func TestHistoryAsksNothingOfTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop, history := storetest.New(t), new(inspect.History)
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		history.Record(ctx, loop)
		body := stats(t, loop, history)
		for kind, n := range loop.Stats().Operations {
			require.Zero(t, n, kind)
		}
		require.Contains(t, body, "The store itself is well. The owner was idle 100.0 % of the last ten seconds, and no call waits for it. No call has failed in the last 10m0s.")
	})
}

// What is wrong is said first, and where.
func TestStatsSayWhatIsWrong(t *testing.T) {
	for want, change := range map[string]func(s *loopstore.Stats){
		"serves nothing any more":                                func(s *loopstore.Stats) { s.Serving = false },
		"The owner was busy 95.0 % of the last ten seconds":      func(s *loopstore.Stats) { s.Saturation = 0.95 },
		"The inbox is full: 8 operations wait":                   func(s *loopstore.Stats) { s.InboxLength = 8 },
		"1 caller waits for room":                                func(s *loopstore.Stats) { s.Waiting = 1 },
		"One call in a hundred waited up to 200ms":               func(s *loopstore.Stats) { s.WaitP99 = 200 * time.Millisecond },
		"A call of load image kept the owner for 2s":             func(s *loopstore.Stats) { s.Slowest = &loopstore.Slow{Kind: ops.KindLoadImage, Took: 2 * time.Second} },
		"The store holds 950 B of the 1.00 kB that it may":       func(s *loopstore.Stats) { s.Limits.TotalBytes, s.Held.InputBytes = 1000, 950 },
		"The journal refused 7 appends in the last 5s":           func(s *loopstore.Stats) { s.Journal = &loopstore.JournalStats{Rejected: 7} },
		"9 calls failed in the last 5s, conflicts not counted":   func(s *loopstore.Stats) { s.Operations = map[ops.Kind]loopstore.Operations{1: {Errors: 9}} },
		"No call has failed in the last 5s, but for 2 conflicts": func(s *loopstore.Stats) { s.Operations = map[ops.Kind]loopstore.Operations{1: {Conflicts: 2}} },
	} {
		synctest.Test(t, func(t *testing.T) {
			g, history := &gauged{stats: loopstore.Stats{Serving: true, InboxSize: 8}}, new(inspect.History)
			require.Contains(t, stats(t, g, history), "The store itself is well.")
			time.Sleep(5 * time.Second)
			g.set(change)
			body := stats(t, g, history)
			require.Contains(t, body, want)
			require.Equal(t, strings.Contains(want, "No call has failed"), strings.Contains(body, "The store itself is well."))
		})
	}
}

// The page with everything in it is small, and is made fast.
func TestStatsPageIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, history := &gauged{}, new(inspect.History)
		for i := range 121 {
			g.set(func(s *loopstore.Stats) {
				n := uint64(i*i) * 123_457
				s.Serving, s.Uptime, s.Saturation = true, time.Duration(i)*5*time.Second, float64(i%97)/97
				s.WaitP50, s.WaitP99, s.Held.InputBytes = time.Duration(n+1), time.Duration(2*n+1), int64(n)
				s.Journal = &loopstore.JournalStats{Appends: n, Rejected: n / 3, Took: time.Duration(n * n % 1e9)}
				s.Operations = map[ops.Kind]loopstore.Operations{}
				for kind := range ops.NumKinds {
					s.Operations[kind] = loopstore.Operations{Done: n * uint64(kind+1), Errors: n, Conflicts: n}
				}
			})
			stats(t, g, history)
			time.Sleep(5*time.Second + time.Millisecond)
		}
		body := stats(t, g, history)
		w := get(t, inspect.Handler(g, inspect.Options{History: history}), "/stats.json")
		t.Logf("a page of %d bytes, JSON of %d", len(body), w.Body.Len())
		require.Less(t, len(body), 300_000)
		require.Less(t, w.Body.Len(), 300_000)
	})
}

func BenchmarkStatsPage(b *testing.B) {
	loop := storetest.New(b)
	require.NoError(b, loop.PersistRuntimeState(b.Context(), store.RuntimeID("a"), store.RuntimeIdle))
	h := inspect.Handler(loop, inspect.Options{})
	for b.Loop() {
		if w := get(b, h, "/stats"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
