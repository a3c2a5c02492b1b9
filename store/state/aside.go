package state

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// An Aside is a runtime that was set aside: a journal has it, and not all of it is as it
// was written.
type Aside struct {
	RuntimeID store.RuntimeID
	Reason    string // what is wrong first, and where in the journal
}

// An AsideError is the error of an operation on a runtime that was set aside, or on a
// session that such a runtime filed. The operation was not applied.
type AsideError struct{ Aside }

func (e *AsideError) Error() string {
	return fmt.Sprintf("%v: runtime %q is set aside: %s", journal.ErrCorrupt, e.RuntimeID.Short(), e.Reason)
}

// Is reports whether target is journal.ErrCorrupt.
func (e *AsideError) Is(target error) bool { return target == journal.ErrCorrupt }

// asides are what a State has set aside. The journal keeps its records, and what the first
// one counts of them.
type asides struct {
	runtimes map[store.RuntimeID]Aside
	sessions map[store.SessionID]store.RuntimeID // that they have filed

	counts struct {
		runtimes, sessions, parts uint64
		kept                      uint64 // parts that are theirs, perhaps, and of nothing else
	}
}

// Asides returns the runtimes that were set aside, in the order of their ids.
func (s *State) Asides() []Aside { return sorted(maps.Values(s.aside.runtimes)) }

// HasAsides reports whether there are any.
func (s *State) HasAsides() bool { return len(s.aside.runtimes) > 0 }

// CheckRuntime returns an *AsideError if a runtime was set aside.
func (s *State) CheckRuntime(id store.RuntimeID) error {
	if a, ok := s.aside.runtimes[id]; ok {
		return &AsideError{a}
	}
	return nil
}

// CheckSession returns an *AsideError if a runtime that was set aside filed a session.
func (s *State) CheckSession(id store.SessionID) error {
	if by, ok := s.aside.sessions[id]; ok {
		return s.CheckRuntime(by)
	}
	return nil
}

// How a Replay takes what is damaged.
type leniency int

const (
	strict       leniency = iota // not at all
	settingAside                 // it sets the runtime aside
	salvaging                    // likewise, and goes on without what has no name any more
)

// SetAside makes a Replay set aside each runtime that is damaged, instead of failing. It
// still fails if a damaged one cannot be named any more. It is called before Put.
func (r *Replay) SetAside() { r.lenient(settingAside) }

// Salvage makes a Replay take all runtimes that are whole, and nothing else. The State is
// not that of the journal then. It is called before Put.
func (r *Replay) Salvage() { r.lenient(salvaging) }

func (r *Replay) lenient(how leniency) {
	r.leniency = how
	r.damage = damage{
		lost: make(map[uint64]bool), aside: make(map[uint64]Aside), sessions: make(map[store.SessionID]store.RuntimeID), nameless: make(map[uint64]bool),
	}
}

// damage is what a lenient Replay has found.
type damage struct {
	first    error                               // that it did not fail with
	lost     map[uint64]bool                     // parts of texts, by name
	aside    map[uint64]Aside                    // runtimes, by place
	sessions map[store.SessionID]store.RuntimeID // that those have filed
	nameless map[uint64]bool                     // places of runtimes that cannot be named
	filed    int                                 // snapshots of which it cannot be said whose they are
	stones   int                                 // tombstones
	missing  int                                 // runtimes of which nothing is there
}

// damaged takes notice of a record that cannot be, and returns nil if the Replay goes on.
func (r *Replay) damaged(key []byte, err error) error {
	if r.leniency == strict || !errors.Is(err, journal.ErrCorrupt) {
		return err
	}
	d, o := &r.damage, &r.current
	if d.first == nil {
		d.first = err
	}
	k := payloadReader{rest: key}
	kind, number, sub := k.byte(), k.fixed(), k.byte()
	switch {
	case len(key) == 1+8 && kind == keyRoot:
		d.lost[number] = true
	case kind == keyStone:
		r.endCurrent()
		d.stones++
	case kind == keyDeleted:
		r.endCurrent()
	case kind != keyRuntime && kind != keyFiled:
		if r.leniency == settingAside {
			return err
		}
		r.assumeRoot()
	case o.kind == kind && o.place == number:
		o.damage = cmp.Or(o.damage, reasonOf(err))
	case sub == subHead:
		r.endCurrent()
		*o = pending{kind: kind, place: number, damage: reasonOf(err)}
	case kind == keyRuntime:
		d.nameless[number] = true
	default:
		d.filed++
	}
	return nil
}

// reasonOf is what an error says besides that it is journal.ErrCorrupt.
func reasonOf(err error) string {
	return strings.TrimPrefix(err.Error(), journal.ErrCorrupt.Error()+": ")
}

// assumeRoot stands in for the first record, when that is lost.
func (r *Replay) assumeRoot() {
	r.root = rootCounts{there: 1, revision: MaxRevision, next: maxPlace, names: maxPlace}
	r.root.leap = MaxRevision
	r.state.sessions.next, r.state.texts.names, r.state.stones.next = maxPlace, maxPlace, maxPlace
	r.assumed = true
}

