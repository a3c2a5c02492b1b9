package inspect

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	maxCompared = 1_000   // messages of each version that are compared with those of the other
	maxListed   = 100_000 // messages that are listed where the other version has none
	manyChanges = 50      // on a page
)

// A difference is what changed between two versions of a session.
type difference struct {
	*state.View

	From, To *versionRow // From is nil if there was no session
	Hidden   bool
	ByLine   bool // the texts are no conversations, and each line counts as a message
	Before   int  // messages that both begin with
	Added    int
	Removed  int
	Changed  int
	Limited  bool // too much differs: the rest is not compared
	Count    int  // of the rows
	Skipped  int  // rows before those of this page
	Rows     []*change
	old, new *transcript // whose messages the rows have
}

// A change is a row: messages that are the same in both, or one that is in one of them, or
// one that came in the place of another.
type change struct {
	Kind     string     `json:"kind"` // same, added, removed, changed, or replaced if the two have nothing in common
	OldFirst int        `json:"from_message,omitempty"`
	NewFirst int        `json:"to_message,omitempty"`
	Same     int        `json:"same,omitempty"` // how many
	Old      *message   `json:"from,omitempty"`
	New      *message   `json:"to,omitempty"`
	Lines    []textLine `json:"lines,omitempty"` // of a change
	Unseen   bool       `json:"unseen,omitempty"`
}

func (h *handler) diff(view *state.View, query url.Values) (body, error) {
	d := &difference{View: view, Hidden: !h.payloads}
	newer, ok := view.Session()
	if query.Get("to") != "" {
		newer, ok = view.SessionAt(numberOf(query, "to"))
	}
	if !ok {
		return nil, notFound("version of the session")
	}
	number := newer.Number - 1
	if query.Get("from") != "" {
		number = numberOf(query, "from")
	}
	var older state.SessionVersion
	if number > 0 {
		if older, ok = view.SessionAt(number); !ok {
			return nil, notFound("version of the session")
		}
		d.From = new(rowOf(view, older))
	}
	d.To = new(rowOf(view, newer))
	var err error
	if d.Skipped, err = countOf(query, "skip"); err != nil || d.Hidden {
		return d, err
	}
	d.compare(older.Snapshot, newer.Snapshot)
	return d, nil
}

// numberOf returns the number that a parameter has. One that cannot be read names no
// version.
func numberOf(query url.Values, name string) uint64 {
	n, err := strconv.ParseUint(query.Get(name), 10, 64)
	if err != nil {
		return 1<<64 - 1
	}
	return n
}

// compare finds the changes and reads those that the page has room for.
func (d *difference) compare(older, newer store.Snapshot) {
	old, okOld := talkOf(older)
	now, okNew := talkOf(newer)
	if !okOld && older.Len() > 0 || !okNew && newer.Len() > 0 {
		d.ByLine = true
		old, now = linesOf(older), linesOf(newer)
	} else if !okOld || !okNew { // one of them is empty
		if !okOld {
			old = linesOf(older)
		}
		if !okNew {
			now = linesOf(newer)
		}
	}
	d.Before = old.same(now)
	steps := d.steps(old, now)
	rows := d.rows(steps)
	d.Count = len(rows)
	d.Skipped = min(d.Skipped, max(len(rows)-1, 0))
	d.old = &transcript{View: d.View, Count: old.Count, ByLine: d.ByLine}
	d.new = &transcript{View: d.View, Session: *d.To, Count: now.Count, ByLine: d.ByLine}
	if d.From != nil {
		d.old.Session = *d.From
	}
	d.Rows = rows[d.Skipped:min(len(rows), d.Skipped+manyChanges)]
	d.read(old, now)
}

// read reads the messages of the rows, as many as the page has room for.
func (d *difference) read(old, now *talk) {
	var gone, come []int
	for _, row := range d.Rows {
		if row.Kind != "same" && row.OldFirst > 0 {
			gone = append(gone, row.OldFirst-1)
		}
		if row.Kind != "same" && row.NewFirst > 0 {
			come = append(come, row.NewFirst-1)
		}
	}
	texts, lengths := old.pick(gone)
	newTexts, newLengths := now.pick(come)
	next := func(texts *[]string, lengths *[]int, number, most int) *message {
		if len(*texts) == 0 {
			return nil
		}
		m := readMessage(number, (*texts)[0], (*lengths)[0], most)
		*texts, *lengths = (*texts)[1:], (*lengths)[1:]
		fit([]*message{m}, false, maxPage/2)
		return m
	}
	room := maxPage
	for i, row := range d.Rows {
		most := maxPart
		if row.Kind == "changed" {
			most = 3 * maxPart // or a line would be taken for the same because it was cut
		}
		if row.Kind != "same" && row.OldFirst > 0 {
			row.Old = next(&texts, &lengths, row.OldFirst, most)
		}
		if row.Kind != "same" && row.NewFirst > 0 {
			row.New = next(&newTexts, &newLengths, row.NewFirst, most)
		}
		if row.Kind == "changed" && row.Old != nil && row.New != nil {
			row.compare()
		}
		missing := row.Kind != "same" && (row.OldFirst > 0 && row.Old == nil || row.NewFirst > 0 && row.New == nil)
		if room -= row.size(); i > 0 && (room < 0 || missing) {
			d.Rows = d.Rows[:i]
			return
		}
	}
}

// linesOf takes a text apart into its lines.
func linesOf(s store.Snapshot) *talk {
	t := &talk{snapshot: s, lines: true}
	for range t.messages() {
		t.Count++
	}
	return t
}

// A step is a message of one version or of both, by their places from 0. -1 stands for
// none.
type step struct{ old, new int }

