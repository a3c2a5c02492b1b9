package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Factory makes the stores that are tried.
type Factory struct {
	// Open returns an empty store that shares nothing with any other. If it has
	// a method Close() error, the suite closes it; a Close of another signature
	// counts as none. A store without one ends its goroutines in a t.Cleanup of
	// Open's.
	Open func(t testing.TB) store.RuntimeStore

	// Reopen returns a store that has what s kept. The suite has closed s, if s
	// has a Close, and does not use it any more. It is nil if a store of this
	// kind cannot be reopened.
	Reopen func(t testing.TB, s store.RuntimeStore) store.RuntimeStore

	// Reader returns a function that looks at a runtime of s, which need not be
	// there, like View, from any number of goroutines. If it is nil the store's
	// method Reader is tried, if it has that of a loopstore.Loop.
	Reader func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error)

	// Timeout is how long one promise may take, its Open and Close included. One
	// that takes longer is stuck: it fails with the stacks of all goroutines,
	// and those after it are skipped. 0 means a minute.
	Timeout time.Duration
}

// A chapter is a group of promises.
type chapter struct {
	name     string
	advice   string // what a store does that keeps them
	promises []promise
	lacks    func(Factory, store.RuntimeStore) (missing string) // what keeps it from being tried, nil if nothing can
}

// A promise is tried on a store of its own, unless it needs none.
type promise struct {
	words   string
	try     func(*trial)
	noStore bool
}

// chapters returns the whole suite. Closing is the last one, so that it sees
// what all others left behind.
func chapters() []chapter {
	return []chapter{
		{"values", "Give back exactly what was stored; what is not valid is ErrInvalidValue, and what is not there is ok == false.", values(), nil},
		{"operations", "See store.RuntimeStore for what each operation does.", operations(), nil},
		{"atomicity", "Check everything before any of it is applied.", atomicity(), nil},
		{"isolation", "Compare runtime ids byte by byte, and keep nothing outside of a store.", isolation(), nil},
		{"privacy", "Copy what is kept of an argument before the call returns, change no argument, and answer with copies.", privacy(), nil},
		{"ordering", "Keep inputs in the order in which their ids were first stored.", ordering(), nil},
		{"concurrency", "Let every operation take effect at one moment between its call and its return.", concurrency(), nil},
		{"cancellation", "Return the context's error only if nothing was applied, and nil only if all was.", cancellation(), nil},
		{"batches", "Check the conditions and do all writes in one step, or nothing.", batches(), no[batch.Committer]},
		{"views", "Show what the runtime holds at one moment, and never change it.", views(), no[state.Viewer]},
		{"readers", "Return a view only if it is still current at some moment of the call.", readers(), noReader},
		{"watching", "Look again after every view that was yielded, and only then wait.", watching(), no[state.Watcher]},
		{"reopening", "Keep what was acknowledged, the latest version of it, and nothing else.", reopening(), func(f Factory, _ store.RuntimeStore) string {
			if f.Reopen == nil {
				return "the Factory has no Reopen"
			}
			return ""
		}},
		{"closing", "Answer what was taken, refuse the rest with ErrClosed, and end every goroutine.", closing(), nil},
	}
}

// A suite is one Run.
type suite struct {
	factory Factory
	before  goleak.Option      // the goroutines that were there before any trial
	stuck   string             // the promise that did not end, if there is one
	first   store.RuntimeStore // closed: what it has, all have
}

// Run tries every promise of [store.RuntimeStore], and of what the store has
// besides, each in a subtest chapter/promise with a store of its own. Because it
// looks for goroutines that are left behind, no other test may run at the same
// time. With -short it repeats less.
func Run(t *testing.T, f Factory) {
	t.Helper()
	require.NotNil(t, f.Open, "storetest: a Factory needs its Open")
	if f.Timeout <= 0 {
		f.Timeout = time.Minute
	}
	s := &suite{factory: f}
	s.try(t, promise{words: "a store is opened and closed", try: func(tr *trial) { s.first = tr.store }})
	s.before = goleak.IgnoreCurrent() // with what the first Open started for good
	for _, c := range chapters() {
		t.Run(c.name, func(t *testing.T) {
			if c.lacks != nil && s.stuck == "" {
				if missing := c.lacks(f, s.first); missing != "" {
					t.Skipf("%s: not tried, %s", c.name, missing)
				}
			}
			for _, p := range c.promises {
				t.Run(p.words, func(t *testing.T) {
					s.try(t, p)
					if t.Failed() {
						t.Logf("storetest: the rule is: %s. %s", p.words, c.advice)
					}
				})
			}
		})
	}
}
