package inspect

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	maxSorted = 100_000 // runtimes: they take about 40 MB while a page is made
	rows      = 100     // of a list on one page
)

// A listing is the list of runtimes as a query asks for it.
type listing struct {
	Query  string // that the id contains
	Begins bool   // or rather begins with
	State  string
	Input  string // a state that an input is in
	Label  string // a key, or key=value
	Sort   string
	Desc   bool

	Now      store.Time
	Standing standing // over all runtimes
	Columns  []column
	States   []store.RuntimeState
	Inputs   []store.InputLifecycleState
	Rows     []*entry
	All      int
	Matching int
	Sorted   int // of the matching ones; the others are not listed
	Page     int // from 1
	Pages    int

	found                 []*entry
	mostInputs, mostBytes float64 // of one that was found
}

// A column can be sorted by.
type column struct {
	Name, Title string
	Number      bool // what is most comes first
	compare     func(a, b *entry) int
}

var columns = []column{
	{"id", "Runtime", false, func(a, b *entry) int { return cmp.Compare(a.RuntimeID, b.RuntimeID) }},
	{"state", "State", false, func(a, b *entry) int { return cmp.Compare(a.RuntimeState, b.RuntimeState) }},
	{byActivity, "Active", true, func(a, b *entry) int {
		return cmp.Or(compare(a.Active, b.Active), cmp.Compare(a.Version, b.Version))
	}},
	{"open", "Open for", true, func(a, b *entry) int { return bySince(b.since, a.since) }},
	{"inputs", "Inputs", true, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.Held.InputStates, b.Held.InputStates), cmp.Compare(open(&a.RuntimeSummary), open(&b.RuntimeSummary)))
	}},
	{"receipts", "Receipts", true, func(a, b *entry) int { return cmp.Compare(a.Held.Receipts, b.Held.Receipts) }},
	{"bytes", "Size", true, func(a, b *entry) int { return cmp.Compare(a.Held.Bytes(), b.Held.Bytes()) }},
}

// byActivity is the order unless another is asked for: who was written to last is first.
const byActivity = "active"

// open returns how many inputs are not in a terminal state.
func open(s *state.RuntimeSummary) int { return s.Held.InputStates - s.Ended }

// noState stands for the state of runtimes that have none.
const noState = "none"

// listingOf reads a query. What it does not understand it leaves out.
func listingOf(query url.Values) *listing {
	l := &listing{
		Query: query.Get("q"), Begins: query.Get("begins") != "", State: query.Get("state"), Input: query.Get("input"), Label: query.Get("label"),
		Sort: query.Get("sort"), Desc: query.Get("desc") != "", Now: store.TimeOf(time.Now()), Columns: columns,
		States: []store.RuntimeState{
			store.RuntimeInitializing, store.RuntimeIdle, store.RuntimeRunning, store.RuntimeRecovering,
			store.RuntimeRetired, store.RuntimeStopped, store.RuntimeDestroyed, noState,
		},
		Inputs: lifecycle, mostInputs: 1, mostBytes: 1,
	}
	if !slices.ContainsFunc(columns, func(c column) bool { return c.Name == l.Sort }) {
		l.Sort, l.Desc = byActivity, true
	}
	return l
}

// list shows the runtimes. It goes through all of them and keeps those that match. Those
// who ask while it is followed have what the hub holds.
func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	if followed := h.hub.current(); followed != nil {
		a := followed.answer(askedFor(r), func(entries []*entry, mark string, a *answer) {
			l := listingOf(r.URL.Query())
			for _, e := range entries {
				l.add(e)
			}
			var text bytes.Buffer
			p := l.page(r, mark)
			h.complete(r, &p)
			a.kind, a.err = render(&text, r, p)
			a.text = text.Bytes()
		})
		send(w, http.StatusOK, a.kind, a.text, a.err)
		return nil
	}
	l := listingOf(r.URL.Query())
	count, highest := 0, uint64(0)
	for summary, err := range h.source.Runtimes(r.Context(), state.Listing{ByActivity: true}) {
		if err != nil {
			return err
		}
		count, highest = count+1, max(highest, summary.Version)
		l.add(entryOf(summary))
	}
	p := l.page(r, markOf(count, highest))
	if _, live := h.source.(state.Follower); !live {
		p.Events = ""
	}
	h.complete(r, &p)
	write(w, r, http.StatusOK, p)
	return nil
}

// askedFor returns the same for all who get the same list: what is read of a request.
func askedFor(r *http.Request) string {
	query := r.URL.Query()
	maps.DeleteFunc(query, func(name string, _ []string) bool {
		return !slices.Contains([]string{"q", "begins", "state", "input", "label", "sort", "desc", "page", "notice", "seal"}, name)
	})
	return strconv.FormatBool(wantsJSON(r)) + " " + query.Encode()
}