// steps returns how one conversation becomes the other, after what both begin with.
func (d *difference) steps(old, now *talk) (steps []step) {
	restOld, restNew := old.Count-d.Before, now.Count-d.Before
	if restOld == 0 || restNew == 0 {
		for i := range min(restOld, maxListed) {
			steps = append(steps, step{d.Before + i, -1})
		}
		for i := range min(restNew, maxListed) {
			steps = append(steps, step{-1, d.Before + i})
		}
		d.Limited = max(restOld, restNew) > maxListed
		return steps
	}
	a, _, _ := old.read(d.Before, d.Before+maxCompared, false)
	b, _, _ := now.read(d.Before, d.Before+maxCompared, false)
	d.Limited = len(a) < restOld || len(b) < restNew
	for _, s := range common(a, b) {
		if s.old >= 0 {
			s.old += d.Before
		}
		if s.new >= 0 {
			s.new += d.Before
		}
		steps = append(steps, s)
	}
	return steps
}

// rows gathers steps: what goes and what comes in its place is one change.
func (d *difference) rows(steps []step) (rows []*change) {
	for i := 0; i < len(steps); {
		from, last := i, (*change)(nil)
		if steps[i].old >= 0 && steps[i].new >= 0 {
			for i < len(steps) && steps[i].old >= 0 && steps[i].new >= 0 {
				i++
			}
			rows = append(rows, &change{Kind: "same", OldFirst: steps[from].old + 1, NewFirst: steps[from].new + 1, Same: i - from})
			continue
		}
		var gone, come []int
		for ; i < len(steps) && (steps[i].old < 0 || steps[i].new < 0); i++ {
			if steps[i].old >= 0 {
				gone = append(gone, steps[i].old)
			} else {
				come = append(come, steps[i].new)
			}
		}
		for n := range max(len(gone), len(come)) {
			switch {
			case n >= len(come):
				last = &change{Kind: "removed", OldFirst: gone[n] + 1}
				d.Removed++
			case n >= len(gone):
				last = &change{Kind: "added", NewFirst: come[n] + 1}
				d.Added++
			default:
				last = &change{Kind: "changed", OldFirst: gone[n] + 1, NewFirst: come[n] + 1}
				d.Changed++
			}
			rows = append(rows, last)
		}
	}
	return rows
}

// compare says which lines changed, if the two messages have any in common.
func (c *change) compare() {
	c.Lines, c.Unseen = lineByLine(c.Old.lines(), c.New.lines())
	if c.Old.Role != c.New.Role || !slices.ContainsFunc(c.Lines[min(len(c.Lines), 1):], func(l textLine) bool {
		return l.Kind == "same" || l.Kind == "fold" || l.Middle != "" || l.Head == ""
	}) && !c.Unseen {
		c.Kind, c.Lines = "replaced", nil
	}
}

// size returns how many bytes of markup a change takes, about.
func (c *change) size() int {
	n := overhead
	for _, l := range c.Lines {
		n += 100 + markup(l.Head) + markup(l.Middle) + markup(l.Tail)
	}
	for _, m := range []*message{c.Old, c.New} {
		if m != nil && c.Lines == nil {
			for _, p := range m.Parts {
				n += overhead + markup(p.Text)
			}
		}
	}
	return n
}

// Versions returns the numbers of the two versions. 0 stands for no session.
func (d *difference) Versions() (v struct{ From, To uint64 }) {
	if v.To = d.To.Number; d.From != nil {
		v.From = d.From.Number
	}
	return v
}

// Old returns the conversation that the removed messages are of, and New that of the
// others.
func (d *difference) Old() *transcript { return d.old }

// New is Old for those that were added.
func (d *difference) New() *transcript { return d.new }

// A moved message is one that only one of the versions has.
type moved struct {
	Word, Class string
	Of          *transcript
	Message     *message
}

func movedOf(word string, of *transcript, m *message) moved {
	_, class, _ := strings.Cut(word, " ")
	return moved{word, class, of, m}
}

// Linked reports whether the message has a page.
func (m moved) Linked() bool { return !m.Of.ByLine }

// Next returns the address of the next page, empty if this is the last.
func (d *difference) Next() string {
	if skip := d.Skipped + len(d.Rows); skip < d.Count {
		return d.leaf(skip)
	}
	return ""
}

// Start returns the address of the first page.
func (d *difference) Start() string { return d.leaf(0) }

func (d *difference) leaf(skip int) string {
	pairs := []any{"id", d.RuntimeID(), "from", d.Versions().From, "to", d.To.Number}
	if skip > 0 {
		pairs = append(pairs, "skip", skip)
	}
	return link("diff", pairs...)
}

func (d *difference) JSON() any {
	type found struct {
		ByLine  bool `json:"by_line"`     // each line counts as a message
		Before  int  `json:"same_before"` // messages that both begin with
		Added   int  `json:"added"`
		Removed int  `json:"removed"`
		Changed int  `json:"changed"` // or replaced
		Limited bool `json:"limited"` // the rest is not compared
		Count   int  `json:"count"`   // of all rows
	}
	shown := struct {
		ofOne
		From    *versionJSON `json:"from"` // null if there was no session
		To      versionJSON  `json:"to"`
		Hidden  bool         `json:"hidden"`
		*found               // nil if it is hidden
		Skipped int          `json:"skipped"`
		Rows    []*change    `json:"rows"`
	}{ofOne: ofView(d.View), To: d.To.shown(), Hidden: d.Hidden, Skipped: d.Skipped, Rows: d.Rows}
	if d.From != nil {
		shown.From = new(d.From.shown())
	}
	if !d.Hidden {
		shown.found = &found{d.ByLine, d.Before, d.Added, d.Removed, d.Changed, d.Limited, d.Count}
	}
	if shown.Rows == nil {
		shown.Rows = []*change{}
	}
	return shown
}
