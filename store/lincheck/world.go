package lincheck

import (
	"maps"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A world is the runtimes of a store, or one of them. It never changes.
//
// A world of all runtimes is exact: every change is the next revision. In a world of a
// single runtime, changes of other runtimes come between. There a version is guessed: it
// is a lower bound until an answer shows the version itself.
type world struct {
	runtimes map[store.RuntimeID]*model
	order    []store.RuntimeID // in which they were made; never changed in place
	revision uint64            // of the last change, or its lower bound
	exact    bool
	keep     int // how many versions of a session a store keeps
}

func (w *world) at(id store.RuntimeID) *model {
	if s := w.runtimes[id]; s != nil {
		return s
	}
	return nothing
}

// step returns what the world answers to a call, and the world after it. got is the
// store's answer. From it the world takes only versions and revisions that it had to
// guess.
func (w *world) step(c *call, got *answer) (want answer, after *world) {
	w = w.told(c, got)
	if c.batch != nil {
		return w.commit(c.batch, got.revision)
	}
	switch c.kind {
	case ops.KindFork:
		return w.fork(c)
	case ops.KindListRuntimes:
		return answer{list: w.list()}, w
	case ops.KindImport:
		return w.imported(c.export)
	}
	before := w.at(c.runtime)
	want = before.answer(c)
	next := before.after(c, &want, w.keep)
	if next == before {
		return want, w
	}
	after = w.with(c.runtime, next)
	after.settle(w, 0)
	return want, after
}

// told returns the world with the version that an answer shows, if it was guessed.
func (w *world) told(c *call, got *answer) *world {
	id, version := c.runtime, got.version
	if got.view != nil {
		version = got.view.version
	} else if c.batch != nil && got.refusal != store.ErrConflict && c.batch.refusal() == nil {
		for _, on := range c.batch.conditions { // they were checked, and held
			if is, ok := on.Condition.(batch.VersionIs); ok {
				version = is.Version
			}
		}
	}
	before := w.at(id)
	if !before.guessed || version < before.version {
		return w
	}
	known := *before
	known.version, known.guessed = version, false
	w = w.with(id, &known)
	w.revision = max(w.revision, version)
	return w
}

// with returns a copy in which one runtime has another state.
func (w *world) with(id store.RuntimeID, s *model) *world {
	next := *w
	next.runtimes = maps.Clone(w.runtimes)
	next.put(id, s)
	return &next
}

func (w *world) put(id store.RuntimeID, s *model) {
	if s == nothing {
		delete(w.runtimes, id)
		w.order = slices.DeleteFunc(slices.Clone(w.order), func(made store.RuntimeID) bool { return made == id })
		return
	}
	if w.runtimes[id] == nil {
		w.order = append(slices.Clip(w.order), id)
	}
	if w.runtimes == nil {
		w.runtimes = make(map[store.RuntimeID]*model)
	}
	w.runtimes[id] = s
}

// settle makes all that changed since before one revision, and lets go of versions that
// are not kept. told is that revision as the store's answer shows it, or 0.
func (w *world) settle(before *world, told uint64) {
	w.revision = before.revision + 1
	guessed := !w.exact && told < w.revision
	if !w.exact {
		w.revision = max(w.revision, told)
	}
	for id, s := range w.runtimes {
		if s != before.runtimes[id] {
			settled := *s
			settled.version, settled.guessed = w.revision, guessed
			settled.retain(w.keep)
			w.runtimes[id] = &settled
		}
	}
}

// commit checks the conditions, and then applies all writes or none.
func (w *world) commit(b *batched, told uint64) (want answer, after *world) {
	if refusal := b.refusal(); refusal != nil {
		return *refusal, w
	}
	for i, c := range b.conditions {
		if s := w.at(c.runtime); !s.holds(c.Condition) {
			return answer{refusal: store.ErrConflict, at: i, version: s.version}, w
		}
	}
	next := *w
	next.runtimes = maps.Clone(w.runtimes)
	changed := false
	for i, c := range b.writes {
		before := next.at(c.runtime)
		a := before.answer(c)
		if a.refusal != nil {
			return answer{refusal: a.refusal, at: i}, w
		}
		if c.kind == ops.KindCommitSessionBoundary {
			want.receipts = append(want.receipts, a.receipt)
		}
		s := before.after(c, &a, w.keep)
		changed = changed || s != before
		next.put(c.runtime, s)
	}
	if changed {
		next.settle(w, told)
	} else if !w.exact {
		next.revision = max(w.revision, told)
	}
	want.revision = next.revision
	return want, &next
}

// refusal returns the answer to a batch with invalid parts, nil to any other.
func (b *batched) refusal() *answer {
	if slices.ContainsFunc(b.conditions, condition.invalid) {
		return &answer{refusal: store.ErrInvalidValue}
	}
	for i, c := range b.writes {
		if c.flaw != nil {
			return &answer{refusal: c.flaw, at: i}
		}
	}
	return nil
}

func (s *model) holds(c batch.Condition) bool {
	switch c := c.(type) {
	case batch.VersionIs:
		return s.version == c.Version
	case batch.RuntimeExists:
		return s != nothing
	case batch.RuntimeAbsent:
		return s == nothing
	case batch.RuntimeStateIs:
		return slices.Contains(c.AnyOf, store.RuntimeState(s.status)) || c.OrNone && s.status == ""
	case batch.InputStateIs:
		at := s.find(c.InputID)
		return at >= 0 && slices.Contains(c.AnyOf, s.inputs[at].state)
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
		return !slices.ContainsFunc(s.inputs, func(in input) bool { return in.key == c.Key })
	}
	return false
}

func (w *world) equal(v *world) bool {
	return w == v || w.revision == v.revision && slices.Equal(w.order, v.order) && maps.EqualFunc(w.runtimes, v.runtimes, (*model).equal)
}

// modelOf returns the model in porcupine's form. It is exact for histories that are
// checked as one, and not for those that are checked runtime by runtime.
func modelOf(exact bool, keep int) porcupine.Model {
	m := porcupine.Model{
		Init: func() any { return &world{exact: exact, keep: keep} },
		Step: func(w, c, a any) (bool, any) {
			got := a.(*answer)
			want, after := w.(*world).step(c.(*call), got)
			return want.equal(got), after
		},
		Equal:             func(w, v any) bool { return w.(*world).equal(v.(*world)) },
		DescribeOperation: func(c, a any) string { return c.(*call).String() + " → " + a.(*answer).String() },
		DescribeState:     func(w any) string { return w.(*world).String() },
	}
	if !exact {
		m.Partition = byRuntime
	}
	return m
}
