package state

import (
	"fmt"
	"math"
	"slices"

	"github.com/loopstore/loopstore/store"
)

// A Paging says which part of a list is asked for.
type Paging struct {
	From  Cursor // the Next of the page before; the zero value is the start
	Limit int    // of one page; 0, or more than MaxPage, means MaxPage
}

// MaxPage is how many a Page has at most, so that one is no burden to the
// owner.
const MaxPage = 1000

func (p Paging) limit() int {
	if p.Limit <= 0 {
		return MaxPage
	}
	return min(p.Limit, MaxPage)
}

// A Cursor is a place in a list. It stays right while the list changes: what
// stands before it stays there, and what is added comes after it. It is of no
// use for another list, nor for the same one after an import.
type Cursor struct{ major, minor uint64 }

// String returns the cursor's text.
func (c Cursor) String() string { return fmt.Sprintf("%d.%d", c.major, c.minor) }

// MarshalText returns the cursor's text.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a cursor; an empty text is the start. The error is a
// *ValueError, and c unchanged then.
func (c *Cursor) UnmarshalText(text []byte) error {
	var read Cursor
	if len(text) > 0 {
		if _, err := fmt.Sscanf(string(text), "%d.%d", &read.major, &read.minor); err != nil || read.String() != string(text) {
			return &store.ValueError{Reason: "not a cursor"}
		}
	}
	*c = read
	return nil
}

// A Page is a part of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  Cursor `json:"next"` // where the next page begins
	More  bool   `json:"more"` // the list goes on there
}

// InputPage returns a part of the list of inputs, in their order, of
// those in one of these states, or of all if none is named.
func (v *View) InputPage(p Paging, states ...store.InputLifecycleState) (page Page[Input]) {
	page.Next = p.From
	for place, in := range v.inputs.values.from(p.From.major) {
		if len(states) > 0 && !slices.Contains(states, in.CurrentState) {
			continue
		}
		if page.full(p, Cursor{major: place}, Cursor{major: place + 1}) {
			break
		}
		page.Items = append(page.Items, in.value())
	}
	return page
}

// ReceiptPage returns a part of the list of receipts: the runs in the order of
// their first receipts, and each one's by ascending sequence. If runs are named
// it is of these alone.
func (v *View) ReceiptPage(p Paging, runs ...store.RunID) (page Page[store.RunBoundaryReceipt]) {
	page.Next = p.From
	for place, r := range v.runs.from(p.From.major) {
		if len(runs) > 0 && !slices.Contains(runs, r.id) {
			continue
		}
		first := uint64(0)
		if place == p.From.major {
			first = p.From.minor
		}
		for sequence, receipt := range r.receipts.from(first) {
			next := Cursor{place, sequence + 1}
			if sequence == math.MaxUint64 {
				next = Cursor{major: place + 1}
			}
			if page.full(p, Cursor{place, sequence}, next) {
				return page
			}
			page.Items = append(page.Items, receipt.Value())
		}
	}
	return page
}

// full reports whether there is no room for what stands at a place, and says
// where the next page begins.
func (p *Page[T]) full(asked Paging, at, after Cursor) bool {
	p.More = len(p.Items) == asked.limit()
	p.Next = after
	if p.More {
		p.Next = at
	}
	return p.More
}
