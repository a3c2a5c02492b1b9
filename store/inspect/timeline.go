package inspect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/url"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	manyLanes   = 160 // inputs on a page of the time line
	fewLanes    = 6   // on the page of a runtime
	manyStretch = 8   // of an input: the states that it was in last
	manyRuns    = 20
	manyMarks   = 30 // receipts of a run
	axisSlices  = 4
	width       = 1000 // of the drawing
)

// A timeline is when the inputs and runs of a runtime were under way.
type timeline struct {
	*state.View

	Small    bool // it is a part of the page of a runtime
	Now      store.Time
	From, To store.Time // what is shown
	Whole    bool       // nobody asked for a part
	Open     int        // inputs that are in no terminal state
	Longest  *lane      // the one of them that was accepted first
	Count    int        // of the inputs in the range
	Skipped  int        // of them, before those that are listed
	Inputs   []lane
	Runs     []runLane // the last ones in the range
	RunCount int       // of those in the range
}

// A lane is an input's line.
type lane struct {
	Input     store.InputState
	Stretches []stretch
	Took      time.Duration // until now if it is open
	In        time.Duration // the state that it is in, if it is open and that is known
	Longest   bool
}

// A stretch is the time that an input was in a state. State is empty if that is not known.
type stretch struct {
	State    store.InputLifecycleState
	At, Wide float64
}

// A runLane is a run's line. Its receipts have no times of their own: Marks has those whose
// versions of the session have one. Its first input may say when the run began and ended.
type runLane struct {
	RunID    store.RunID
	Receipts int
	Began    store.Time // as its id says, or that input, zero if neither does
	Ended    store.Time // as that input says: zero if it does not, or is open
	Open     bool       // that input is
	Marks    []mark
	At, Wide float64
	Took     time.Duration // from the first time that is known to the last
}

// A mark is a receipt whose time is known, to the second.
type mark struct {
	Sequence uint64
	Time     store.Time
	At       float64
	Since    time.Duration // the one before it, or the beginning
}

func (in *lane) Open() bool { return !in.Input.CurrentState.IsTerminal() }

// Waits reports whether nobody has taken the input yet.
func (in *lane) Waits() bool {
	return in.Input.CurrentState == store.InputAccepted || in.Input.CurrentState == store.InputQueued
}

