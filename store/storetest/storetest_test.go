package storetest_test

import (
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestLoop(t *testing.T) {
	for name, opts := range map[string]loopstore.Options{"default": {}, "a small inbox, strict keys": {InboxSize: 1, StrictSessionKeys: true}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Factory{
				Open:              func(testing.TB) store.RuntimeStore { return loopstore.New(opts) },
				StrictSessionKeys: opts.StrictSessionKeys,
				OpenWith: func(_ testing.TB, keep store.Retention, limits store.Limits) store.RuntimeStore {
					opts := opts
					opts.Retention, opts.Limits = keep, limits
					return loopstore.New(opts)
				},
			})
		})
	}
}

// A durable loop keeps the same promises, and those about reopening.
func TestDurableLoop(t *testing.T) {
	type opened struct {
		engine journal.Engine
		opts   loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		loop, err := loopstore.Open(t.Context(), o.engine, "p", o.opts)
		require.NoError(t, err)
		all[loop] = o
		return loop
	}
	storetest.Run(t, storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{engine: journaltest.NewEngine()}) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, keep store.Retention, limits store.Limits) store.RuntimeStore {
			return open(t, opened{journaltest.NewEngine(), loopstore.Options{Retention: keep, Limits: limits}})
		},
	})
}

// The suite skips the chapters for which a store lacks something.
func TestNoClose(t *testing.T) {
	type onlyTheStore struct{ store.RuntimeStore }
	storetest.Run(t, storetest.Factory{
		Open: func(t testing.TB) store.RuntimeStore { return onlyTheStore{storetest.New(t)} },
	})
}

func TestOpen(t *testing.T) {
	engine := journaltest.NewEngine()
	for _, ok := range []bool{false, true} { // the second holds what the first has stored
		t.Run("it keeps what is stored", func(t *testing.T) {
			loop := storetest.Open(t, engine, "p")
			_, found, err := loop.LoadRuntimeState(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, ok, found)
			require.NoError(t, loop.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		})
	}
}

func TestNew(t *testing.T) {
	var loop *loopstore.Loop
	t.Run("it serves", func(t *testing.T) {
		loop = storetest.New(t)
		require.NoError(t, loop.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	})
	assert.ErrorIs(t, loop.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrClosed, "it is closed with the test")

	t.Run("with options, closed already", func(t *testing.T) {
		loop := storetest.New(t, loopstore.Options{InboxSize: 1})
		require.NoError(t, loop.Close())
	})
	t.Run("in parallel", func(t *testing.T) {
		for range 8 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range 10 {
					other := storetest.New(t)
					require.NoError(t, other.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
				}
			})
		}
	})
}

func TestNewInABubble(t *testing.T) {
	for range 2 {
		synctest.Test(t, aDeadlinePasses)
	}
}

// A fatalTest panics where a test would end its goroutine.
type fatalTest struct{ testing.TB }

func (fatalTest) Fatalf(string, ...any) { panic("Fatalf was called") }

func TestNewTakesOneOptions(t *testing.T) {
	assert.PanicsWithValue(t, "Fatalf was called", func() {
		storetest.New(fatalTest{t}, loopstore.Options{}, loopstore.Options{})
	})
}

// A forgotten Close is a failure that names what was forgotten.
func TestForgottenClose(t *testing.T) {
	for name, names := range map[string]string{
		"Main":          "the tests passed, but left something behind: a loopstore.Loop was not closed: call its Close",
		"VerifyNoLeaks": "the test left something behind: a loopstore.Loop was not closed: call its Close",
		"Run":           "the stores are closed, and left something behind: a loopstore.Loop was not closed: call its Close",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := runChild(t, "TestForgottenCloseChild", name)
			assert.Contains(t, out, names)
			assert.Contains(t, out, "loopstore.(*Loop).own", "and shows the goroutine")
		})
	}
	t.Run("not a loop", func(t *testing.T) {
		t.Parallel()
		out := runChild(t, "TestForgottenCloseChild", "not a loop")
		assert.Contains(t, out, "left something behind")
		assert.NotContains(t, out, "call its Close")
	})
}

func TestForgottenCloseChild(t *testing.T) {
	switch os.Getenv(child) {
	case "Main":
		loopstore.New(loopstore.Options{})
	case "VerifyNoLeaks":
		storetest.VerifyNoLeaks(t)
		storetest.New(t)
		loopstore.New(loopstore.Options{})
	case "Run":
		storetest.Run(t, storetest.Factory{Open: func(testing.TB) store.RuntimeStore {
			loopstore.New(loopstore.Options{})
			return loopstore.New(loopstore.Options{})
		}})
	case "not a loop":
		go func() { select {} }()
	default:
		t.Skip("TestForgottenClose runs it")
	}
}
