package state

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// A What is what of a runtime has changed: a set of bits.
type What uint8

// What may change.
const (
	RuntimeMade    What = 1 << iota // it was not there, or another was that had its id
	RuntimeDeleted                  // alone: it is not there any more
	StateChanged                    // the runtime's state
	SessionChanged                  // its session, or an earlier version of it
	InputsChanged                   // its inputs, or keys that are kept of them
	ReceiptsChanged
	LabelsChanged
	everything = 1<<iota - 1 - RuntimeDeleted
)

var whatNames = []string{"made", "deleted", "state", "session", "inputs", "receipts", "labels"}

// Has reports whether any of some bits is set.
func (w What) Has(any What) bool { return w&any != 0 }

// String returns the names of the bits that are set, such as "made, state".
func (w What) String() string {
	var names []string
	for i, name := range whatNames {
		if w.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// MarshalText returns the names of the bits that are set.
func (w What) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// whatOf says what a change of a part is.
var whatOf = [numKinds]What{
	theState: StateChanged, theSession: SessionChanged, aPast: SessionChanged, anInput: InputsChanged, aKey: InputsChanged,
	aRun: ReceiptsChanged, aDropped: ReceiptsChanged, aReceipt: ReceiptsChanged, theLatest: ReceiptsChanged, theLabels: LabelsChanged,
}

// A Change says that a runtime has changed since a cursor.
type Change struct {
	RuntimeID store.RuntimeID `json:"runtime_id"`
	// What has changed. A bit that is not set has not; where it is not known exactly any
	// more, all are set but RuntimeDeleted.
	What    What         `json:"what"`
	Version uint64       `json:"version"` // of the runtime, or the revision of its deletion
	Cursor  ChangeCursor `json:"cursor"`  // after this change
}

// A ChangeCursor stands somewhere among the changes of all runtimes. It names the store, by
// a random number, and what was there. It is text without spaces, and may be kept. The empty
// one stands before everything in any store.
type ChangeCursor string

// A point is a place among the changes: those of a revision come by the places of their
// runtimes.
type point struct{ revision, place uint64 }

func (p point) compare(q point) int {
	return cmp.Or(cmp.Compare(p.revision, q.revision), cmp.Compare(p.place, q.place))
}

// A cursor is what a ChangeCursor names: whoever has it knows the runtimes that have not
// changed after a point, and the others as they were at an earlier one, since of each only
// the last change is shown.
type cursor struct {
	life      uint64
	at, since point
}

// cursorBytes is the longest cursor, before it is text.
const cursorBytes = 8 + 4*binary.MaxVarintLen64

func (c cursor) text() ChangeCursor {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorBytes), c.life)
	b = appendNumbers(b, c.at.revision, c.at.place+1, c.at.revision-c.since.revision, c.since.place+1) // the last place is 0
	return ChangeCursor(base64.RawURLEncoding.EncodeToString(b))
}

// parse returns what a cursor names. The error is a *store.ValueError.
func (c ChangeCursor) parse() (named cursor, err error) {
	if c == "" {
		return cursor{}, nil
	}
	if base64.RawURLEncoding.DecodedLen(len(c)) <= cursorBytes {
		b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
		r := payloadReader{rest: b}
		named.life, named.at = r.fixed(), point{r.number(), r.number() - 1}
		back := r.number()
		named.since = point{named.at.revision - back, r.number() - 1}
		if err == nil && r.done() && named.life > 0 && named.at.revision <= MaxRevision && back <= named.at.revision && named.since.compare(named.at) <= 0 && named.text() == c {
			return named, nil
		}
	}
	return cursor{}, &store.ValueError{Field: "cursor", Reason: "not one of a feed of changes"}
}

// A feed is what a State keeps for those who follow its changes, once somebody does.
type feed struct {
	life      uint64                             // that cursors name, 0 as long as there are none
	deleted   series[store.RuntimeID, *deletion] // in their order
	bytes     int                                // of the ids of those
	forgotten uint64                             // revision of a deletion that is forgotten, no later one is
	begins    point                              // recent has all changes after it
	recent    []noted                            // in their order
	moment    *moment                            // that ends with the next change; nil if nobody waits
}

