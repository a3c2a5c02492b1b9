package lincheck

import (
	"context"
	"slices"

	"pgregory.net/rapid"

	"github.com/loopstore/loopstore/store"
)

// CheckProgram draws a program, runs it call by call on a store that open returns, and
// then loads everything that could be there. It fails the test at the first answer that
// is not the model's. The test's output shows the program up to that call; rapid
// shrinks it. The store must be empty. It is closed at the end if it is an [io.Closer].
// Of cfg it looks at Versions, UniqueKeys, Keys and Tombstones only.
func CheckProgram(t *rapid.T, open func() store.RuntimeStore, cfg Config) {
	s, err := opened(open)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeStore(s); err != nil {
			t.Error(err)
		}
	}()
	const runtimes = 2
	can := abilitiesOf(s, &Config{})
	can.forks = can.history
	g := &generator{runtimes: runtimes, abilities: can, spans: true, revives: cfg.Tombstones > 0}
	next := rapid.Custom(func(t *rapid.T) turn {
		g.pick = func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		dead := g.seldom("with a dead context", 12)
		return turn{call: g.call(), plan: plan{ends: dead, after: -1}}
	})
	// rapid draws slices of some five elements. A slice of slices is longer, and shrinks
	// as well.
	parts := rapid.SliceOfN(rapid.SliceOfN(next, 0, 40), 0, 40).Draw(t, "program")
	c := &caller{program: slices.Concat(parts...)}
	c.due = len(c.program)
	w := walk{t: t, to: access{store: s}, memory: make(memory), world: &world{exact: true, rules: cfg.rules()}}
	w.run(c.program)
	t.Log("and at the end:")
	w.run(audit([]*caller{c}, runtimes, can))
}

// A walk runs programs with one caller.
type walk struct {
	t      *rapid.T
	to     access
	memory memory
	world  *world
}

func (w *walk) run(program []turn) {
	for i := range program {
		w.take(&program[i])
	}
}

func (w *walk) take(t *turn) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	if t.plan.ends {
		cancel()
	}
	w.memory.recall(t.call)
	if !within(func() { t.perform(ctx, w.to) }) {
		w.t.Fatal(hanging(t.call))
	}
	got, err := t.judge()
	if err != nil {
		w.t.Fatal(err)
	}
	if got == nil {
		w.t.Logf("%v → cancelled", t.call)
		return
	}
	w.t.Logf("%v → %v", t.call, got)
	want, after := w.world.step(t.call, got)
	if !want.equal(got) {
		w.t.Fatalf("the model answers %v", &want)
	}
	w.world = after
	w.memory.learn(t)
}
