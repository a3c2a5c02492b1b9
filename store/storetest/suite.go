package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Factory makes the stores for the suite.
type Factory struct {
	// Open returns an empty store that shares nothing with any other. The suite
	// closes it if it has a method Close() error; a Close of another signature does
	// not count. If a store has no Close, Open ends its goroutines in a t.Cleanup.
	Open func(t testing.TB) store.RuntimeStore

	// Reopen returns a store that holds what s kept. The suite has closed s, if s
	// has a Close, and does not use it again. Reopen is nil for stores that cannot
	// be reopened.
	Reopen func(t testing.TB, s store.RuntimeStore) store.RuntimeStore

	// Reader returns a function that shows a runtime of s as View does, whether or
	// not the runtime exists. Any number of goroutines call it. If Reader is nil,
	// the suite uses the store's own Reader if it is like loopstore.Loop's.
	Reader func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error)

	// StrictSessionKeys says that the stores refuse to file a session document under
	// another id than its own, as a loopstore.Loop does with the option of that name.
	// Otherwise they must take it.
	StrictSessionKeys bool

	// OnlyUnset says that the stores take no session of a format other than
	// store.FormatUnset: they refuse one with ErrInvalidValue. The chapters formats and
	// appending are skipped then.
	OnlyUnset bool

	// OpenWith is Open for a store with some of loopstore's options. The suite sets no
	// others than Limits, Retention, UniqueKeys, Tombstones, Activity, Queue and Deletions. A
	// store that Reopen makes of it has them too. It returns nil for options that the stores
	// do not have: what needs them is skipped. The chapters past, keys, deleting and claiming
	// need OpenWith.
	OpenWith func(t testing.TB, opts loopstore.Options) store.RuntimeStore

	// Chapters are the names of the chapters to run. nil means all.
	Chapters []string

	// Timeout is how long one promise may take, with its Open and Close. A promise
	// that takes longer fails with the stacks of all goroutines, and the suite skips
	// the rest. 0 means a minute.
	Timeout time.Duration
}

// A chapter is a group of promises.
type chapter struct {
	name     string
	advice   string // how a store keeps them
	promises []promise
	lacks    func(Factory, store.RuntimeStore) (missing string) // what the store lacks, "" if nothing; nil if every store has it
}

// A promise is tried on a store of its own.
type promise struct {
	words   string
	try     func(*trial)
	noStore bool // it needs no store
}

// chapters returns the whole suite. Closing comes last, so that it finds the
// goroutines that any other chapter left behind.
func chapters() []chapter {
	return []chapter{
		{"values", "Return exactly what was stored. Refuse invalid values with ErrInvalidValue, and report absence as ok == false.", values(), nil},
		{"operations", "See store.RuntimeStore for what each operation does.", operations(), nil},
		{"atomicity", "Check everything before any of it is applied.", atomicity(), nil},
		{"isolation", "Compare runtime ids byte by byte, and share nothing between stores.", isolation(), nil},
		{"privacy", "Copy what is kept of an argument before the call returns, never change an argument, and return copies.", privacy(), nil},
		{"ordering", "Keep inputs in the order in which their ids were first stored.", ordering(), nil},
		{"concurrency", "Let every operation take effect at one moment between its call and its return.", concurrency(), nil},
		{"cancellation", "Return the context's error only if nothing was applied, and nil only if everything was.", cancellation(), nil},
		{"batches", "Check the conditions and apply all writes in one step, or apply none.", batches(), no[batch.Committer]},
		{"conditions", "Check the conditions of a call in the step that applies it, or refuse all conditions.", conditionsOfCommits(), nil},
		{"fencing", "Give an input that changes the revision of the change as its version, and never one that it had.", fencing(), lacksAny(no[batch.Committer], noInputVersions)},
		{"keys", "Check the keys when all of an operation is done, and keep those that the Retention says.", keys(), lacksAny(noOpenWith, no[batch.Committer])},
		{"deleting", "Leave a tombstone of what is deleted, which refuses all but ReviveRuntime.", tombstones(), lacksAny(noOpenWith, no[batch.Committer])},
		{"views", "Show what the runtime holds at one moment, and never change it.", views(), no[state.Viewer]},
		{"readers", "Return a view only if it is still current at some moment of the call.", readers(), noReader},
		{"watching", "After each view that was yielded, look for a newer one before waiting.", watching(), no[state.Watcher]},
		{"claiming", "Find an input, and move it, in one step, which its caller has not given up by then.", claiming(), lacksAny(noOpenWith, no[state.Claimer], no[batch.Committer])},
		{"following", "Before waiting, look for changes after the last one that was yielded, and remember deletions.", following(), lacksAny(no[state.Follower], no[batch.Committer])},
		{"listing", "Let a page begin where the one before it ended, whatever has come or gone since.", listing(), no[lister]},
		{"reopening", "Keep the latest version of everything that was acknowledged, and nothing else.", reopening(), func(f Factory, _ store.RuntimeStore) string {
			if f.Reopen == nil {
				return "the Factory has no Reopen"
			}
			return ""
		}},
		{"formats", "Check a session by its format before anything is applied, and hash all of it.", formats(), onlyUnset},
		{"appending", "Add to what stands when the write takes effect, and hash all of that.", appending(), onlyUnset},
		{"past", "Number every change of a session, keep the versions that the Retention says, and never change one.", past(), lacksPast},
		{"pieces", "Let the last piece of what is stored in pieces make all of it true, and clear what never becomes true.", pieces(), lacksPieces},
		{"closing", "Answer the calls that were accepted, refuse the rest with ErrClosed, and end every goroutine.", closing(), nil},
	}
}

// A suite is one Run.
type suite struct {
	factory Factory
	before  goleak.Option      // ignores the goroutines from before the first trial
	stuck   string             // the promise that did not end, if any
	first   store.RuntimeStore // closed; shows which methods the stores have
}

// Run tries every promise of [store.RuntimeStore], and of the other interfaces that
// the store has. Each promise is a subtest chapter/promise with a store of its own.
// No other test may run at the same time, because Run looks for goroutines that
// are left behind. With -short it repeats less.
func Run(t *testing.T, f Factory) {
	t.Helper()
	require.NotNil(t, f.Open, "storetest: the Factory has no Open")
	if f.Timeout <= 0 {
		f.Timeout = time.Minute
	}
	s := &suite{factory: f}
	s.try(t, promise{words: "a store is opened and closed", try: func(tr *trial) { s.first = tr.store }})
	s.before = goleak.IgnoreCurrent() // includes what the first Open started for good
	for _, c := range f.chosen(t) {
		t.Run(c.name, func(t *testing.T) {
			if c.lacks != nil && s.stuck == "" {
				if missing := c.lacks(f, s.first); missing != "" {
					t.Skipf("%s is skipped: %s", c.name, missing)
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

// chosen returns the chapters to try.
func (f Factory) chosen(t *testing.T) (all []chapter) {
	t.Helper()
	for _, c := range chapters() {
		if f.Chapters == nil || slices.Contains(f.Chapters, c.name) {
			all = append(all, c)
		}
	}
	require.True(t, f.Chapters == nil || len(all) == len(f.Chapters), "storetest: Factory.Chapters has one that there is not: %q", f.Chapters)
	return all
}
