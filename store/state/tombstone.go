package state

import (
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// A tombstone is what is left of a runtime that was deleted. It never changes.
type tombstone struct {
	id       store.RuntimeID
	revision uint64     // of the deletion
	at       int64      // when that was, in Unix nanoseconds
	highest  sequence   // of any run
	keys     []*usedKey // that the Retention keeps
}

// DeleteRuntime removes all of a runtime, and returns what that was.
func (s *State) DeleteRuntime(id store.RuntimeID) Removed {
	rt := s.runtimes[id]
	if rt == nil {
		return Removed{}
	}
	rt = s.touch(rt)
	before := s.Totals()
	for session := range rt.sessions {
		at, _ := s.sessions.place(session)
		s.set(nil, part{kind: aFiled, at: at}, value{})
	}
	s.set(rt, part{kind: theRuntime}, value{})
	removed := Removed{Totals: minus(before, s.Totals())}
	s.rememberDeleted(rt)
	s.entomb(rt)
	return removed
}

// A Tombstone is what is left of a runtime that was deleted.
type Tombstone struct {
	RuntimeID       store.RuntimeID
	Revision        uint64     // of the deletion
	Deleted         store.Time // when that was; zero if that is not known
	HighestSequence *uint64    // of any run; nil if there was none
	Keys            []Key      // that are kept
}

// A Key is an idempotency key that is kept without its input.
type Key struct {
	Key     string
	InputID store.InputID // that had it last
	Since   store.Time    // when that lost it; zero if that is not known
}

func (k Key) used() *usedKey { return &usedKey{k.Key, k.InputID, nanoseconds(k.Since)} }

func (u *usedKey) value() Key { return Key{u.key, u.input, timeOf(u.at)} }

func (t *tombstone) value() Tombstone {
	v := Tombstone{RuntimeID: t.id, Revision: t.revision, Deleted: timeOf(t.at)}
	if t.highest.there {
		v.HighestSequence = new(t.highest.number)
	}
	for _, u := range t.keys {
		v.Keys = append(v.Keys, u.value())
	}
	return v
}

// distinct reports whether no key is there twice.
func (t *tombstone) distinct() bool {
	seen := make(map[string]bool, len(t.keys))
	for _, u := range t.keys {
		seen[u.key] = true
	}
	return len(seen) == len(t.keys)
}

func (t *tombstone) runtimeID() store.RuntimeID { return t.id }

// entomb puts a tombstone in the place of a runtime that was removed.
func (s *State) entomb(rt *runtime) {
	if s.Tombstones.IsZero() {
		return
	}
	s.putStone(&tombstone{rt.id, s.Pending(), nanoseconds(s.Now), rt.highestOfAll(), s.keysLeft(rt)})
}

func (s *State) putStone(t *tombstone) {
	s.set(nil, part{kind: aTombstone, at: s.stones.next}, value{stone: t})
}

// HasTombstones reports whether there are any.
func (s *State) HasTombstones() bool { return s.stones.values.len > 0 }

// stone returns the tombstone of a runtime, nil if there is none, or it is too old.
func (s *State) stone(id store.RuntimeID) *tombstone {
	if t, _, dead := s.stones.find(id); dead && s.stands(t) {
		return t
	}
	return nil
}

func (s *State) stands(t *tombstone) bool { return !tooOld(s.Tombstones, t.at, s.Now.Time()) }

// CheckDeleted returns a store.ErrDeleted if a runtime has a tombstone that is not too old.
func (s *State) CheckDeleted(id store.RuntimeID) error {
	if s.stone(id) != nil {
		return fmt.Errorf("%w: runtime %q", store.ErrDeleted, id.Short())
	}
	return nil
}

// unearth removes the tombstone of a runtime that is made again, if there is one.
func (s *State) unearth(id store.RuntimeID) {
	if at, dead := s.stones.place(id); dead {
		s.set(nil, part{kind: aTombstone, at: at}, value{})
	}
}

// Revive brings a runtime that was deleted back, with nothing in it. Runs begin after the
// highest sequence that any had, and keys that are kept are not free. Without a tombstone
// it does nothing.
func (s *State) Revive(id store.RuntimeID) {
	t := s.stone(id)
	if t == nil {
		return
	}
	rt := s.open(id)
	if t.highest.there {
		s.set(rt, part{kind: theFloor}, value{there: true, number: t.highest.number})
		s.raiseAll(rt, t.highest.number)
	}
	for _, u := range t.keys {
		s.putKey(rt, u)
	}
}

// sweepStones removes the first tombstones that are more than are kept, or too old, as far
// as the budget of an operation goes.
func (s *State) sweepStones(budget *int) {
	k, now := s.Tombstones, s.Now.Time()
	var gone []uint64
	for at, t := range s.stones.values.from(0) {
		tooMany := k.Last > 0 && s.stones.values.len-len(gone) > k.Last
		if len(gone) >= *budget || !tooMany && !tooOld(k, t.at, now) {
			break
		}
		gone = append(gone, at)
	}
	*budget -= len(gone)
	for _, at := range gone {
		s.set(nil, part{kind: aTombstone, at: at}, value{})
	}
}
