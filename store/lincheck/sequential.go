package lincheck

import (
	"context"
	"slices"

	"pgregory.net/rapid"

	"github.com/loopstore/loopstore/store"
)

// CheckProgram draws a program and runs it on an empty store, call by call, and
// then loads all that there could be. It fails the test at the first answer
// that is not the model's. The program is in the test's output, to the last
// call that was made; rapid shrinks it.
func CheckProgram(t *rapid.T, s store.RuntimeStore) {
	const runtimes = 2
	g := &generator{runtimes: runtimes}
	next := rapid.Custom(func(t *rapid.T) turn {
		g.pick = func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		dead := g.seldom("with a dead context", 12)
		return turn{call: g.call(), plan: plan{ends: dead, after: -1}}
	})
	// A slice has some five elements: one of slices is longer, and shrinks as well.
	parts := rapid.SliceOfN(rapid.SliceOfN(next, 0, 40), 0, 40).Draw(t, "program")
	turns := slices.Concat(parts...)
	w := walk{t: t, store: s, states: make(map[store.RuntimeID]*state)}
	for i := range turns {
		w.take(&turns[i])
	}
	t.Log("and at the end:")
	for _, last := range audit([][]turn{turns}, runtimes) {
		w.take(&last)
	}
}

// A walk goes through a program with one caller.
type walk struct {
	t      *rapid.T
	store  store.RuntimeStore
	states map[store.RuntimeID]*state
}

func (w *walk) take(t *turn) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	if t.plan.ends {
		cancel()
	}
	t.reply, t.err = t.call.perform(ctx, w.store)
	if gaveUp(ctx, t.err) {
		w.t.Logf("%v → cancelled", t.call)
		return
	}
	got, err := answerOf(t.reply, t.err)
	if err != nil {
		w.t.Fatalf("%v: unexpected error: %v", t.call, err)
	}
	before := w.states[t.call.runtime]
	if before == nil {
		before = new(state)
	}
	w.t.Logf("%v → %v", t.call, &got)
	want := before.answer(t.call)
	if !want.equal(&got) {
		w.t.Fatalf("the model answers %v", &want)
	}
	w.states[t.call.runtime] = before.after(t.call, &want)
}