// States returns the states that the lines show.
func (t *timeline) States() (all []store.InputLifecycleState) {
	met := make(map[store.InputLifecycleState]bool)
	for _, in := range t.Inputs {
		for _, s := range in.Stretches {
			met[s.State] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(lifecycle), func(s store.InputLifecycleState) bool { return !met[s] })
}

// times is the page of the time line.
func (h *handler) times(view *state.View, query url.Values) (body, error) {
	var from, to store.Time
	for name, t := range map[string]*store.Time{"from": &from, "to": &to} {
		if text := query.Get(name); text != "" && t.UnmarshalText([]byte(text)) != nil {
			return nil, unreadable(name)
		}
	}
	skip, err := countOf(query, "skip")
	if err != nil {
		return nil, err
	}
	t := &timeline{View: view, From: from, To: to, Skipped: skip, Whole: query.Get("from") == "" && query.Get("to") == ""}
	if !t.Whole && !before(from, to) {
		return nil, unreadable("to")
	}
	t.draw(manyLanes)
	return t, nil
}

// draw looks for what is in the range, or sets the range to what there is.
func (t *timeline) draw(most int) {
	t.Now = store.TimeOf(time.Now())
	spans := t.spans(t.Skipped + most)
	t.Skipped = min(t.Skipped, max(len(spans)-1, 0))
	spans = spans[t.Skipped:]
	t.drawRuns()
	if t.Whole {
		t.fit(spans)
	}
	for _, span := range spans {
		one := t.InputPage(state.Paging{From: span.Place, Limit: 1}).Items[0].State
		t.Inputs = append(t.Inputs, t.laneOf(one))
	}
	if t.Longest != nil {
		for i := range t.Inputs {
			t.Inputs[i].Longest = t.Inputs[i].Input.InputID == t.Longest.Input.InputID
		}
	}
	for i := range t.Runs {
		t.place(&t.Runs[i])
	}
}

// drawRuns looks for the runs in the range, the last one first.
func (t *timeline) drawRuns() {
	most := manyRuns
	if t.Small {
		most = fewLanes
	}
	boundaries := t.boundaries()
	runs := slices.Collect(t.RunViews())
	for _, r := range slices.Backward(runs) {
		run := t.runOf(r, boundaries[r.RunID()])
		first, last, known := t.known(&run)
		if !t.Whole && (!known || before(last, t.From) || before(t.To, first)) {
			continue
		}
		if t.RunCount++; t.RunCount <= most {
			run.Marks = run.Marks[max(0, len(run.Marks)-manyMarks):]
			t.Runs = append(t.Runs, run)
		}
	}
}

// spans returns the first inputs in the range, and counts all: those that are open come
// first, what waits longest at the top, and then what changed last.
func (t *timeline) spans(most int) (found []state.InputSpan) {
	var longest *state.InputSpan
	for span := range t.InputSpans() {
		open := !span.CurrentState.IsTerminal()
		if open {
			t.Open++
			if longest == nil || before(span.CreatedAt, longest.CreatedAt) {
				longest = &span
			}
		}
		if !t.Whole && (before(t.To, span.CreatedAt) || !open && before(span.UpdatedAt, t.From)) {
			continue
		}
		t.Count++
		if found = append(found, span); len(found) > 2*most+1_000 { // so that few are kept of many
			slices.SortFunc(found, order)
			found = found[:most]
		}
	}
	slices.SortFunc(found, order)
	if longest != nil {
		one := t.InputPage(state.Paging{From: longest.Place, Limit: 1}).Items[0].State
		t.Longest = &lane{Input: one, Longest: true}
		t.Longest.measure(t.Now)
	}
	return found[:min(len(found), most)]
}

func order(a, b state.InputSpan) int {
	by := compare(a.CreatedAt, b.CreatedAt)
	switch ended := a.CurrentState.IsTerminal(); {
	case ended != b.CurrentState.IsTerminal():
		by = -1
		if ended {
			by = 1
		}
	case ended:
		by = compare(b.UpdatedAt, a.UpdatedAt)
	}
	return cmp.Or(by, bytes.Compare(a.InputID[:], b.InputID[:]))
}

// fit sets the range to what these inputs and the runs take.
func (t *timeline) fit(spans []state.InputSpan) {
	var all []store.Time
	for _, span := range spans {
		end := span.UpdatedAt
		if !span.CurrentState.IsTerminal() {
			end = t.Now
		}
		all = append(all, span.CreatedAt, end)
	}
	for _, r := range t.Runs {
		if first, last, known := t.known(&r); known {
			all = append(all, first, last)
		}
	}
	if len(all) == 0 {
		all = append(all, t.Now)
	}
	t.From, t.To = slices.MinFunc(all, compare), slices.MaxFunc(all, compare)
	if !before(t.From, t.To) {
		t.To = later(t.From, time.Second)
	}
	if t.To.Validate() != nil { // it was the last time that there is
		t.From, t.To = later(t.From, -time.Second), t.From
	}
}

// at returns where a time is in the drawing.
func (t *timeline) at(when store.Time) float64 {
	share := seconds(t.From, when) / seconds(t.From, t.To)
	return width * min(max(share, 0), 1)
}

// between returns where the time between two others is in the drawing. However short, it can
// be seen.
func (t *timeline) between(from, to store.Time) (at, wide float64) {
	at = min(t.at(from), width-1)
	return at, max(t.at(to)-at, 1)
}

// laneOf draws an input.
func (t *timeline) laneOf(in store.InputState) lane {
	l := lane{Input: in}
	l.measure(t.Now)
	from, history := in.CreatedAt, in.History
	if n := len(history) - manyStretch; n > 0 { // what came before is one
		l.add(t, "", from, history[n-1].Timestamp)
		from, history = history[n-1].Timestamp, history[n:]
	}
	for _, h := range history {
		l.add(t, h.From, from, h.Timestamp)
		from = h.Timestamp
	}
	switch {
	case l.Open() && len(in.History) == 0 && in.CurrentState != store.InputAccepted && before(from, in.UpdatedAt):
		l.add(t, "", from, in.UpdatedAt)
		l.add(t, in.CurrentState, in.UpdatedAt, t.Now)
	case l.Open():
		l.add(t, in.CurrentState, from, t.Now)
	case before(from, in.UpdatedAt) || len(l.Stretches) == 0:
		last := store.InputLifecycleState("")
		if len(in.History) > 0 {
			last = in.CurrentState
		}
		l.add(t, last, from, in.UpdatedAt)
	}
	return l
}

func (in *lane) add(t *timeline, state store.InputLifecycleState, from, to store.Time) {
	if before(to, t.From) || before(t.To, from) || before(to, from) {
		return
	}
	at, wide := t.between(from, to)
	in.Stretches = append(in.Stretches, stretch{state, at, wide})
}

// measure says how long an input took, or waits.
func (in *lane) measure(now store.Time) {
	until, since := in.Input.UpdatedAt, in.Input.CreatedAt
	if n := len(in.Input.History); n > 0 {
		since = in.Input.History[n-1].Timestamp
	} else if in.Input.CurrentState != store.InputAccepted {
		since = in.Input.UpdatedAt
	}
	if in.Open() {
		until = now
		in.In = between(since, now)
	}
	in.Took = between(in.Input.CreatedAt, until)
}

// boundaries returns the receipts whose times are known, by their runs.
func (t *timeline) boundaries() map[store.RunID][]mark {
	all := make(map[store.RunID][]mark)
	for v := range t.Sessions() {
		if v.Committed && v.Made != 0 {
			all[v.RunID] = append(all[v.RunID], mark{Sequence: v.Sequence, Time: store.TimeOf(time.Unix(v.Made, 0))})
		}
	}
	return all
}

func (t *timeline) runOf(r state.RunView, marks []mark) runLane {
	lane := runLane{RunID: r.RunID(), Receipts: r.NumReceipts(), Marks: marks}
	for receipt := range r.Receipts() {
		for _, id := range receipt.ContributingInputIDs[:min(1, len(receipt.ContributingInputIDs))] {
			if in, ok := t.InputState(id); ok && in.LastRunID != nil && *in.LastRunID == lane.RunID {
				lane.worked(in)
			}
		}
		break
	}
	if id := r.RunID(); id[6]>>4 == 7 { // RFC 9562, 5.7: the first 48 bits are milliseconds
		lane.Began = store.TimeOf(time.UnixMilli(int64(binary.BigEndian.Uint64(id[:]) >> 16)))
	}
	return lane
}

// worked takes over what the first input of a run says, if it is in no later one.
func (r *runLane) worked(in store.InputState) {
	at := slices.IndexFunc(in.History, func(h store.HistoryEntry) bool { return h.To == store.InputApplied })
	if at < 0 {
		return
	}
	r.Began = in.History[at].Timestamp
	if r.Open = !in.CurrentState.IsTerminal(); !r.Open {
		r.Ended = in.UpdatedAt
	}
}

// known returns the first and the last time that is known of a run.
func (t *timeline) known(r *runLane) (first, last store.Time, ok bool) {
	if first, ok = r.Began, !r.Began.IsZero(); ok {
		last = first
	}
	if r.Open {
		last = t.Now
	} else if !r.Ended.IsZero() {
		last = r.Ended
	}
	for _, m := range r.Marks {
		if !ok || before(m.Time, first) && r.Began.IsZero() {
			first = m.Time
		}
		if !ok || before(last, m.Time) {
			last = m.Time
		}
		ok = true
	}
	return first, last, ok
}

// place draws a run.
func (t *timeline) place(r *runLane) {
	first, last, ok := t.known(r)
	if !ok {
		return
	}
	r.At, r.Wide = t.between(first, last)
	r.Took = between(first, last)
	for i := range r.Marks {
		m := &r.Marks[i]
		m.At, m.Since = t.at(m.Time), between(first, m.Time)
		first = m.Time
	}
}
