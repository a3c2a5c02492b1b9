package state

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A Listing says which runtimes are asked for, and in which order. Of each field that says
// anything all must hold. The zero value is all runtimes in the order in which they were
// made.
type Listing struct {
	Paging
	Prefix string                      // that the id begins with
	Labels map[string]string           // that the runtime has, with these values
	States []store.RuntimeState        // one of which it has
	Inputs []store.InputLifecycleState // one of which an input of it has

	// ByActivity lists the one that was written to last first. Those whose last activity
	// is not known come last. A list is of one moment: nothing moves in it. In a page that
	// is asked for later, a runtime that was written to since then stands before the
	// cursor: it is not met again, and not at all if it stood behind the cursor. All others
	// that are there throughout are each met once.
	ByActivity bool
}

// Validate returns a *store.ValueError if a state is none.
func (l Listing) Validate() error {
	return cmp.Or(validStates("states", l.States), validStates("inputs", l.Inputs))
}

// validStates returns a *store.ValueError if one of some states is none.
func validStates[S interface{ Validate() error }](field string, states []S) error {
	for _, s := range states {
		if err := s.Validate(); err != nil {
			return store.InField(field, err)
		}
	}
	return nil
}

func (l *Listing) matches(rt *runtime) bool {
	return strings.HasPrefix(string(rt.id), l.Prefix) &&
		(len(l.States) == 0 || slices.Contains(l.States, rt.state)) &&
		(len(l.Inputs) == 0 || rt.counts.in(l.Inputs) > 0) &&
		l.matchesLabels(rt.few().labels)
}

