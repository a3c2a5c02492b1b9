package inspect

import (
	"fmt"
	"math"
	"time"

	"github.com/loopstore/loopstore/store"
)

// What is done with times. Those that a store holds may be hundreds of thousands of years
// apart, which no time.Duration spans: between ends at its limit.

func compare(a, b store.Time) int { return a.Time().Compare(b.Time()) }

func before(a, b store.Time) bool { return compare(a, b) < 0 }

func seconds(a, b store.Time) float64 {
	return float64(b.Time().Unix()-a.Time().Unix()) + float64(b.Time().Nanosecond()-a.Time().Nanosecond())/1e9
}

// between returns how much later b is than a, 0 if it is not.
func between(a, b store.Time) time.Duration { return max(b.Time().Sub(a.Time()), 0) }

func later(t store.Time, d time.Duration) store.Time { return store.TimeOf(t.Time().Add(d)) }

// along returns the time that stands at a share of what is between two.
func along(a, b store.Time, of float64) store.Time {
	if of == 1 { // a float64 may be too coarse to tell
		return b
	}
	s := seconds(a, b) * of
	whole, rest := math.Modf(s)
	return store.TimeOf(time.Unix(a.Time().Unix()+int64(whole), int64(a.Time().Nanosecond())+int64(rest*1e9)))
}

// long writes a duration as people say it, in two units at most.
func long(d time.Duration) string {
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, u := range units[:3] {
		if d < u.of {
			continue
		}
		text := fmt.Sprintf("%s %s", grouped(int64(d/u.of)), u.name)
		if rest := d % u.of / units[i+1].of; rest > 0 && d < 100*u.of {
			text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
		}
		return text
	}
	if d < time.Millisecond {
		return "0 ms"
	}
	if d < time.Second {
		return brief(d.Truncate(time.Millisecond))
	}
	return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
}

// A zoom leads to another range of a time line.
type zoom struct {
	Text  string
	Label string // for who does not see where it stands
	Link  string
}

func (t *timeline) link(from, to store.Time) string {
	return link("timeline", "id", t.RuntimeID(), "from", from, "to", to)
}

// Zooms returns the ranges beside this one.
func (t *timeline) Zooms() (all []zoom) {
	add := func(text, label string, from, to float64) {
		a, b := along(t.From, t.To, from), along(t.From, t.To, to)
		if a.Validate() == nil && b.Validate() == nil && seconds(a, b) >= 0.001 {
			all = append(all, zoom{text, label, t.link(a, b)})
		}
	}
	if !t.Whole {
		all = append(all, zoom{"Everything", "Show everything", link("timeline", "id", t.RuntimeID())})
		add("Earlier", "Show what is before this", -0.5, 0.5)
		add("Later", "Show what is after this", 0.5, 1.5)
		add("Zoom out", "Show twice as much", -0.5, 1.5)
	}
	add("Zoom in", "Show the half in the middle", 0.25, 0.75)
	for _, last := range []struct {
		text string
		of   time.Duration
	}{{"Last day", 24 * time.Hour}, {"Last hour", time.Hour}, {"Last minute", time.Minute}} {
		all = append(all, zoom{last.text, last.text, t.link(later(t.Now, -last.of), t.Now)})
	}
	return all
}

// Axis returns the parts of the range, which lead to themselves.
func (t *timeline) Axis() (all []zoom) {
	for n := range axisSlices {
		i := float64(n)
		from, to := along(t.From, t.To, i/axisSlices), along(t.From, t.To, (i+1)/axisSlices)
		one := zoom{Text: t.tick(from), Label: "Zoom in: " + clock(from) + " to " + clock(to)}
		if seconds(from, to) >= 0.001 {
			one.Link = t.link(from, to)
		}
		all = append(all, one)
	}
	return all
}