// A deletion is what the feed knows of a runtime that is not there.
type deletion struct {
	id    store.RuntimeID
	point point
}

func (d *deletion) runtimeID() store.RuntimeID { return d.id }

// A noted change is one of a revision.
type noted struct {
	id   store.RuntimeID
	at   point
	what What
}

func (n noted) compare(m noted) int { return n.at.compare(m.at) }

const (
	recentChanges   = 1024 // that are known exactly, at least
	defaultDeleted  = 1024
	maxDeletedBytes = 1 << 20 // of ids of runtimes that were deleted
)

// makeRoom drops what is more than need be known exactly. Readers have the old list.
func (f *feed) makeRoom() {
	if len(f.recent) >= 2*recentChanges {
		last := len(f.recent) - recentChanges
		f.begins = f.recent[last-1].at
		f.recent = append(make([]noted, 0, 2*recentChanges+len(f.recent)/8), f.recent[last:]...)
	}
}

// forget takes back what was noted after a revision.
func (f *feed) forget(revision uint64) {
	for len(f.recent) > 0 && f.recent[len(f.recent)-1].at.revision > revision {
		f.recent = f.recent[:len(f.recent)-1]
	}
	if f.begins.revision > revision {
		f.begins = point{revision, math.MaxUint64}
	}
}

// startOver makes all that there is a change that is not known exactly.
func (f *feed) startOver(revision uint64) { f.recent, f.begins = nil, point{revision, math.MaxUint64} }

// noteChanges notes the changes of a revision.
func (s *State) noteChanges() {
	f := &s.feed
	if f.life == 0 {
		return
	}
	f.makeRoom()
	n := len(f.recent)
	for _, t := range s.changed {
		what := t.rt.what
		switch {
		case t.rt.deleted:
			what = RuntimeDeleted
		case t.rt.version == 0:
			what |= RuntimeMade
		}
		f.recent = append(f.recent, noted{t.rt.id, point{s.revision, t.rt.place}, what})
	}
	slices.SortFunc(f.recent[n:], noted.compare)
	s.over = f.end(s.over)
}

// end adds the moment that ends with a change to those that end.
func (f *feed) end(over []*moment) []*moment {
	if f.moment != nil {
		over, f.moment = append(over, f.moment), nil
	}
	return over
}

// rememberDeleted notes the deletion of a runtime for those who were not there, and forgets
// the first ones that are too many.
func (s *State) rememberDeleted(rt *runtime) {
	f := &s.feed
	if f.life == 0 {
		return
	}
	most := s.Deletions
	if most == 0 {
		most = defaultDeleted
	}
	d := &deletion{rt.id, point{s.Pending(), rt.place}}
	s.set(nil, part{kind: aDeletion, at: f.deleted.next}, value{deletion: d})
	const atOnce = 4 // if there are more, the next ones go on
	for range atOnce {
		if f.deleted.values.len == 0 || f.deleted.values.len <= most && f.bytes <= maxDeletedBytes {
			break
		}
		first := f.deleted.values.chunks[0].items[0]
		s.set(nil, part{kind: theForgotten}, value{number: max(f.forgotten, first.value.point.revision)})
		s.set(nil, part{kind: aDeletion, at: first.number}, value{})
	}
}

// isMade ends the deletion of a runtime that is made again.
func (s *State) isMade(id store.RuntimeID) {
	if at, ok := s.feed.deleted.place(id); ok {
		s.set(nil, part{kind: aDeletion, at: at}, value{})
	}
}

func (s *State) swapDeletion(at uint64, d *deletion) *deletion {
	f := &s.feed
	old := swap(&f.deleted, at, d, (*deletion).runtimeID)
	if d != nil {
		f.bytes += len(d.id)
	}
	if old != nil {
		f.bytes -= len(old.id)
	}
	return old
}

// Changes are those after a cursor, as they are at one moment. They never change.
type Changes struct {
	after   cursor
	now     cursor
	recent  []noted
	image   *Image          // if they are not all recent, else nil
	deleted list[*deletion] // with the image
	moment  *moment
}

