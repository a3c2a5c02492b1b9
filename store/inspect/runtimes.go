package inspect

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store/state"
)

const (
	maxSorted = 100_000 // runtimes, which take some 20 MB while a page is made
	rows      = 100     // of a list in one page
)

// A listing is the list of runtimes, as it was asked for.
type listing struct {
	Query, State, Sort string
	Desc               bool

	Columns  []column
	States   []stateCount // of the runtimes that match Query
	Rows     []*state.RuntimeSummary
	All      int // runtimes that there are
	Matching int
	Sorted   int // of those that match; the others are not listed
	Page     int // from 1 on
	Pages    int
}

// A column is a way to sort.
type column struct {
	Name, Title string
	Number      bool
	compare     func(a, b *state.RuntimeSummary) int
}

var columns = []column{
	{"id", "Runtime", false, func(a, b *state.RuntimeSummary) int { return cmp.Compare(a.RuntimeID, b.RuntimeID) }},
	{"state", "State", false, func(a, b *state.RuntimeSummary) int { return cmp.Compare(a.RuntimeState, b.RuntimeState) }},
	{"version", "Version", true, func(a, b *state.RuntimeSummary) int { return cmp.Compare(a.Version, b.Version) }},
	{"inputs", "Inputs", true, func(a, b *state.RuntimeSummary) int {
		return cmp.Or(cmp.Compare(a.Held.InputStates, b.Held.InputStates), cmp.Compare(open(a), open(b)))
	}},
	{"receipts", "Receipts", true, func(a, b *state.RuntimeSummary) int { return cmp.Compare(a.Held.Receipts, b.Held.Receipts) }},
	{"bytes", "Size", true, func(a, b *state.RuntimeSummary) int { return cmp.Compare(a.Held.Bytes(), b.Held.Bytes()) }},
}

// open returns how many inputs are in no terminal state.
func open(s *state.RuntimeSummary) int { return s.Held.InputStates - s.Ended }

// A stateCount is how many there are in a state.
type stateCount struct {
	State string // noState if there is none
	Count int
}

const noState = "none"

// runtimes shows those that are asked for. It looks at all, a page at a time, and
// keeps those that match.
func (h *handler) runtimes(r *http.Request) (page, error) {
	l := newListing(r.URL.Query())
	states := make(map[string]int)
	var found []*state.RuntimeSummary
	for summary, err := range h.source.Runtimes(r.Context(), state.Paging{}) {
		if err != nil {
			return page{}, err
		}
		l.All++
		if !strings.Contains(string(summary.RuntimeID), l.Query) {
			continue
		}
		state := cmp.Or(string(summary.RuntimeState), noState)
		states[state]++
		if l.State != "" && l.State != state {
			continue
		}
		l.Matching++
		if len(found) < maxSorted {
			found = append(found, &summary)
		}
	}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		l.States = append(l.States, stateCount{state, states[state]})
	}
	l.sort(found)
	l.Sorted = len(found)
	l.Rows, l.Page, l.Pages = turnTo(r.URL.Query().Get("page"), found)
	return page{Template: "runtimes", Title: "Runtimes", Body: l}, nil
}

func newListing(query url.Values) *listing {
	return &listing{Query: query.Get("q"), State: query.Get("state"), Sort: query.Get("sort"), Desc: query.Get("desc") != "", Columns: columns}
}

// sort sorts what was found, which is in the order in which it was made.
func (l *listing) sort(found []*state.RuntimeSummary) {
	if at := slices.IndexFunc(columns, func(c column) bool { return c.Name == l.Sort }); at >= 0 {
		slices.SortStableFunc(found, func(a, b *state.RuntimeSummary) int {
			if l.Desc {
				return columns[at].compare(b, a)
			}
			return columns[at].compare(a, b)
		})
	} else {
		l.Sort = ""
		if l.Desc {
			slices.Reverse(found)
		}
	}
}

// turnTo returns the rows of a page, its number, from 1 on, and how many there
// are. If there is no such page it is the nearest.
func turnTo[T any](asked string, all []T) (some []T, page, pages int) {
	page, _ = strconv.Atoi(asked) // 0 is not there, either
	pages = max(1, (len(all)+rows-1)/rows)
	page = min(max(1, page), pages)
	return all[(page-1)*rows : min(len(all), page*rows)], page, pages
}

// desc returns the parameter for an order.
func desc(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// Link returns the address of the same list with another page.
func (l *listing) Link(page int) string {
	return link("./", "q", l.Query, "state", l.State, "sort", l.Sort, "desc", desc(l.Desc), "page", page)
}

// SortLink returns the address of the same list by a column: from the least on,
// or numbers from the greatest on, and the other way round if it is so already.
func (l *listing) SortLink(c column) string {
	down := c.Number
	if c.Name == l.Sort {
		down = !l.Desc
	}
	return link("./", "q", l.Query, "state", l.State, "sort", c.Name, "desc", desc(down))
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

// Known reports whether the state that is asked for is among those that are there.
func (l *listing) Known() bool {
	return l.State == "" || slices.ContainsFunc(l.States, func(s stateCount) bool { return s.State == l.State })
}