// page sorts what was found, and turns to the page that is asked for.
func (l *listing) page(r *http.Request, mark string) page {
	l.Standing.end(l.Now.Time())
	by := columns[slices.IndexFunc(columns, func(c column) bool { return c.Name == l.Sort })]
	slices.SortFunc(l.found, func(a, b *entry) int {
		order := by.compare(a, b)
		if l.Desc {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(a.RuntimeID, b.RuntimeID))
	})
	l.Sorted = len(l.found)
	l.Rows, l.Page, l.Pages = turnTo(r.URL.Query().Get("page"), l.found)
	return page{Template: "runtimes", Title: "Runtimes", Body: l, Events: link("changes", "after", mark)}
}

// add takes a runtime into account.
func (l *listing) add(e *entry) {
	l.All++
	l.Standing.add(e)
	if !l.matches(e) {
		return
	}
	l.Matching++
	if len(l.found) < maxSorted {
		l.found = append(l.found, e)
		l.mostInputs = max(l.mostInputs, float64(e.Held.InputStates))
		l.mostBytes = max(l.mostBytes, float64(e.Held.Bytes()))
	}
}

func (l *listing) matches(e *entry) bool {
	id := string(e.RuntimeID)
	if l.Begins && !strings.HasPrefix(id, l.Query) || !strings.Contains(id, l.Query) {
		return false
	}
	if l.State != "" && l.State != cmp.Or(string(e.RuntimeState), noState) {
		return false
	}
	if l.Input != "" && e.CountInputStates()[store.InputLifecycleState(l.Input)] == 0 {
		return false
	}
	return l.Label == "" || labelled(e, l.Label)
}

// labelled reports whether a runtime has a label with this key, or with this key=value. Both
// may have an = in them.
func labelled(e *entry, text string) bool {
	for key, value := range e.Labels {
		if rest, ok := strings.CutPrefix(text, key); ok && (rest == "" || rest == "="+value) {
			return true
		}
	}
	return false
}

// Filtered reports whether not all are asked for.
func (l *listing) Filtered() bool {
	return l.Query != "" || l.State != "" || l.Input != "" || l.Label != ""
}

// InputBar returns how wide the bar of a runtime's inputs is, and of those that are open.
func (l *listing) InputBar(e *entry) [2]float64 {
	return [2]float64{share(float64(e.Held.InputStates), l.mostInputs), share(float64(open(&e.RuntimeSummary)), l.mostInputs)}
}

// SizeBar returns how wide the bar of a runtime's size is.
func (l *listing) SizeBar(e *entry) float64 { return share(float64(e.Held.Bytes()), l.mostBytes) }

// share is in percent. What is more than nothing can be seen.
func share(part, of float64) float64 {
	if part == 0 {
		return 0
	}
	return max(2, float64(int(100*part/of)))
}

// Since returns since when an input of a runtime is open.
func (l *listing) Since(e *entry) store.Time { return e.since }

// turnTo returns the rows of a page, its number from 1, and the number of pages. If
// there is no such page it returns the nearest.
func turnTo[T any](asked string, all []T) (some []T, page, pages int) {
	page, _ = strconv.Atoi(asked) // 0, like any number that is too low, becomes 1
	pages = max(1, (len(all)+rows-1)/rows)
	page = min(max(1, page), pages)
	return all[(page-1)*rows : min(len(all), page*rows)], page, pages
}

// flag returns the parameter of something that may be so.
func flag(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// link returns the address of the list with some parameters, and those that say what is
// listed.
func (l *listing) link(pairs ...any) string {
	return link("./", append(pairs, "q", l.Query, "begins", flag(l.Begins), "state", l.State, "input", l.Input, "label", l.Label)...)
}

// Link returns the address of another page of the list.
func (l *listing) Link(page int) string {
	return l.link("sort", l.Sort, "desc", flag(l.Desc), "page", page)
}

// SortLink returns the address of the list sorted by a column: text ascending,
// numbers descending, and the other way round if it is sorted so already.
func (l *listing) SortLink(c column) string {
	down := c.Number
	if c.Name == l.Sort {
		down = !l.Desc
	}
	return l.link("sort", c.Name, "desc", flag(down))
}

// Order returns the aria-sort of a column.
func (l *listing) Order(c column) string {
	switch {
	case c.Name != l.Sort:
		return "none"
	case l.Desc:
		return "descending"
	}
	return "ascending"
}
