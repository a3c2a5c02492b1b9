package inspect

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	fewInputs   = 10 // of each state on the page of a runtime
	fewRuns     = 5
	fewReceipts = 20 // of each of these runs
	maxInputs   = 10 // of a receipt in a list
)

// lifecycle has the states of inputs in the order in which they are shown: those
// that are still open come first.
var lifecycle = []store.InputLifecycleState{
	store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption,
	store.InputConsumed, store.InputSuperseded, store.InputCoalesced, store.InputAbandoned,
}

// An overview is a runtime in short.
type overview struct {
	*state.View

	Summary *state.RuntimeSummary
	Latest  *store.RunBoundaryReceipt // nil if there is none
	Session *versionFacts             // nil if there is none
	Past    []versionRow              // the latest versions of the session, the latest first
	Count   int                       // of all of them
	Forked  *state.Origin             // nil if it is no fork
	Bar     []segment
	Groups  []group
	Runs    []runReceipts // the latest ones, the latest first
	Dropped int           // runs without any receipt left
	Times   *timeline
}

// A segment is a state's share of the inputs, in percent.
type segment struct {
	State    store.InputLifecycleState
	At, Wide float64
}

// A group is the first inputs that are in one state.
type group struct {
	State  store.InputLifecycleState
	Count  int
	Inputs state.Page[state.Input]
}

// A runReceipts is the first receipts of a run.
type runReceipts struct {
	RunID    store.RunID
	Receipts state.Page[store.RunBoundaryReceipt]
}

// about has the pages about one runtime, by their paths.
var about = map[string]struct {
	title string // before the name of the runtime
	body  func(*handler, *state.View, url.Values) (body, error)
}{
	"/runtime": {"", (*handler).runtime},
	"/inputs":  {"Inputs of ", (*handler).inputs},
	"/input":   {"Input of ", (*handler).input},
	"/runs":    {"Runs of ", (*handler).runs},
	"/run":     {"Run of ", (*handler).run},

	"/versions": {"Versions of ", (*handler).versions},
	"/version":  {"Version of ", (*handler).version},

	"/transcript": {"Conversation of ", (*handler).transcript},
	"/message":    {"Message of ", (*handler).message},
	"/diff":       {"What changed in ", (*handler).diff},
	"/timeline":   {"Time line of ", (*handler).times},
}

func (h *handler) ofRuntime(r *http.Request) (page, error) {
	shown, ok := about[pathOf(r)]
	if !ok {
		return page{}, &problem{http.StatusNotFound, "No such page", "There is nothing at this address."}
	}
	view, err := h.view(r)
	if err != nil {
		return page{}, err
	}
	body, err := shown.body(h, view, r.URL.Query())
	p := page{Template: pathOf(r)[1:], Title: shown.title + cut(120, name(view.RuntimeID())), Body: body}
	if _, live := h.source.(state.Watcher); live {
		p.Events = link("events", "id", view.RuntimeID(), "after", view.Version())
	}
	return p, err
}

// view returns the runtime that a request is about.
func (h *handler) view(r *http.Request) (*state.View, error) {
	view, err := h.views.view(r.Context(), store.RuntimeID(r.URL.Query().Get("id")))
	if err == nil && !view.Exists() {
		err = notFound("runtime")
	}
	return view, err
}

// Open returns how many inputs are not in a terminal state.
func (o *overview) Open() int { return open(o.Summary) }

func (h *handler) runtime(view *state.View, _ url.Values) (body, error) {
	summary := view.Summary()
	o := &overview{View: view, Summary: &summary, Dropped: view.NumDroppedRuns()}
	if versions := latestFirst(view); len(versions) > 0 {
		o.Session, o.Count = h.factsOf(view, versions[0]), len(versions)
		o.Past = rowsOf(view, versions[:min(len(versions), fewVersions)])
	}
	if from, ok := view.Origin(); ok {
		o.Forked = &from
	}
	if latest, ok := view.LatestReceipt(); ok {
		o.Latest = &latest
	}
	o.groupInputs()
	o.Times = &timeline{View: view, Small: true, Whole: true}
	o.Times.draw(fewLanes)
	runs := slices.Collect(view.Runs())
	for _, run := range slices.Backward(runs[max(0, len(runs)-fewRuns):]) {
		o.Runs = append(o.Runs, runReceipts{run, view.ReceiptPage(state.Paging{Limit: fewReceipts}, run)})
	}
	return o, nil
}

