package lincheck

import (
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A condition is one of package batch, with its runtime.
type condition struct {
	batch.Condition
	runtime  store.RuntimeID
	recalled bool // its value is what the caller knows when it makes the call
	nth      int  // of the inputs that the caller knows the one that it is about
}

// forStore returns the conditions as the store takes them.
func forStore(conditions []condition) (all []batch.Condition) {
	for _, c := range conditions {
		all = append(all, c.Condition)
	}
	return all
}

func (g *generator) condition(of *call) condition {
	id := g.place(of)
	if g.spans && g.pick("the runtime known best", 2) == 1 && g.known != "" {
		id = g.known
	}
	c := condition{runtime: id, recalled: g.pick("recalled", 4) > 0}
	switch g.pick("condition", 15) {
	case 0:
		c.Condition = batch.RuntimeExists{RuntimeID: id}
	case 1:
		c.Condition = batch.RuntimeAbsent{RuntimeID: id}
	case 2:
		c.Condition = batch.RuntimeStateIs{RuntimeID: id, AnyOf: some(g, runtimeStates, unknown), OrNone: g.pick("or none", 4) == 1}
	case 3:
		c.Condition = batch.InputStateIs{RuntimeID: id, InputID: g.input(), AnyOf: some(g, inputStates, unknown)}
	case 4:
		c.Condition = batch.InputAbsent{RuntimeID: id, InputID: g.input()}
	case 5:
		c.Condition = batch.ReceiptAbsent{RuntimeID: id, RunID: g.run(), Sequence: g.sequence()}
	case 6:
		c.Condition = batch.KeyFree{RuntimeID: id, Key: g.sharedKey()}
	case 7, 8:
		c.Condition = batch.SessionDigestIs{RuntimeID: id}
	case 9, 10, 11:
		c.nth = g.pick("known input", inputIDs)
		c.Condition = batch.InputVersionIs{RuntimeID: id, InputID: g.input(), Version: uint64(g.pick("version", 20))}
	default:
		c.Condition = batch.VersionIs{RuntimeID: id, Version: uint64(g.pick("version", 20))}
	}
	return c
}

// guard gives a commit conditions of its own, at times. The store looks at them first.
func (g *generator) guard(c *call) {
	if g.pick("guarded", 4) < 3 {
		return
	}
	c.conditions = append(c.conditions, g.condition(c))
	if g.seldom("another condition", 4) {
		c.conditions = append(c.conditions, g.condition(c))
	}
	if slices.ContainsFunc(c.conditions, condition.invalid) {
		c.flaw = store.ErrInvalidValue
	}
}

// some returns about half of the values, seldom with an invalid one.
func some[T ~string](g *generator, all []T, flaw T) []T {
	from := g.pick("from", len(all))
	chosen := slices.Clone(all[from:min(len(all), from+1+g.pick("how many", len(all)))])
	if g.flawed() {
		chosen = append(chosen, flaw)
	}
	return chosen
}

// invalid reports whether a store must refuse the condition.
func (c condition) invalid() bool {
	switch c := c.Condition.(type) {
	case batch.RuntimeStateIs:
		return slices.Contains(c.AnyOf, unknown)
	case batch.InputStateIs:
		return slices.Contains(c.AnyOf, unknown)
	}
	return false
}

// holds reports whether a condition holds. One about a version that is only guessed does
// not: where the store's answer says that it did, the version has been learned before.
func (s *model) holds(c batch.Condition) bool {
	switch c := c.(type) {
	case batch.VersionIs:
		return !s.guessed && s.version == c.Version
	case batch.RuntimeExists:
		return s != nothing
	case batch.RuntimeAbsent:
		return s == nothing
	case batch.RuntimeStateIs:
		return slices.Contains(c.AnyOf, store.RuntimeState(s.status)) || c.OrNone && s.status == ""
	case batch.InputStateIs:
		at := s.find(c.InputID)
		return at >= 0 && slices.Contains(c.AnyOf, s.inputs[at].state)
	case batch.InputVersionIs:
		at := s.find(c.InputID)
		return at >= 0 && !s.inputs[at].guessed && s.inputs[at].version == c.Version
	case batch.InputAbsent:
		return s.find(c.InputID) < 0
	case batch.SessionDigestIs:
		if last := s.session(); last != nil && c.Digest != "" {
			return last.digest == c.Digest
		}
		return s.session() == nil && c.Digest == ""
	case batch.ReceiptAbsent:
		_, ok := s.receipt(c.RunID, c.Sequence)
		return !ok
	case batch.KeyFree:
		return s.free(c.Key)
	}
	return false
}

// check returns the answer to the first condition that does not hold, nil if all do, and
// learns what the store's answer shows of versions. write is the index of the write of a
// batch whose conditions they are, or -1. A refusal shows the version before the batch.
func (w *world) check(conditions []condition, write int, before *world, got *answer) *answer {
	for i, c := range conditions {
		if got.held(write, i) {
			w.learnHeld(c)
		}
		if w.at(c.runtime).holds(c.Condition) && !w.buried(c) {
			continue
		}
		if got.refusal == store.ErrConflict {
			before.learn(c.runtime, before.at(c.runtime).version, got.version)
		}
		return &answer{refusal: store.ErrConflict, condition: i, version: before.at(c.runtime).version}
	}
	return nil
}

// held reports whether the answer tells that a condition held: of those of a write of a
// batch, or with -1 of the batch or the commit itself.
func (a *answer) held(write, condition int) bool {
	at := -1
	if a.ofWrite {
		at = a.at
	}
	switch {
	case a.refusal == nil:
		return true
	case write != at:
		return write < at
	case a.refusal == store.ErrConflict:
		return condition < a.condition
	}
	return true
}
