package lincheck

import (
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A usedKey is an idempotency key that is kept without its input.
type usedKey struct {
	key   string
	input store.InputID // that had it last
}

// A keyTaken is what a *store.KeyError shows.
type keyTaken struct {
	runtime store.RuntimeID
	input   store.InputID
	there   bool
}

// has returns where the first input is that has a key, but for one place, or -1.
func (s *model) has(key string, but int) int {
	for at, in := range s.inputs {
		if at != but && in.key == key {
			return at
		}
	}
	return -1
}

// keepKey keeps the key that an input had, if no input has it any more.
func (s *model) keepKey(before input, keep int) {
	if keep == 0 || before.key == "" || s.has(before.key, -1) >= 0 {
		return
	}
	s.used = append(withoutKey(s.used, before.key), usedKey{before.key, before.id})
}

// withoutKey returns a copy of the list without a key.
func withoutKey(used []usedKey, key string) []usedKey {
	return slices.DeleteFunc(slices.Clone(used), func(u usedKey) bool { return u.key == key })
}

// keysLeft returns the keys that are kept of a runtime that goes: those that are, and those of
// its inputs.
func (s *model) keysLeft(keep int) (all []usedKey) {
	if keep == 0 {
		return nil
	}
	all = slices.Clone(s.used)
	for at, in := range s.inputs {
		if in.key != "" && s.has(in.key, -1) == at {
			all = append(withoutKey(all, in.key), usedKey{in.key, in.id})
		}
	}
	return last(all, keep)
}

// last returns the last n of a list, all if n is 0.
func last[T any](list []T, n int) []T {
	if n == 0 || len(list) <= n {
		return list
	}
	return list[len(list)-n:]
}

// free reports whether no input has a key, and it is not kept either.
func (s *model) free(key string) bool {
	return s.has(key, -1) < 0 && !slices.ContainsFunc(s.used, func(u usedKey) bool { return u.key == key })
}

// A put is an input that an operation has stored, in a runtime.
type put struct {
	runtime store.RuntimeID
	input   store.InputID
}

// puts are those of an operation, in order, and the runtimes that it has removed: what they
// held before it no longer counts.
type puts struct {
	all  []put
	gone map[store.RuntimeID]bool
	back map[store.RuntimeID][]usedKey // keys of runtimes that it has brought back
}

// note takes notice of a call, or of a write of a batch, that was done. It led to a world.
func (p *puts) note(c *call, changed bool, w *world) {
	switch args := c.args.(type) {
	case batch.ReviveRuntime:
		if changed {
			if p.back == nil {
				p.back = make(map[store.RuntimeID][]usedKey)
			}
			p.back[c.runtime] = w.at(c.runtime).used
		}
	case batch.DeleteRuntime:
		p.all = slices.DeleteFunc(p.all, func(one put) bool { return one.runtime == c.runtime })
		if p.gone == nil {
			p.gone = make(map[store.RuntimeID]bool)
		}
		p.gone[c.runtime] = true
		delete(p.back, c.runtime)
	case batch.DeleteInputState:
		p.all = slices.DeleteFunc(p.all, func(one put) bool { return one == put{c.runtime, args.InputID} })
	}
	for _, in := range c.inputs {
		p.all = append(p.all, put{c.runtime, in.id})
	}
}

// taken returns the answer to an operation, if keys are unique, and it has given an input a
// key that is taken when all of it is done.
func (w *world) taken(p *puts, before *world) *answer {
	if !w.rules.unique {
		return nil
	}
	for _, one := range p.all {
		s := w.at(one.runtime)
		at := s.find(one.input)
		if at < 0 || s.inputs[at].key == "" {
			continue
		}
		key := s.inputs[at].key
		had := before.at(one.runtime)
		if p.gone[one.runtime] {
			had = nothing
		}
		if i := had.find(one.input); i >= 0 && had.inputs[i].key == key {
			continue
		}
		if other := s.has(key, at); other >= 0 {
			return &answer{refusal: store.ErrKeyTaken, taken: keyTaken{one.runtime, s.inputs[other].id, true}}
		}
		kept := slices.Concat(had.used, p.back[one.runtime])
		if i := had.has(key, -1); i >= 0 && w.rules.keys > 0 && s.find(had.inputs[i].id) < 0 { // it was removed
			kept = append(kept, usedKey{key, had.inputs[i].id})
		}
		if i := slices.IndexFunc(kept, func(u usedKey) bool { return u.key == key }); i >= 0 {
			return &answer{refusal: store.ErrKeyTaken, taken: keyTaken{one.runtime, kept[i].input, false}}
		}
	}
	return nil
}