func (o *overview) groupInputs() {
	counts, at := o.CountInputStates(), 0.0
	for _, current := range lifecycle {
		count := counts[current]
		if count == 0 {
			continue
		}
		wide := 100 * float64(count) / float64(o.NumInputStates())
		o.Bar = append(o.Bar, segment{current, at, wide})
		o.Groups = append(o.Groups, group{current, count, o.InputPage(state.Paging{Limit: fewInputs}, current)})
		at += wide
	}
}

// An inputList is a page of inputs.
type inputList struct {
	*state.View

	State store.InputLifecycleState // empty for all
	Count int
	First bool // it is the first page
	Page  state.Page[state.Input]
}

func (h *handler) inputs(view *state.View, query url.Values) (body, error) {
	paging, first, err := pagingOf(query)
	if err != nil {
		return nil, err
	}
	list := &inputList{View: view, Count: view.NumInputStates(), First: first}
	var states []store.InputLifecycleState
	if list.State = store.InputLifecycleState(query.Get("state")); list.State != "" {
		if !slices.Contains(lifecycle, list.State) {
			return nil, unreadable("state")
		}
		states = append(states, list.State)
		list.Count = view.CountInputStates()[list.State]
	}
	list.Page = view.InputPage(paging, states...)
	return list, nil
}

func pagingOf(query url.Values) (p state.Paging, first bool, err error) {
	p.Limit = rows
	if p.From.UnmarshalText([]byte(query.Get("from"))) != nil {
		err = unreadable("from")
	}
	return p, p.From == state.Cursor{}, err
}

// A single is one input.
type single struct {
	*state.View

	Input        store.InputState // with the last entries of its history
	Entries      int              // of all of that
	InputVersion uint64
	Payload      *excerpt // nil if there is none
}

// inputOf returns the input that a query names.
func inputOf(view *state.View, query url.Values) (input state.Input, err error) {
	id, err := store.ParseInputID(query.Get("input"))
	if err != nil {
		return input, unreadable("input")
	}
	input, ok := view.Input(id)
	if !ok {
		err = notFound("input")
	}
	return input, err
}

func (h *handler) input(view *state.View, query url.Values) (body, error) {
	input, err := inputOf(view, query)
	s := &single{View: view, Input: input.State, Entries: len(input.State.History), InputVersion: input.Version}
	s.Input.History = s.Input.History[max(0, s.Entries-rows):]
	if text := input.State.PersistedInput; text != nil {
		s.Payload = h.excerptOf(string(text))
	}
	return s, err
}

// A runList is a page of runs.
type runList struct {
	*state.View

	Runs               []state.RunView
	Count, Page, Pages int
}

func (h *handler) runs(view *state.View, query url.Values) (body, error) {
	all := slices.Collect(view.RunViews())
	slices.Reverse(all)
	list := &runList{View: view, Count: len(all)}
	list.Runs, list.Page, list.Pages = turnTo(query.Get("page"), all)
	return list, nil
}

// A timeLine is a page of the receipts of a run, or one of them.
type timeLine struct {
	*state.View

	RunID   store.RunID
	Page    state.Page[store.RunBoundaryReceipt]
	First   bool // it is the first page
	Highest uint64
	One     bool
	Changed string // the address of what all of the run changed, empty if that is not kept
}

func (h *handler) run(view *state.View, query url.Values) (body, error) {
	run, err := store.ParseRunID(query.Get("run"))
	if err != nil {
		return nil, unreadable("run")
	}
	paging, first, err := pagingOf(query)
	if err != nil {
		return nil, err
	}
	highest, ok := view.HighestSequence(run)
	if !ok {
		return nil, notFound("run")
	}
	line := &timeLine{View: view, RunID: run, First: first, Highest: highest, One: query.Has("sequence")}
	if !line.One {
		line.Changed = changedIn(view, run)
	}
	if !line.One {
		line.Page = view.ReceiptPage(paging, run)
		return line, nil
	}
	sequence, err := strconv.ParseUint(query.Get("sequence"), 10, 64)
	if err != nil {
		return nil, unreadable("sequence")
	}
	receipt, ok := view.Receipt(run, sequence)
	if !ok {
		return nil, notFound("receipt")
	}
	line.Page.Items = []store.RunBoundaryReceipt{receipt}
	return line, nil
}
