package state

import (
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A usedKey is kept after its input.
type usedKey struct {
	key   string
	input store.InputID // that had it last
	at    int64         // when it lost it, in Unix nanoseconds
}

func (u *usedKey) name() string { return u.key }

// keyComes takes notice of an input that comes to a place.
func (rt *runtime) keyComes(in input, at uint64) {
	if !in.hasKey() {
		return
	}
	if rt.keys == nil {
		rt.keys = make(map[string]uint64)
	}
	key := *in.IdempotencyKey
	first, ok := rt.keys[key]
	if !ok {
		rt.keys[key] = at
		return
	}
	r := rt.more()
	if r.several == nil {
		r.several = make(map[string]*list[struct{}])
	}
	all := r.several[key]
	if all == nil {
		all = new(list[struct{}])
		all.set(first, struct{}{})
		r.several[key] = all
	}
	all.set(at, struct{}{})
	rt.keys[key] = min(first, at)
}

// keyLeaves takes notice of an input that leaves its place.
func (rt *runtime) keyLeaves(in input, at uint64) {
	if !in.hasKey() {
		return
	}
	key := *in.IdempotencyKey
	all := rt.few().several[key]
	if all == nil {
		delete(rt.keys, key)
		return
	}
	all.remove(at)
	rt.keys[key] = all.chunks[0].items[0].number
	if all.len == 1 {
		delete(rt.rare.several, key)
	}
}

// otherWith returns the place of another input that has the key of the one at a place.
func (rt *runtime) otherWith(key string, at uint64) (place uint64, ok bool) {
	if all := rt.few().several[key]; all != nil {
		for place = range all.from(0) {
			if place != at {
				return place, true
			}
		}
	}
	return 0, false
}

func (in input) hasKey() bool { return in.there() && in.IdempotencyKey != nil }

// takeKey ends the keeping of a key that an input has got: it is kept again when no input
// has it any more.
func (s *State) takeKey(rt *runtime, in input) {
	if rt.few().used.values.len == 0 || !in.hasKey() {
		return
	}
	if _, at, kept := rt.rare.used.find(*in.IdempotencyKey); kept {
		s.set(rt, part{kind: aKey, at: at}, value{})
	}
}

// keepKey keeps the key that an input had, if no input has it any more.
func (s *State) keepKey(rt *runtime, before input) {
	if !before.hasKey() {
		return
	}
	key := *before.IdempotencyKey
	if _, has := rt.keys[key]; has {
		return
	}
	s.putKey(rt, &usedKey{key, before.InputID, nanoseconds(s.Now)})
}

// swapKey puts a key in a place, nil to remove the one that stands, and returns that.
func (s *State) swapKey(rt *runtime, at uint64, u *usedKey) (old *usedKey) {
	used := &rt.more().used
	before := used.values.len
	old = swap(used, at, u, (*usedKey).name)
	if n := min(used.values.len, 1) - min(before, 1); n != 0 { // it has any now, or none any more
		s.held.RuntimeBytes += int64(n * keysBytes)
		rt.held.RuntimeBytes += int64(n * keysBytes)
	}
	return old
}

// knows reports whether an input has a key, or it is kept, however old.
func (rt *runtime) knows(key string) bool {
	_, has := rt.keys[key]
	_, kept := rt.few().used.place(key)
	return has || kept
}

// putKey adds a key to those that are kept.
func (s *State) putKey(rt *runtime, u *usedKey) {
	s.set(rt, part{kind: aKey, at: rt.few().used.next}, value{key: u})
}

// keeps reports whether a key that is kept is not too old.
func (s *State) keeps(u *usedKey) bool { return !u.old(s.Retention.Keys, s.Now.Time()) }

func (u *usedKey) old(k store.Keep, now time.Time) bool { return tooOld(k, u.at, now) }

// tooOld reports whether what came to be at a time, in Unix nanoseconds, is kept no longer.
func tooOld(k store.Keep, at int64, now time.Time) bool {
	return k.For > 0 && !now.Before(time.Unix(0, at).Add(k.For))
}

// buried reports whether a runtime that was deleted keeps a key.
func (s *State) buried(id store.RuntimeID, key string) bool {
	t := s.stone(id)
	return t != nil && slices.ContainsFunc(t.keys, func(u *usedKey) bool { return u.key == key && s.keeps(u) })
}

// HasKey reports whether an input of the runtime has the idempotency key, or the key is
// kept of one, also by the tombstone of the runtime.
func (s *State) HasKey(id store.RuntimeID, key string) bool {
	rt := s.runtimes[id]
	if rt == nil {
		return s.buried(id, key)
	}
	_, has := rt.keys[key]
	u, _, kept := rt.few().used.find(key)
	return has || kept && s.keeps(u)
}

// InputByKey returns the first input that has an idempotency key, nil if none has, and its
// version.
func (s *State) InputByKey(id store.RuntimeID, key string) (*store.InputState, uint64) {
	rt := s.runtimes[id]
	if rt == nil {
		return nil, 0
	}
	at, has := rt.keys[key]
	if !has {
		return nil, 0
	}
	in, _ := rt.inputs.values.get(at)
	return in.InputState, in.version
}

// checkKeys returns a *store.KeyError if keys are unique, and the changes of an operation
// have given an input a key that is taken.
func (s *State) checkKeys(changes []change) error {
	if !s.UniqueKeys {
		return nil
	}
	kept := s.keptBefore(changes)
	var had map[who]string // the keys before the operation; nil until that is asked
	for _, c := range changes {
		if c.part.kind != anInput || c.rt.deleted {
			continue
		}
		in, _ := c.rt.inputs.values.get(c.part.at)
		if !in.hasKey() {
			continue
		}
		err := taken(c.rt, in, c.part.at, kept)
		if err == nil {
			continue
		}
		if had == nil {
			had = s.keysBefore(changes)
		}
		if key, ok := had[who{c.rt, in.InputID}]; !ok || key != *in.IdempotencyKey {
			return err
		}
	}
	return nil
}

// taken returns a *store.KeyError if something else than an input has its key, or if that
// was kept.
func taken(rt *runtime, in input, at uint64, kept map[keyIn]store.InputID) error {
	if place, ok := rt.otherWith(*in.IdempotencyKey, at); ok {
		other, _ := rt.inputs.values.get(place)
		return &store.KeyError{RuntimeID: rt.id, InputID: other.InputID, There: true}
	}
	if last, ok := kept[keyIn{rt, *in.IdempotencyKey}]; ok {
		return &store.KeyError{RuntimeID: rt.id, InputID: last}
	}
	return nil
}

// A keyIn is a key in one runtime.
type keyIn struct {
	rt  *runtime
	key string
}

// keptBefore returns the keys that changes may give to no input, each with the input that
// had it last: those that were kept before, of a runtime or of one that they have brought
// back, and if any are kept those of inputs that they have removed. A key that one input
// passes on to another is not among them.
func (s *State) keptBefore(changes []change) (kept map[keyIn]store.InputID) {
	type where struct {
		rt *runtime
		at uint64
	}
	var seen map[where]bool // places of kept keys of which the first change has come
	note := func(rt *runtime, key string, last store.InputID) {
		if kept == nil {
			kept = make(map[keyIn]store.InputID)
		}
		kept[keyIn{rt, key}] = last
	}
	for _, c := range changes {
		switch in := c.old.input; {
		case c.old.stone != nil:
			for _, u := range c.old.stone.keys {
				if s.stands(c.old.stone) && s.keeps(u) {
					note(s.runtimes[c.old.stone.id], u.key, u.input)
				}
			}
		case c.part.kind == aKey && !seen[where{c.rt, c.part.at}]:
			if seen == nil {
				seen = make(map[where]bool)
			}
			seen[where{c.rt, c.part.at}] = true
			if u := c.old.key; u != nil && s.keeps(u) {
				note(c.rt, u.key, u.input)
			}
		case s.hadKey(in) && !s.Retention.Keys.IsZero():
			if _, _, there := c.rt.inputs.find(in.InputID); !there {
				note(c.rt, *in.IdempotencyKey, in.InputID)
			}
		}
	}
	return kept
}

type who struct {
	rt *runtime
	id store.InputID
}

// keysBefore returns the keys that inputs had before the changes.
func (s *State) keysBefore(changes []change) map[who]string {
	had := make(map[who]string)
	for _, c := range changes {
		if before := c.old.input; s.hadKey(before) {
			had[who{c.rt, before.InputID}] = *before.IdempotencyKey
		}
	}
	return had
}

// hadKey reports whether an input that was replaced or removed is from before the
// operation, which gives its own inputs the pending revision, and had a key.
func (s *State) hadKey(in input) bool { return in.hasKey() && in.version < s.Pending() }

// pruneKeys returns the first keys that are more than are kept, or too old, up to so many.
// One that is not too old keeps those after it.
func pruneKeys(k store.Keep, used list[*usedKey], now time.Time, most int) (gone []*usedKey) {
	for u := range used.first(most) {
		if tooMany := k.Last > 0 && used.len-len(gone) > k.Last; !tooMany && !u.old(k, now) {
			break
		}
		gone = append(gone, u)
	}
	return gone
}

// keyRecordBytes is no less than the record of a kept key takes, without the key.
const keyRecordBytes = 64

// keysLeft returns the keys that are kept of a runtime that goes: those that are, and those
// of its inputs. They are the last ones, if a batch has no room for all that a revival
// stores.
func (s *State) keysLeft(rt *runtime) []*usedKey {
	k := s.Retention.Keys
	if k.IsZero() {
		return nil
	}
	all := slices.Collect(rt.few().used.values.all())
	for at, in := range rt.inputs.values.from(0) {
		if in.hasKey() && rt.keys[*in.IdempotencyKey] == at {
			all = append(all, &usedKey{*in.IdempotencyKey, in.InputID, nanoseconds(s.Now)})
		}
	}
	first := 0
	if k.Last > 0 {
		first = max(0, len(all)-k.Last)
	}
	room := s.piece()
	for at := len(all) - 1; at >= first; at-- {
		if room -= int64(keyRecordBytes + len(all[at].key)); room < 0 {
			first = at + 1
		}
	}
	return slices.Clone(all[first:]) // a tombstone has no more than that
}
