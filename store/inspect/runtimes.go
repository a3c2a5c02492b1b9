package inspect

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store/state"
)

const (
	maxSorted = 100_000 // runtimes: they take about 20 MB while a page is made
	rows      = 100     // of a list on one page
)

// A listing is the list of runtimes as a query asks for it.
type listing struct {
	Query, State, Sort string
	Desc               bool

	Columns  []column
	States   map[string]int // how many of the runtimes that match Query are in each state
	Rows     []*state.RuntimeSummary
	All      int
	Matching int
	Sorted   int // of the matching ones; the others are not listed
	Page     int // from 1
	Pages    int
}

// A column can be sorted by.
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

// open returns how many inputs are not in a terminal state.
func open(s *state.RuntimeSummary) int { return s.Held.InputStates - s.Ended }

// noState stands for the state of runtimes that have none.
const noState = "none"

// runtimes lists the runtimes. It goes through all of them and keeps those that
// match.
func (h *handler) runtimes(r *http.Request) (page, error) {
	query := r.URL.Query()
	l := &listing{
		Query: query.Get("q"), State: query.Get("state"), Sort: query.Get("sort"), Desc: query.Get("desc") != "",
		Columns: columns, States: map[string]int{},
	}
	var found []*state.RuntimeSummary
	for summary, err := range h.source.Runtimes(r.Context(), state.Listing{}) {
		if err != nil {
			return page{}, err
		}
		l.All++
		if !strings.Contains(string(summary.RuntimeID), l.Query) {
			continue
		}
		state := cmp.Or(string(summary.RuntimeState), noState)
		l.States[state]++
		if l.State != "" && l.State != state {
			continue
		}
		l.Matching++
		if len(found) < maxSorted {
			found = append(found, &summary)
		}
	}
	l.sort(found)
	l.Sorted = len(found)
	l.Rows, l.Page, l.Pages = turnTo(query.Get("page"), found)
	return page{Template: "runtimes", Title: "Runtimes", Body: l}, nil
}

// sort sorts what was found. It comes in the order of creation.
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

// turnTo returns the rows of a page, its number from 1, and the number of pages. If
// there is no such page it returns the nearest.
func turnTo[T any](asked string, all []T) (some []T, page, pages int) {
	page, _ = strconv.Atoi(asked) // 0, like any number that is too low, becomes 1
	pages = max(1, (len(all)+rows-1)/rows)
	page = min(max(1, page), pages)
	return all[(page-1)*rows : min(len(all), page*rows)], page, pages
}

// desc returns the parameter of a descending order.
func desc(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

// Link returns the address of another page of the list.
func (l *listing) Link(page int) string {
	return link("./", "q", l.Query, "state", l.State, "sort", l.Sort, "desc", desc(l.Desc), "page", page)
}

// SortLink returns the address of the list sorted by a column: text ascending,
// numbers descending, and the other way round if it is sorted so already.
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
