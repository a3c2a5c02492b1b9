package lincheck

import (
	"slices"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A tombstone is what is left of a runtime that was deleted.
type tombstone struct {
	id    store.RuntimeID
	floor floor
	keys  []usedKey
}

func (t tombstone) equal(u tombstone) bool {
	return t.id == u.id && t.floor == u.floor && slices.Equal(t.keys, u.keys)
}

// A floor is the sequence that runs come after, if there is one.
type floor struct {
	sequence uint64
	there    bool
}

// highest returns the highest sequence of any run, now and before the runtime was deleted.
func (s *model) highest() floor {
	all := s.floor
	for _, r := range s.runs {
		all.sequence, all.there = max(all.sequence, r.receipts[len(r.receipts)-1].sequence), true
	}
	return all
}

// dead reports whether a call would make a runtime again that has a tombstone.
func (w *world) dead(c *call) bool {
	id := c.runtime
	switch c.args.(type) {
	case batch.DeleteRuntime, batch.DeleteInputState, batch.ReviveRuntime:
		return false
	case nil:
		if c.kind != ops.KindFork {
			return false
		}
		id = c.to
	}
	return w.stone(id) >= 0
}

// stone returns where the tombstone of a runtime is, or -1.
func (w *world) stone(id store.RuntimeID) int {
	return slices.IndexFunc(w.stones, func(t tombstone) bool { return t.id == id })
}

// buried reports whether a condition wants a key free that a tombstone keeps.
func (w *world) buried(c condition) bool {
	at := w.stone(c.runtime)
	if free, ok := c.Condition.(batch.KeyFree); ok && at >= 0 {
		return slices.ContainsFunc(w.stones[at].keys, func(u usedKey) bool { return u.key == free.Key })
	}
	return false
}

// remove removes a runtime, and reports whether there was one.
func (w *world) remove(id store.RuntimeID) bool {
	s := w.at(id)
	if s == nothing {
		return false
	}
	if w.rules.stones > 0 {
		w.stones = append(slices.Clip(w.stones), tombstone{id, s.highest(), s.keysLeft(w.rules.keys)})
	}
	w.put(id, nothing)
	w.untouch(id)
	return true
}

// revive brings a runtime back, and reports whether it had a tombstone.
func (w *world) revive(id store.RuntimeID) bool {
	at := w.stone(id)
	if at < 0 {
		return false
	}
	t, now := w.stones[at], w.next()
	w.stones = slices.Delete(slices.Clone(w.stones), at, at+1)
	w.put(id, &model{version: now.version, guessed: now.guessed, floor: t.floor, used: t.keys})
	w.touch(id)
	return true
}