func (l *Listing) matchesLabels(labels map[string]string) bool {
	for key, value := range l.Labels {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// A RuntimeSummary says what a runtime holds, without it.
type RuntimeSummary struct {
	RuntimeID    store.RuntimeID    `json:"runtime_id"`
	Version      uint64             `json:"version"`
	RuntimeState store.RuntimeState `json:"runtime_state,omitempty"` // empty if there is none
	Held         store.Totals       `json:"held"`                    // but for what it has filed under ids of sessions
	Ended        int                `json:"ended"`                   // how many of the inputs are in a terminal state
	Made         store.Time         `json:"made,omitzero"`           // when it was made; zero if that is not known
	Active       store.Time         `json:"active,omitzero"`         // when it was written to last, likewise; to prune it is not to write to it
	Labels       map[string]string  `json:"labels,omitempty"`

	latest *Receipt
	counts counts
	inputs *list[input] // for OpenInputs
}

// LatestReceipt returns the receipt that was stored last, of any run.
func (s *RuntimeSummary) LatestReceipt() (receipt store.RunBoundaryReceipt, ok bool) {
	return valueOf(s.latest)
}

// CountInputStates returns how many inputs are in each state, but for those that none is
// in.
func (s *RuntimeSummary) CountInputStates() map[store.InputLifecycleState]int {
	return s.counts.byState()
}

func (rt *runtime) summary() RuntimeSummary {
	return RuntimeSummary{
		RuntimeID: rt.id, Version: rt.version, RuntimeState: rt.state, Held: rt.total(), Ended: rt.counts.ended(),
		Made: timeOf(rt.made), Active: timeOf(rt.active), Labels: maps.Clone(rt.few().labels), latest: rt.latest, counts: rt.counts,
	}
}

// lookAtOnce is how many runtimes the owner looks at for one page.
const lookAtOnce = 4 * MaxPage

// Runtimes returns a part of a list of runtimes in the order in which they were made. It
// may have less than was asked for, or nothing, and go on: it looks at no more than some
// thousand.
func (s *State) Runtimes(l Listing) (page Page[RuntimeSummary]) {
	page.Next = l.From
	looked := 0
	for place, rt := range s.order.from(l.From.major) {
		if looked++; looked > lookAtOnce {
			page.More, page.Next = true, Cursor{major: place}
			break
		}
		if !l.matches(rt) {
			page.Next = Cursor{major: place + 1}
			continue
		}
		if page.full(l.Paging, Cursor{major: place}, Cursor{major: place + 1}) {
			break
		}
		page.Items = append(page.Items, rt.summary())
	}
	return page
}

// Runtimes returns a list of the runtimes from a cursor on, whatever its limit.
func (i *Image) Runtimes(l Listing) iter.Seq[RuntimeSummary] {
	return func(yield func(RuntimeSummary) bool) {
		for _, e := range i.list(l) {
			summary := e.rt.summary()
			summary.inputs = &e.rt.inputs.values // which do not change in an Image
			if !yield(summary) {
				return
			}
		}
	}
}

// Page returns a part of a list of the runtimes.
func (i *Image) Page(l Listing) (page Page[RuntimeSummary]) {
	page.Next = l.From
	for _, e := range i.list(l) {
		after := Cursor{major: e.at.major + 1}
		if l.ByActivity {
			after = Cursor{e.at.major, e.at.minor + 1}
		}
		if page.full(l.Paging, e.at, after) {
			break
		}
		page.Items = append(page.Items, e.rt.summary())
	}
	return page
}

// A listed runtime stands somewhere in a list.
type listed struct {
	at Cursor
	rt *runtime
}

// list returns the runtimes of a list, from its cursor on.
func (i *Image) list(l Listing) (all []listed) {
	for rt := range i.runtimes.all() {
		if at := rt.cursor(l.ByActivity); at.compare(l.From) >= 0 && l.matches(rt) {
			all = append(all, listed{at, rt})
		}
	}
	if l.ByActivity {
		slices.SortFunc(all, func(a, b listed) int { return a.at.compare(b.at) })
	}
	return all
}

// cursor is where a runtime stands in a list.
func (rt *runtime) cursor(byActivity bool) Cursor {
	if byActivity {
		return Cursor{^uint64(rt.active), rt.place}
	}
	return Cursor{major: rt.place}
}

func (c Cursor) compare(d Cursor) int {
	return cmp.Or(cmp.Compare(c.major, d.major), cmp.Compare(c.minor, d.minor))
}

// An Idle says which runtimes expire: those that nobody has written to since a time. Of
// one whose last activity is not known that cannot be said.
type Idle struct {
	Since store.Time
	// Inputs are the states of inputs that do not matter. A runtime stays that has an
	// input which has not ended, and is in none of these.
	Inputs []store.InputLifecycleState
	DryRun bool // nothing is removed
	From   Cursor
}

func (e *Idle) expires(rt *runtime) bool {
	underWay := rt.openInputs()
	for i, state := range e.Inputs {
		if !state.IsTerminal() && !slices.Contains(e.Inputs[:i], state) {
			underWay -= rt.counts.in(e.Inputs[i : i+1])
		}
	}
	return rt.active > 0 && rt.active <= nanoseconds(e.Since) && underWay == 0
}

// Expire removes runtimes that are idle, in the order in which they were made, as far as
// one step goes. It says where the next one begins, if there may be more.
func (s *State) Expire(e Idle) (removed Removed, next Cursor, more bool) {
	looked, most := 0, s.removals()
	var gone []*runtime
	next = e.From
	for place, rt := range s.order.from(e.From.major) {
		if looked++; looked > lookAtOnce || most <= 0 {
			more = true
			break
		}
		next = Cursor{major: place + 1}
		if e.expires(rt) {
			gone = append(gone, rt)
			most -= 8 + s.keyRecords(rt) // with its tombstone, and what is filed
		}
	}
	for _, rt := range gone {
		if e.DryRun {
			removed.Totals = removed.Totals.Plus(rt.total())
			for range rt.sessions {
				add(&removed.Totals, aFiled, 1, snapshotBytes+filedBytes)
			}
		} else {
			removed = removed.Plus(s.DeleteRuntime(rt.id))
		}
	}
	return removed, next, more
}

// keyRecords returns how many records the keys count for that a tombstone of a runtime may
// have.
func (s *State) keyRecords(rt *runtime) int {
	if s.Tombstones.IsZero() || s.Retention.Keys.IsZero() {
		return 0
	}
	n := int64(0)
	for u := range rt.few().used.values.all() {
		n += int64(len(u.key)) + keyRecordBytes
	}
	for key := range rt.keys {
		n += int64(len(key)) + keyRecordBytes
	}
	return int(min(n/removalBytes, math.MaxInt32))
}

// nanoseconds returns a time in Unix nanoseconds, 0 if that is no number above it.
func nanoseconds(t store.Time) int64 {
	const most = 1<<63/1_000_000_000 - 1
	if t.IsZero() {
		return 0
	}
	at := t.Time()
	if second := at.Unix(); second < 0 || second > most {
		return 0
	}
	return at.UnixNano()
}

// timeOf returns the time of Unix nanoseconds.
func timeOf(nanoseconds int64) store.Time { return store.TimeOf(time.Unix(0, nanoseconds)) }
