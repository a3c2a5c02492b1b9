package inspect

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	fewInputs   = 10 // of each state in the page of a runtime
	fewRuns     = 5
	fewReceipts = 20 // of each run there
)

// lifecycle has the states of inputs in the order in which they are shown: those
// that call for something first.
var lifecycle = []store.InputLifecycleState{
	store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption,
	store.InputConsumed, store.InputSuperseded, store.InputCoalesced, store.InputAbandoned,
}

// An overview is all of a runtime in short.
type overview struct {
	*state.View

	Summary *state.RuntimeSummary
	Latest  *store.RunBoundaryReceipt // nil if there is none
	Session *snapshotFacts            // nil if there is none
	Bar     []segment
	Groups  []group
	Runs    []runReceipts // of the last ones, the last first
	Dropped int           // runs whose receipts have all gone
}

// A segment is a state's share of the inputs, in percent.
type segment struct {
	State    store.InputLifecycleState
	At, Wide float64
}

// A group is a part of the inputs that are in one state.
type group struct {
	State  store.InputLifecycleState
	Count  int
	Inputs state.Page[store.InputState]
}

// A runReceipts is a part of the receipts of a run.
type runReceipts struct {
	RunID    store.RunID
	Receipts state.Page[store.RunBoundaryReceipt]
}

// view returns the runtime that a request is about, which must be there.
func (h *handler) view(r *http.Request) (*state.View, error) {
	id := store.RuntimeID(r.URL.Query().Get("id"))
	view, err := h.source.View(r.Context(), id)
	if err == nil && !view.Exists() {
		err = notFound("runtime")
	}
	return view, err
}

// ofRuntime returns a page about one runtime.
func ofRuntime(view *state.View, template, title string, body any) page {
	return page{Template: template, Title: title + name(view.RuntimeID()), Follow: view, Body: body}
}

func (h *handler) runtime(r *http.Request) (page, error) {
	view, err := h.view(r)
	if err != nil {
		return page{}, err
	}
	summary := view.Summary()
	o := &overview{View: view, Summary: &summary, Session: h.factsOf(view), Dropped: view.NumDroppedRuns()}
	if latest, ok := view.LatestReceipt(); ok {
		o.Latest = &latest
	}
	o.groupInputs()
	runs := slices.Collect(view.Runs())
	for _, run := range slices.Backward(runs[max(0, len(runs)-fewRuns):]) {
		o.Runs = append(o.Runs, runReceipts{run, view.ReceiptPage(state.Paging{Limit: fewReceipts}, run)})
	}
	return ofRuntime(view, "runtime", "", o), nil
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
	From  state.Cursor
	First bool // it is the first page
	Page  state.Page[store.InputState]
}

func (h *handler) inputs(r *http.Request) (page, error) {
	view, err := h.view(r)
	if err != nil {
		return page{}, err
	}
	list := &inputList{View: view, State: store.InputLifecycleState(r.URL.Query().Get("state")), Count: view.NumInputStates()}
	paging, err := pagingOf(r)
	if err != nil {
		return page{}, err
	}
	list.First = paging.From == state.Cursor{}
	var states []store.InputLifecycleState
	if list.State != "" {
		if !slices.Contains(lifecycle, list.State) {
			return page{}, unreadable("state")
		}
		states = append(states, list.State)
		list.Count = view.CountInputStates()[list.State]
	}
	list.Page = view.InputPage(paging, states...)
	return ofRuntime(view, "inputs", "Inputs of ", list), nil
}

func pagingOf(r *http.Request) (p state.Paging, err error) {
	p.Limit = rows
	if p.From.UnmarshalText([]byte(r.URL.Query().Get("from"))) != nil {
		err = unreadable("from")
	}
	return p, err
}

// A single is one input.
type single struct {
	*state.View

	Input   store.InputState
	Payload *excerpt // nil if there is none
}

func (h *handler) oneInput(r *http.Request) (view *state.View, input store.InputState, err error) {
	if view, err = h.view(r); err != nil {
		return view, input, err
	}
	id, err := store.ParseInputID(r.URL.Query().Get("input"))
	if err != nil {
		return view, input, unreadable("input")
	}
	input, ok := view.InputState(id)
	if !ok {
		err = notFound("input")
	}
	return view, input, err
}

func (h *handler) input(r *http.Request) (page, error) {
	view, input, err := h.oneInput(r)
	if err != nil {
		return page{}, err
	}
	s := &single{View: view, Input: input}
	if input.PersistedInput != nil {
		s.Payload = h.excerptOf(string(input.PersistedInput))
	}
	return ofRuntime(view, "input", "Input of ", s), nil
}

// A runList is a page of runs.
type runList struct {
	*state.View

	Runs               []state.RunView
	Count, Page, Pages int
}

func (h *handler) runs(r *http.Request) (page, error) {
	view, err := h.view(r)
	if err != nil {
		return page{}, err
	}
	all := slices.Collect(view.RunViews())
	slices.Reverse(all)
	list := &runList{View: view, Count: len(all)}
	list.Runs, list.Page, list.Pages = turnTo(r.URL.Query().Get("page"), all)
	return ofRuntime(view, "runs", "Runs of ", list), nil
}

// A timeLine is a page of the receipts of a run, or one of them.
type timeLine struct {
	*state.View

	RunID   store.RunID
	Page    state.Page[store.RunBoundaryReceipt]
	First   bool // it is the first page
	Highest uint64
	One     bool
}

func (h *handler) run(r *http.Request) (page, error) {
	view, err := h.view(r)
	if err != nil {
		return page{}, err
	}
	query := r.URL.Query()
	run, err := store.ParseRunID(query.Get("run"))
	if err != nil {
		return page{}, unreadable("run")
	}
	paging, err := pagingOf(r)
	if err != nil {
		return page{}, err
	}
	line := &timeLine{View: view, First: paging.From == state.Cursor{}, One: query.Has("sequence")}
	line.RunID = run
	var there bool
	if line.Highest, there = view.HighestSequence(run); !there {
		return page{}, notFound("run")
	}
	if line.One {
		sequence, err := strconv.ParseUint(query.Get("sequence"), 10, 64)
		if err != nil {
			return page{}, unreadable("sequence")
		}
		receipt, ok := view.Receipt(run, sequence)
		if !ok {
			return page{}, notFound("receipt")
		}
		line.Page.Items = []store.RunBoundaryReceipt{receipt}
	} else {
		line.Page = view.ReceiptPage(paging, run)
	}
	return ofRuntime(view, "run", "Run of ", line), nil
}
