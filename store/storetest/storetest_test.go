package storetest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
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
				OpenWith: func(_ testing.TB, with loopstore.Options) store.RuntimeStore {
					with.InboxSize, with.StrictSessionKeys = opts.InboxSize, opts.StrictSessionKeys
					return loopstore.New(with)
				},
			})
		})
	}
}

// A durable loop keeps the same promises, and those about reopening.
func TestDurableLoop(t *testing.T) {
	storetest.Run(t, onEngines(inMemory, unspoilt))
}

// The pieces are small here, and many.
func TestDurableLoopInPieces(t *testing.T) {
	f := onEngines(func() journal.Engine { return journaltest.Limited(inMemory(), journal.Limits{BatchBytes: 64 << 10}) }, unspoilt)
	f.Chapters = []string{"pieces", "closing"}
	storetest.Run(t, f)
}

func inMemory() journal.Engine { return journaltest.NewEngine() }

func unspoilt(l *loopstore.Loop, _ store.RuntimeStore) store.RuntimeStore { return l }

// onEngines makes loops with a journal each, and reopens them. spoil gets the store that
// was reopened, if one was.
func onEngines(next func() journal.Engine, spoil func(l *loopstore.Loop, before store.RuntimeStore) store.RuntimeStore) storetest.Factory {
	type opened struct {
		engine journal.Engine
		opts   loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened, before store.RuntimeStore) store.RuntimeStore {
		loop, err := loopstore.Open(t.Context(), o.engine, "p", o.opts)
		require.NoError(t, err)
		s := spoil(loop, before)
		all[s] = o
		return s
	}
	return storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{engine: next()}, nil) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s], s) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore {
			return open(t, opened{next(), opts}, nil)
		},
	}
}

// The suite skips the chapters for which a store lacks something.
func TestNoClose(t *testing.T) {
	type onlyTheStore struct{ store.RuntimeStore }
	storetest.Run(t, storetest.Factory{
		Open: func(t testing.TB) store.RuntimeStore { return onlyTheStore{storetest.New(t)} },
	})
}

// A store need not know formats, but must say so.
type onlyUnset struct{ store.RuntimeStore }

func (s onlyUnset) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	if c.Session.Format != store.FormatUnset || c.Session.Append || c.Session.Messages != 0 {
		return store.RunBoundaryReceipt{}, store.ErrInvalidValue
	}
	return s.RuntimeStore.CommitSessionBoundary(ctx, id, c)
}

func (s onlyUnset) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	if d := a.Session; d != nil && (d.Format != store.FormatUnset || d.Append || d.Messages != 0) {
		return store.ErrInvalidValue
	}
	return s.RuntimeStore.AtomicApply(ctx, id, a)
}

func TestOnlyUnset(t *testing.T) {
	storetest.Run(t, storetest.Factory{
		Open:      func(t testing.TB) store.RuntimeStore { return onlyUnset{storetest.New(t)} },
		OnlyUnset: true,
	})
}

// A session of 100 MB comes in, grows, and comes back.
func TestSessionOf100MB(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second, and 300 MB")
	}
	loop, run := storetest.New(t), store.NewRunID()
	line := `{"text":"` + strings.Repeat("x", 1000) + "\"}\n"
	text := []byte(strings.Repeat(line, 100_000_000/len(line)))
	sum, count := sha256.New(), uint64(0)
	for _, add := range []bool{false, true} {
		receipt, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: text, Format: store.FormatLines, Append: add}, RunID: run, Boundary: store.RunStart,
		})
		require.NoError(t, err)
		sum.Write(text)
		count += uint64(bytes.Count(text, []byte("\n")))
		require.Equal(t, hex.EncodeToString(sum.Sum(nil)), *receipt.ConversationDigest)
		require.Equal(t, count, receipt.MessageCount)
		text = []byte(line)
	}
	v, err := loop.View(t.Context(), "a")
	require.NoError(t, err)
	snapshot, _ := v.Snapshot()
	again := sha256.New()
	_, err = snapshot.WriteTo(again)
	require.NoError(t, err)
	require.Equal(t, sum.Sum(nil), again.Sum(nil))
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
