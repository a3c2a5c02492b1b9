package store

// A Paging says which part of a list is asked for.
type Paging struct {
	From  Cursor // the Next of the page before; the zero value is the start
	Limit int    // at most so many; 0 means MaxPage, and so does more than that
}

// MaxPage is how many a Page has at most, so that one is no burden to the
// owner.
const MaxPage = 1000

// A Cursor is a place in a list. It stays right while the list changes: what
// stood before it stays before it, and what is added comes after it. It is of
// that list only.
type Cursor struct{ major, minor uint64 }

// A Page is a part of a list.
type Page[T any] struct {
	Items []T
	Next  Cursor // where the next page begins
	More  bool   // whether the list went on when this page was made
}

// A RuntimeSummary says what a runtime holds, without it.
type RuntimeSummary struct {
	RuntimeID    RuntimeID
	Version      uint64
	RuntimeState RuntimeState // empty if there is none
	Held         Totals
	LastReceipt  *RunBoundaryReceipt // that was stored last, nil if there is none
}
