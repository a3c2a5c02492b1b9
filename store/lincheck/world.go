package lincheck

import (
	"maps"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A world is the runtimes of a store, or one of them. It never changes, but for one that a
// step makes.
//
// A world of all runtimes is exact: every change is the next revision. In a world of a
// single runtime, changes of other runtimes come between. There a version is guessed: it
// is a lower bound until an answer shows the version itself.
type world struct {
	runtimes map[store.RuntimeID]*model
	order    []store.RuntimeID // in which they were made; never changed in place
	line     []store.RuntimeID // those that have an input to be claimed; never changed in place
	touched  []store.RuntimeID // by the operation that is made, in order; likewise
	revision uint64            // of the last change, or its lower bound
	stones   []tombstone       // in the order of the deletions; never changed in place
	leap     uint64            // that the next revision comes after, too: see leapt
	before   uint64            // the revision of what was imported
	exact    bool
	rules    rules
}

// rules are what a store was told to keep.
type rules struct {
	versions, keys, stones int
	unique, anyTurn        bool
	queue                  state.Queue
}

func (c Config) rules() rules {
	return rules{max(c.Versions, 0), max(c.Keys, 0), max(c.Tombstones, 0), c.UniqueKeys, c.AnyTurn, c.Queue}
}

func (w *world) at(id store.RuntimeID) *model {
	if s := w.runtimes[id]; s != nil {
		return s
	}
	return nothing
}

// step returns what the world answers to a call, and the world after it. got is the
// store's answer. From it the world takes only versions and revisions that it cannot know.
func (w *world) step(c *call, got *answer) (want answer, after *world) {
	want, after = w.clone().take(c, got)
	return after.landed(&want, got)
}

// take makes a step of a world that nobody else has.
func (w *world) take(c *call, got *answer) (want answer, after *world) {
	switch {
	case c.batch != nil:
		return w.commit(c.batch, got)
	case c.kind == ops.KindFork:
		return w.fork(c), w
	case c.kind == ops.KindListRuntimes:
		return answer{list: w.list()}, w
	case c.kind == ops.KindImport:
		return w.imported(c.export)
	case c.kind == ops.KindClaimNext:
		return w.claim(c, got)
	}
	if c.args == nil {
		w.learnShown(c, got)
	}
	want = w.attempt(c, -1, w, got)
	if want.refusal != nil {
		return want, w
	}
	before := w.clone()
	changed := w.apply(c, &want)
	var p puts
	p.note(c, changed, w)
	if refusal := w.taken(&p, before); refusal != nil {
		return *refusal, before
	}
	if changed {
		w.settle(before, 0)
	}
	return want, w
}

// attempt returns the answer to a call, or to a write of a batch. Nothing has changed yet.
func (w *world) attempt(c *call, write int, before *world, got *answer) answer {
	if c.flaw != nil {
		return answer{refusal: c.flaw}
	}
	if w.dead(c) {
		return answer{refusal: store.ErrDeleted}
	}
	if refusal := w.check(c.conditions, write, before, got); refusal != nil {
		return *refusal
	}
	return w.at(c.runtime).answer(c)
}

// apply does a call that was answered, and reports whether that changes anything.
func (w *world) apply(c *call, a *answer) bool {
	switch c.args.(type) {
	case batch.DeleteRuntime:
		return w.remove(c.runtime)
	case batch.ReviveRuntime:
		return w.revive(c.runtime)
	}
	before := w.at(c.runtime)
	next := before.after(c, a, w.next())
	w.put(c.runtime, next)
	if next == before {
		return false
	}
	w.touch(c.runtime)
	return true
}

func (w *world) clone() *world {
	next := *w
	next.runtimes = maps.Clone(w.runtimes)
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
	revision := before.next().version
	w.revision = revision
	for id, s := range w.runtimes {
		if s != before.runtimes[id] {
			settled := *s
			settled.retain(w.rules)
			w.runtimes[id] = &settled
		}
	}
	if w.rules.stones > 0 {
		w.stones = last(w.stones, w.rules.stones)
	}
	w.lineUp()
	if told > 0 && !w.exact {
		for id := range w.runtimes {
			w.learn(id, revision, told)
		}
		w.revision = max(w.revision, told)
	}
}

// commit checks the conditions, and then applies all writes or none.
func (w *world) commit(b *batched, got *answer) (want answer, after *world) {
	if refusal := b.refusal(); refusal != nil {
		return *refusal, w
	}
	if refusal := w.check(b.conditions, -1, w, got); refusal != nil {
		return *refusal, w
	}
	next := w.clone()
	changed, p := false, puts{}
	for i, c := range b.writes {
		a := next.attempt(c, i, w, got)
		if a.refusal != nil {
			a.at, a.ofWrite = i, true
			return a, w
		}
		if c.kind == ops.KindCommitSessionBoundary {
			want.receipts = append(want.receipts, a.receipt)
		}
		done := next.apply(c, &a)
		p.note(c, done, next)
		changed = changed || done
	}
	if refusal := next.taken(&p, w); refusal != nil {
		return *refusal, w
	}
	if changed {
		next.settle(w, got.revision)
	} else if !w.exact {
		next.revision = max(w.revision, got.revision)
	}
	want.revision = next.revision
	return want, next
}

// refusal returns the answer to a batch with invalid parts, nil to any other.
func (b *batched) refusal() *answer {
	if slices.ContainsFunc(b.conditions, condition.invalid) {
		return &answer{refusal: store.ErrInvalidValue}
	}
	for i, c := range b.writes {
		if c.flaw != nil {
			return &answer{refusal: c.flaw, at: i, ofWrite: true}
		}
	}
	return nil
}

func (w *world) equal(v *world) bool {
	return w == v || w.revision == v.revision && w.leap == v.leap && slices.Equal(w.order, v.order) && (w.rules.anyTurn || slices.Equal(w.line, v.line)) && slices.EqualFunc(w.stones, v.stones, tombstone.equal) && maps.EqualFunc(w.runtimes, v.runtimes, (*model).equal)
}

// modelOf returns the model in porcupine's form. It is exact for histories that are
// checked as one, and not for those that are checked runtime by runtime.
func modelOf(exact bool, as rules) porcupine.Model {
	m := porcupine.Model{
		Init: func() any { return &world{exact: exact, rules: as} },
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