// tick writes a time as exactly as the range needs it.
func (t *timeline) tick(when store.Time) string {
	at, wide := when.Time(), seconds(t.From, t.To)
	switch {
	case wide > 4*365*24*3600:
		return at.Format("2006")
	case wide > 300*24*3600:
		return at.Format("Jan 2006")
	case wide > 3*24*3600:
		return at.Format("Jan 2")
	case wide > 24*3600:
		return at.Format("Mon 15:04")
	case wide > 10*60:
		return at.Format("15:04")
	case wide > 8:
		return at.Format("15:04:05")
	}
	return at.Format("05.000 s")
}

// Next returns the address of the inputs after these, empty if there are none.
func (t *timeline) Next() string { return t.leaf(t.Skipped + len(t.Inputs)) }

// Previous returns that of those before them.
func (t *timeline) Previous() string {
	if t.Skipped == 0 {
		return ""
	}
	return t.leaf(max(t.Skipped-manyLanes, 0))
}

func (t *timeline) leaf(skip int) string {
	switch {
	case skip >= t.Count:
		return ""
	case t.Whole:
		return link("timeline", "id", t.RuntimeID(), "skip", skip)
	}
	return link("timeline", "id", t.RuntimeID(), "from", t.From, "to", t.To, "skip", skip)
}

func (t *timeline) JSON() any {
	type mark struct {
		Sequence uint64     `json:"sequence"`
		At       store.Time `json:"at"`
	}
	type run struct {
		RunID    store.RunID `json:"run_id"`
		Receipts int         `json:"receipts"`
		Began    store.Time  `json:"began,omitzero"` // as its id says, or its first input
		Ended    store.Time  `json:"ended,omitzero"` // as its first input says
		Known    []mark      `json:"receipts_at"`    // those whose times are known, to the second
	}
	type input struct {
		InputID      store.InputID             `json:"input_id"`
		CurrentState store.InputLifecycleState `json:"current_state"`
		Open         bool                      `json:"open"`
		CreatedAt    store.Time                `json:"created_at"`
		UpdatedAt    store.Time                `json:"updated_at"`
		Took         float64                   `json:"seconds"` // until now if it is open
		History      []store.HistoryEntry      `json:"history"`
	}
	shown := struct {
		ofOne
		Now     store.Time     `json:"now"`
		From    store.Time     `json:"from"`
		To      store.Time     `json:"to"`
		Open    int            `json:"open"`          // inputs in no terminal state
		Longest *store.InputID `json:"waits_longest"` // of them, null if there is none
		Count   int            `json:"count"`         // of the inputs in the range
		Skipped int            `json:"skipped"`
		Inputs  []input        `json:"inputs"`
		Runs    []run          `json:"runs"`       // the last ones in the range
		RunsIn  int            `json:"runs_count"` // of those in the range
	}{ofOne: ofView(t.View), Now: t.Now, From: t.From, To: t.To, Open: t.Open, Count: t.Count, Skipped: t.Skipped, Inputs: []input{}, Runs: []run{}, RunsIn: t.RunCount}
	if t.Longest != nil {
		shown.Longest = &t.Longest.Input.InputID
	}
	for _, in := range t.Inputs {
		s, from := in.Input, max(0, len(in.Input.History)-manyStretch)
		shown.Inputs = append(shown.Inputs, input{s.InputID, s.CurrentState, in.Open(), s.CreatedAt, s.UpdatedAt, in.Took.Seconds(), withoutReasons(s.History[from:])})
	}
	for _, r := range t.Runs {
		one := run{r.RunID, r.Receipts, r.Began, r.Ended, []mark{}}
		for _, m := range r.Marks {
			one.Known = append(one.Known, mark{m.Sequence, m.Time})
		}
		shown.Runs = append(shown.Runs, one)
	}
	return shown
}

// withoutReasons leaves out what may be long.
func withoutReasons(history []store.HistoryEntry) []store.HistoryEntry {
	all := make([]store.HistoryEntry, len(history))
	for i, h := range history {
		all[i] = store.HistoryEntry{Timestamp: h.Timestamp, From: h.From, To: h.To}
	}
	return all
}
