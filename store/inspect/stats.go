package inspect

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
)

// What is called wrong.
const (
	high    = 0.9                    // a saturation, or a share of a limit
	slow    = time.Second            // of an operation
	waiting = 100 * time.Millisecond // that one call in a hundred waits for the owner
)

// A board is the statistics.
type board struct {
	loopstore.Stats
	verdict

	Charts   []chart
	Called   []called
	Recorded bool // by a goroutine, and not only while somebody looks

	samples []sample
}

// A called operation is one with calls.
type called struct {
	Kind ops.Kind
	loopstore.Operations
	Spark chart
}

// A verdict says in words how things are.
type verdict struct {
	Well     string   `json:"well,omitempty"`     // if all is
	Problems []string `json:"problems,omitempty"` // if not
}

func (v *verdict) wrong(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (h *handler) stats() (page, error) {
	if h.running == nil {
		return page{}, &problem{http.StatusNotFound, "No statistics", "They are of a store that is running, and this one is not."}
	}
	h.history.take(h.running)
	now, b := time.Now(), &board{Stats: h.running.Stats()}
	b.samples, b.Recorded = h.history.recent(now)
	b.judge()
	for _, m := range b.measures() {
		b.Charts = append(b.Charts, chartOf(m, b.samples, now))
	}
	for _, kind := range slices.Sorted(maps.Keys(b.Operations)) {
		if b.Operations[kind] == (loopstore.Operations{}) {
			continue
		}
		rate := growth(func(s *sample) uint64 { return s.Done[kind] })
		spark := chartOf(measure{Title: "Calls a second", text: counted, lines: []lineOf{{"", rate}}}, b.samples, now)
		b.Called = append(b.Called, called{kind, b.Operations[kind], spark})
	}
	return page{Template: "stats", Title: "Statistics", Events: "stats/events", Body: b}, nil
}

// statsEvents sends an event when there is a new sample, and takes those that nobody else does.
func (h *handler) statsEvents(w http.ResponseWriter, r *http.Request) error {
	h.history.take(h.running)
	return h.stream(w, r, func(ctx context.Context) (string, error) {
		if err := h.history.wait(ctx, h.running); err != nil {
			return "", err
		}
		return strconv.FormatInt(time.Now().UnixMilli(), 10), nil
	})
}

func (b *board) JSON() any {
	return struct {
		loopstore.Stats
		verdict
		Samples []sample `json:"samples"` // of the last ten minutes, the oldest first
	}{b.Stats, b.verdict, b.samples}
}

// judge says whether all is well.
func (b *board) judge() {
	failed, conflicts, rejected, span := b.lately()
	held := float64(b.Held.Bytes())
	switch {
	case !b.Serving:
		b.wrong("The store serves nothing any more: it was closed, or has failed.")
	case b.Saturation >= high:
		b.wrong("The owner was busy %s of the last ten seconds: it can hardly do more.", percent(b.Saturation))
	}
	if b.InboxSize > 0 && b.InboxLength >= b.InboxSize {
		b.wrong("The inbox is full: %s operations wait for the owner.", grouped(b.InboxLength))
	}
	if b.Waiting > 0 {
		b.wrong("%s for room in the inbox, or in flight.", plural(b.Waiting, "caller waits", "callers wait"))
	}
	if b.WaitP99 >= waiting {
		b.wrong("One call in a hundred waited up to %s for the owner.", brief(b.WaitP99))
	}
	if b.Slowest != nil && b.Slowest.Took >= slow {
		b.wrong("A call of %s kept the owner for %s.", words(b.Slowest.Kind), brief(b.Slowest.Took))
	}
	if most := b.Limits.TotalBytes; most > 0 && held >= high*float64(most) {
		b.wrong("The store holds %s of the %s that it may.", size(b.Held.Bytes()), size(most))
	}
	if rejected > 0 {
		b.wrong("The journal refused %s in the last %s.", plural(rejected, "append", "appends"), brief(span))
	}
	if failed > 0 {
		b.wrong("%s in the last %s, conflicts not counted.", plural(failed, "call failed", "calls failed"), brief(span))
	}
	if len(b.Problems) > 0 {
		return
	}
	b.Well = fmt.Sprintf("The store itself is well. The owner was idle %s of the last ten seconds, and no call waits for it.", percent(1-b.Saturation))
	if span > 0 {
		b.Well += fmt.Sprintf(" No call has failed in the last %s", brief(span))
		if conflicts > 0 {
			b.Well += fmt.Sprintf(", but for %s", plural(conflicts, "conflict", "conflicts"))
		}
		b.Well += "."
	}
}

// lately returns by how much the counts of what failed have grown within the window,
// and how long that has been seen.
func (b *board) lately() (failed, conflicts, rejected uint64, seen time.Duration) {
	for i := range b.samples {
		if i == 0 {
			continue
		}
		before, s := &b.samples[i-1], &b.samples[i]
		if s.Uptime < before.Uptime {
			before = new(sample) // it is another loop, which has begun at 0
		}
		failed += s.Errors - min(s.Errors, before.Errors)
		conflicts += s.Conflicts - min(s.Conflicts, before.Conflicts)
		rejected += s.Rejected - min(s.Rejected, before.Rejected)
		seen = s.At.Sub(b.samples[0].At).Round(time.Second)
	}
	return failed, conflicts, rejected, seen
}

// measures are what the charts show.
func (b *board) measures() []measure {
	failed, _, rejected, _ := b.lately()
	all := []measure{
		{"saturation", "Saturation", "the share of the time that the owner was busy", b.Saturation >= high, hundredths, 1,
			[]lineOf{{"", gauge(func(s *sample) float64 { return s.Saturation })}}},
		{"wait", "Wait for the owner", "what half and 99 % of the calls waited at most", b.WaitP99 >= waiting, lasting, 0, []lineOf{
			{"99 %", measured(func(s *sample) time.Duration { return s.WaitP99 })},
			{"half", measured(func(s *sample) time.Duration { return s.WaitP50 })},
		}},
		{"calls", "Calls a second", "of all kinds that were done", false, counted, 0,
			[]lineOf{{"", growth((*sample).calls)}}},
		{"failures", "Failures a second", "calls that returned an error, and conflicts", failed > 0, counted, 0, []lineOf{
			{"errors", growth(func(s *sample) uint64 { return s.Errors })},
			{"conflicts", growth(func(s *sample) uint64 { return s.Conflicts })},
		}},
		{"inbox", "In the inbox", fmt.Sprintf("it has room for %s", grouped(b.InboxSize)), b.Waiting > 0 || b.InboxSize > 0 && b.InboxLength >= b.InboxSize, counted, 0, []lineOf{
			{"in it", gauge(func(s *sample) float64 { return float64(s.InboxLength) })},
			{"before it", gauge(func(s *sample) float64 { return float64(s.Waiting) })},
		}},
		{"held", "Held", "bytes of all that is stored", b.Limits.TotalBytes > 0 && float64(b.Held.Bytes()) >= high*float64(b.Limits.TotalBytes), sized, 0,
			[]lineOf{{"", gauge(func(s *sample) float64 { return float64(s.HeldBytes) })}}},
	}
	if b.Journal != nil {
		all = append(all,
			measure{"appends", "Appends a second", "batches that the journal stored, or refused", rejected > 0, counted, 0, []lineOf{
				{"stored", growth(func(s *sample) uint64 { return s.Appends })},
				{"refused", growth(func(s *sample) uint64 { return s.Rejected })},
			}},
			measure{"append", "Time of an append", "the mean", false, lasting, 0, []lineOf{{"", perAppend}}})
	}
	return all
}

// plural writes a number, and the one or the many of it.
func plural[N int | uint64 | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return grouped(n) + " " + many
}