// endCurrent ends what is pending. Unless the Replay is lenient it returns what is wrong
// with that.
func (r *Replay) endCurrent() (reason string) {
	reason = r.finish()
	if reason == "" || r.leniency == strict {
		return reason
	}
	d, o := &r.damage, &r.current
	if d.first == nil {
		d.first = corrupt(keyOf(o.kind, o.place, subHead), reason)
	}
	switch {
	case o.kind == keyFiled && o.by != nil:
		d.sessions[o.filed.session] = o.by.id
		r.putAside(o.by, reason)
	case o.kind == keyFiled:
		d.filed++
	case o.rt == nil:
		d.nameless[o.place] = true
	default:
		r.putAside(o.rt, reason)
	}
	*o = pending{}
	return ""
}

// putAside takes a runtime out of the State again.
func (r *Replay) putAside(rt *runtime, reason string) {
	s := r.state
	for id := range rt.sessions {
		at, _ := s.sessions.place(id)
		s.swap(nil, part{kind: aFiled, at: at}, &value{})
		r.damage.sessions[id] = rt.id
	}
	s.swap(rt, part{kind: theRuntime}, &value{})
	r.damage.aside[rt.place] = Aside{rt.id, reason}
}

// asideFiled reports whether a snapshot that no runtime of the State has filed is that of
// one that was set aside, or has no owner that can be named.
func (r *Replay) asideFiled(id store.SessionID, by uint64) bool {
	d := &r.damage
	a, ok := d.aside[by]
	switch {
	case r.leniency == strict:
		return false
	case ok:
		d.sessions[id] = a.RuntimeID
	default:
		d.filed++
	}
	r.current = pending{}
	return true
}

// doneLenient ends a Replay that has found damage.
func (r *Replay) doneLenient() error {
	s, d := r.state, &r.damage
	runtimes, sessions := uint64(s.order.len+len(d.aside)+len(d.nameless)), uint64(s.sessions.values.len+len(d.sessions)+d.filed)
	if r.root.runtimes > runtimes {
		d.missing = int(r.root.runtimes - runtimes)
	}
	r.leaveParts()
	s.texts.settle()
	s.revision, s.leap, s.next = r.root.revision, r.root.leap, r.root.next
	if r.assumed {
		s.revision, s.leap = s.highestRevisions()
	}
	r.goOn()
	if r.leniency == salvaging {
		return nil
	}
	parts, most := uint64(s.texts.written), r.root.parts+r.root.kept
	if stones := uint64(s.stones.values.len); d.stones > 0 || stones != r.root.stones {
		return fmt.Errorf("%w; the runtimes that were deleted are not all known any more: salvage the journal", d.first)
	}
	if len(d.nameless)+d.filed > 0 || r.root.runtimes != runtimes || r.root.sessions != sessions || parts > most {
		return fmt.Errorf("%w; some of the runtimes that are damaged can no longer be named, so none is set aside: salvage the journal", d.first)
	}
	s.left = leftOvers{records: r.root.leftOvers}
	s.aside = asides{runtimes: make(map[store.RuntimeID]Aside), sessions: d.sessions}
	for _, a := range d.aside {
		s.aside.runtimes[a.RuntimeID] = a
	}
	s.aside.counts.runtimes, s.aside.counts.sessions = runtimes-uint64(s.order.len), sessions-uint64(s.sessions.values.len)
	s.aside.counts.parts = max(r.root.parts, parts) - parts
	s.aside.counts.kept = most - parts - s.aside.counts.parts
	return nil
}

// highestRevisions returns the highest revision of a runtime or a tombstone, and the
// highest version of an input, which is beyond that after an import.
func (s *State) highestRevisions() (revision, version uint64) {
	for rt := range s.order.all() {
		revision = max(revision, rt.version)
		for in := range rt.inputs.values.all() {
			version = max(version, in.version)
		}
	}
	for t := range s.stones.values.all() {
		revision = max(revision, t.revision)
	}
	return revision, version
}

// Salvaged is what a Replay that salvages has not taken.
type Salvaged struct {
	Asides   []Aside // in the order of their ids
	Nameless int     // runtimes that are damaged, and can no longer be named
	Sessions int     // filed snapshots that are lost, but for those of the Asides
	Stones   int     // tombstones that are lost
	Revision bool    // how much there was is lost; the revision is that of the last runtime or tombstone
}

// Salvaged returns what was not taken, after Done.
func (r *Replay) Salvaged() Salvaged {
	d := &r.damage
	return Salvaged{
		Asides: sorted(maps.Values(d.aside)), Nameless: len(d.nameless) + d.missing, Sessions: d.filed, Stones: d.lostStones(r.root.stones, r.state), Revision: r.assumed,
	}
}

// lostStones returns how many tombstones there were that are not there.
func (d *damage) lostStones(were uint64, s *State) int {
	return max(d.stones, int(were)-s.stones.values.len)
}

func sorted(asides iter.Seq[Aside]) []Aside {
	return slices.SortedFunc(asides, func(a, b Aside) int { return cmp.Compare(a.RuntimeID, b.RuntimeID) })
}

// RuntimeOf returns the runtime that the record with a key is of, if it is held.
func (s *State) RuntimeOf(key []byte) (id store.RuntimeID, ok bool) {
	k := payloadReader{rest: key}
	if kind, place := k.byte(), k.fixed(); kind == keyRuntime && !k.bad {
		if rt, ok := s.order.get(place); ok {
			return rt.id, true
		}
	}
	return "", false
}

// Unit returns how many bytes of a record's key say which runtime, or filed snapshot, it is
// of, 0 if it is a part of a text, which never changes.
func Unit(key []byte) int {
	if len(key) == 1+8 && key[0] == keyRoot {
		return 0
	}
	return min(len(key), 1+8)
}