// ChangesCursor returns the cursor after all changes. For the number see LoadChanges.
func (s *State) ChangesCursor(random uint64) ChangeCursor { return s.follow(random).text() }

// follow begins the feed, if nobody has asked before, and returns the cursor after all changes.
func (s *State) follow(random uint64) cursor {
	f := &s.feed
	if f.life == 0 {
		f.life = random
		f.startOver(s.revision)
	}
	now := point{s.revision, math.MaxUint64}
	return cursor{f.life, now, now}
}

// ChangesAfter returns those after a cursor, none of which is there before State.LoadChanges.
// The error is a *store.ValueError.
func ChangesAfter(c ChangeCursor) (all Changes, err error) {
	all.after, err = c.parse()
	return all, err
}

// SkipChanges returns those after all that there are.
func (s *State) SkipChanges(random uint64) Changes { return Changes{after: s.follow(random)} }

// LoadChanges looks changes up. The error is a store.ErrCursorExpired. The number is random,
// and not 0: it names the store, if nobody has asked before.
func (s *State) LoadChanges(c *Changes, random uint64) error {
	c.now = s.follow(random)
	f, named := &s.feed, c.after
	exactly := named.since.compare(f.begins) >= 0
	switch {
	case named.life == 0: // it stands before everything
	case named.life != f.life || named.at.compare(c.now.at) > 0:
		return fmt.Errorf("%w: it is of another store, or of this one before its feed was stored", store.ErrCursorExpired)
	case !exactly && named.at.compare(point{f.forgotten, math.MaxUint64}) < 0:
		return fmt.Errorf("%w: deletions after it are forgotten", store.ErrCursorExpired)
	}
	if !exactly {
		c.image = s.Image()
		c.deleted = f.deleted.values.copy()
	} else {
		from, _ := slices.BinarySearchFunc(f.recent, named.since, func(n noted, at point) int {
			if n.at.compare(at) <= 0 {
				return -1
			}
			return 1
		})
		c.recent = f.recent[from:len(f.recent):len(f.recent)]
	}
	if f.moment == nil {
		f.moment = new(moment)
	}
	c.moment = f.moment
	return nil
}

// Next is the cursor after all of them.
func (c Changes) Next() ChangeCursor { return c.now.text() }

// More returns a channel that is closed when there are more, or when the store is closed.
func (c Changes) More() <-chan struct{} { return c.moment.ended() }

// All returns them, each runtime once, in the order of their last changes.
func (c Changes) All() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		all := c.noted()
		for i, n := range all {
			after := cursor{c.now.life, n.at, c.after.since}
			if i == len(all)-1 {
				after = c.now
			}
			if !yield(Change{n.id, n.what, n.at.revision, after.text()}) {
				return
			}
		}
	}
}

// noted returns what each runtime's last change is, with what was before that.
func (c Changes) noted() (all []noted) {
	if c.image != nil {
		return c.older()
	}
	last := make(map[store.RuntimeID]int, len(c.recent))
	for _, n := range c.recent {
		if at, ok := last[n.id]; ok {
			before := all[at].what
			all[at].at = point{} // it is not the last
			if !n.what.Has(RuntimeDeleted | RuntimeMade) {
				n.what |= before
			}
		}
		last[n.id] = len(all)
		all = append(all, n)
	}
	return slices.DeleteFunc(all, func(n noted) bool { return n.at.compare(c.after.at) <= 0 })
}

// older returns all changes of which not each is known exactly.
func (c Changes) older() (all []noted) {
	for rt := range c.image.runtimes.all() {
		if at := (point{rt.version, rt.place}); at.compare(c.after.at) > 0 {
			all = append(all, noted{rt.id, at, everything})
		}
	}
	if c.after.life != 0 { // else nothing was known that could be gone
		for d := range c.deleted.all() {
			if d.point.compare(c.after.at) > 0 {
				all = append(all, noted{d.id, d.point, RuntimeDeleted})
			}
		}
	}
	slices.SortFunc(all, noted.compare)
	return all
}
