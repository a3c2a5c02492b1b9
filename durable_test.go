package loopstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// openLoop opens partition "p" of an engine. Whoever does not close the loop
// leaves it to the test's end, which does not mind how that went.
func openLoop(t *testing.T, engine journal.Engine, opts Options) *Loop {
	t.Helper()
	l, err := Open(t.Context(), engine, "p", opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// exported is all that a loop holds.
func exported(t *testing.T, l *Loop) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &b))
	return b.String()
}

// reopened closes a loop, and returns one that has what the engine keeps.
func reopened(t *testing.T, l *Loop, engine journal.Engine) *Loop {
	t.Helper()
	require.NoError(t, l.Close())
	return openLoop(t, engine, Options{})
}

// fill does something of every kind, and leaves runtimes "a" and "b".
func fill(t *testing.T, l *Loop) {
	t.Helper()
	ctx, run := t.Context(), store.NewRunID()
	input := store.NewInputState(store.InputID{1}, store.Time{})
	input.IdempotencyKey, input.PersistedInput = new("key"), []byte(`{ "b" : 1 }`)
	require.NoError(t, l.PersistInputState(ctx, "a", input))
	for range 3 {
		_, err := l.CommitSessionBoundary(ctx, "a", commitOf(run))
		require.NoError(t, err)
	}
	require.NoError(t, l.AtomicApply(ctx, "b", store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: make([]byte, 100<<10)}, SessionStoreKey: new(store.NewSessionID()),
		Receipt:      store.RunBoundaryReceipt{RunID: run, Boundary: store.RunCheckpoint, Sequence: 7, ConversationDigest: new("any")},
		InputUpdates: []store.InputState{input},
	}))
	require.NoError(t, l.AtomicLifecycleCommit(ctx, "b", store.LifecycleCommit{RuntimeState: store.RuntimeRetired, InputStates: []store.InputState{input}}))
	require.NoError(t, l.PersistRuntimeState(ctx, "gone", store.RuntimeIdle))
	_, err := l.DeleteRuntime(ctx, "gone")
	require.NoError(t, err)
	_, err = l.Commit(ctx, batch.Batch{Then: []batch.Write{
		batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}, batch.DeleteInputState{RuntimeID: "b", InputID: input.InputID},
	}})
	require.NoError(t, err)
	_, err = l.Prune(ctx, "a", store.Retention{ReceiptsPerRun: 2})
	require.NoError(t, err)
}

func TestDurable(t *testing.T) {
	t.Run("what was acknowledged is there again", func(t *testing.T) {
		engine := journaltest.NewEngine()
		l := openLoop(t, engine, Options{})
		require.Zero(t, l.Stats().Held)
		fill(t, l)
		for range 2 {
			before, stats := exported(t, l), l.Stats()
			l = reopened(t, l, engine)
			assert.Equal(t, before, exported(t, l))
			assert.Equal(t, stats.Held, l.Stats().Held)
			_, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.NewRunID()))
			require.NoError(t, err)
		}
	})

	t.Run("an import is there again", func(t *testing.T) {
		from := newLoop(t, Options{})
		fill(t, from)
		file := exported(t, from)
		engine := journaltest.NewEngine()
		faulty := journaltest.NewFaulty(engine)
		l := openLoop(t, faulty, Options{})
		faulty.Next(journaltest.Reject())
		_, err := l.Import(t.Context(), bytes.NewBufferString(file))
		require.ErrorIs(t, err, journal.ErrRejected)
		_, err = l.Import(t.Context(), bytes.NewBufferString(file))
		require.NoError(t, err)
		require.Equal(t, file, exported(t, reopened(t, l, engine)))
	})

	t.Run("a retention and limits count as without", func(t *testing.T) {
		engine := journaltest.NewEngine()
		l := openLoop(t, engine, Options{Retention: store.Retention{ReceiptsPerRun: 1, Inputs: store.Keep{For: time.Hour}}, Limits: store.Limits{InputsPerRuntime: 1}})
		for range 3 {
			_, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.RunID{}))
			require.NoError(t, err)
		}
		old := store.NewInputState(store.InputID{1}, store.Time{})
		old.CurrentState = store.InputConsumed
		require.NoError(t, l.PersistInputState(t.Context(), "a", old))
		require.NoError(t, l.PersistInputState(t.Context(), "a", store.NewInputState(store.InputID{2}, store.TimeOf(time.Now()))))
		require.ErrorIs(t, l.PersistInputState(t.Context(), "a", store.NewInputState(store.InputID{3}, store.TimeOf(time.Now()))), store.ErrLimit)
		held := l.Stats().Held
		assert.Equal(t, []int{1, 1}, []int{held.Receipts, held.InputStates})
		again := reopened(t, l, engine)
		assert.Equal(t, held, again.Stats().Held)
		receipt, err := again.CommitSessionBoundary(t.Context(), "a", commitOf(store.RunID{}))
		require.NoError(t, err)
		assert.EqualValues(t, 3, receipt.Sequence)
	})
}

// The table of what an append can come to: what the caller is told, and what is
// there when the journal is opened again.
func TestJournalFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fault   journaltest.Fault
		is      error // that the caller finds
		goes    bool  // the store goes on
		applied bool  // the change is there after all
	}{
		"stored":                {fault: journaltest.Fault{}, goes: true, applied: true},
		"late":                  {fault: journaltest.Late(time.Hour), goes: true, applied: true},
		"rejected":              {fault: journaltest.Reject(), is: journal.ErrRejected, goes: true},
		"fenced":                {fault: journaltest.Fence(), is: journal.ErrFenced},
		"ambiguous, stored":     {fault: journaltest.Ambiguous(true), is: store.ErrOutcomeUnknown, applied: true},
		"ambiguous, not stored": {fault: journaltest.Ambiguous(false), is: store.ErrOutcomeUnknown},
		"unknown, stored":       {fault: journaltest.Unknown(true), is: store.ErrOutcomeUnknown, applied: true},
		"unknown, not stored":   {fault: journaltest.Unknown(false), is: store.ErrOutcomeUnknown},
		"the engine panics":     {fault: journaltest.Fault{Before: func(context.Context) { panic("engine") }}, is: store.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty := journaltest.NewFaulty(journaltest.NewEngine())
				l := openLoop(t, faulty, Options{})
				fill(t, l)
				before, view := exported(t, l), must(l.View(t.Context(), "a"))
				faulty.Next(c.fault)
				err := l.PersistRuntimeState(t.Context(), "a", store.RuntimeDestroyed)
				if c.is == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.is)
					assert.Equal(t, c.is != store.ErrOutcomeUnknown, bytes.Contains([]byte(err.Error()), []byte("nothing was applied")), err)
				}
				if c.goes {
					after := exported(t, l)
					assert.Equal(t, c.applied, after != before)
					assert.Equal(t, !c.applied, view.Current())
					assert.Equal(t, after, exported(t, reopened(t, l, faulty)))
					return
				}
				refused(t, l, c.fault.Err)
				assert.False(t, view.Current())
				state, _, err := openLoop(t, faulty, Options{}).LoadRuntimeState(t.Context(), "a")
				require.NoError(t, err)
				assert.Equal(t, c.applied, state == store.RuntimeDestroyed)
				assert.Zero(t, faulty.Counts().Late, "nothing was tried after a failure")
			})
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// refused asserts that a store serves nothing any more, and says why.
func refused(t *testing.T, l *Loop, why error) {
	t.Helper()
	is := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, store.ErrFailed)
		var e *store.JournalError
		require.ErrorAs(t, err, &e)
		if why != nil {
			require.ErrorIs(t, err, why)
		}
		require.NotErrorIs(t, err, store.ErrOutcomeUnknown)
	}
	is(l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	_, _, err := l.LoadRuntimeState(t.Context(), "a")
	is(err)
	is(l.Compact(t.Context()))
	is(l.Close())
	assert.False(t, l.Stats().Serving)
}

// Of a round whose outcome nobody knows, the calls that have changed nothing are
// told that for certain.
func TestUnknownIsSaidOnlyOfWhatMayBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, faulty, first, letGo := heldAppend(t)
		faulty.Next(journaltest.Ambiguous(true))
		errs := map[string]chan error{"write": make(chan error, 1), "conflict": make(chan error, 1), "load": make(chan error, 1)}
		go func() { errs["write"] <- l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle) }()
		synctest.Wait()
		go func() {
			_, err := l.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: "b"}}})
			errs["conflict"] <- err
		}()
		synctest.Wait()
		letGo()
		require.NoError(t, <-first)
		require.ErrorIs(t, <-errs["write"], store.ErrOutcomeUnknown)
		err := <-errs["conflict"]
		require.ErrorIs(t, err, store.ErrFailed)
		require.NotErrorIs(t, err, store.ErrConflict, "what it conflicts with may not be there")
		require.NotErrorIs(t, err, store.ErrOutcomeUnknown)
	})
}

func TestFencedHintEndsAnIdleStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.NewEngine()
		l := openLoop(t, engine, Options{})
		ended := make(chan error, 1)
		go func() {
			for _, err := range l.Watch(t.Context(), "a", 0) {
				ended <- err
			}
		}()
		synctest.Wait()
		other := openLoop(t, engine, Options{})
		require.ErrorIs(t, <-ended, journal.ErrFenced)
		refused(t, l, journal.ErrFenced)
		require.NoError(t, other.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	})
}

// A stale owner is refused by the journal even if it was not told.
func TestFencedOwnerWritesNothing(t *testing.T) {
	engine := journaltest.NewEngine()
	faulty := journaltest.NewFaulty(engine) // whose hint does not come by itself
	l := openLoop(t, faulty, Options{})
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	other := openLoop(t, engine, Options{})
	err := l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle)
	require.ErrorIs(t, err, journal.ErrFenced)
	assert.ErrorContains(t, err, "nothing was applied")
	refused(t, l, journal.ErrFenced)
	assert.False(t, has(t, other, "b"))
	assert.True(t, has(t, other, "a"))
}

func TestClosingDurable(t *testing.T) {
	t.Run("what was taken is stored and answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			errs := make(chan error, 5)
			for range cap(errs) {
				go func() { errs <- l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle) }()
			}
			synctest.Wait()
			closed := make(chan error, 1)
			go func() { closed <- l.Close() }()
			synctest.Wait()
			require.Empty(t, closed)
			require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "c", store.RuntimeIdle), store.ErrClosed)
			letGo()
			require.NoError(t, <-first)
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
			require.NoError(t, <-closed)
			assert.Zero(t, faulty.Counts().Open)
			assert.True(t, has(t, openLoop(t, faulty, Options{}), "b"))
		})
	})

	t.Run("the journal's own error is Close's", func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		l := openLoop(t, faulty, Options{})
		why := errors.New("why")
		faulty.NextClose(why)
		require.ErrorIs(t, l.Close(), why)
		require.ErrorIs(t, l.Close(), why)
		_, _, err := l.LoadRuntimeState(t.Context(), "a")
		require.ErrorIs(t, err, store.ErrClosed)
	})
}

// After a panic nobody is left without an answer, and nothing of the round in
// which it was is stored.
func TestFailsClosedDurable(t *testing.T) {
	t.Run("in a round", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			errs := make(chan error, 5)
			for i := range cap(errs) {
				go func() {
					if i == 2 {
						errs <- runTestOp(t.Context(), l, "b", func() { panic("half way") })
					} else {
						errs <- l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle)
					}
				}()
			}
			synctest.Wait()
			letGo()
			require.NoError(t, <-first)
			panicked := 0
			for range cap(errs) {
				err := <-errs
				require.ErrorIs(t, err, store.ErrFailed)
				var op *store.OpError
				require.ErrorAs(t, err, &op)
				if _, itself := op.Err.(*store.PanicError); itself {
					panicked++
				}
			}
			assert.Equal(t, 1, panicked)
			require.ErrorIs(t, l.Close(), store.ErrFailed)
			assert.Zero(t, faulty.Counts().Open)
			assert.False(t, has(t, openLoop(t, faulty, Options{}), "b"))
		})
	})

	t.Run("in a request that is tried again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			faulty.Next(journaltest.Reject())
			errs := make(chan error, 3)
			tries := 0
			go func() {
				errs <- runTestOp(t.Context(), l, "b", func() {
					if tries++; tries == 2 {
						panic("half way")
					}
				})
			}()
			synctest.Wait()
			for range 2 {
				go func() { errs <- l.PersistRuntimeState(t.Context(), "c", store.RuntimeIdle) }()
			}
			synctest.Wait()
			letGo()
			require.NoError(t, <-first)
			for range cap(errs) {
				require.ErrorIs(t, <-errs, store.ErrFailed)
			}
			assert.Equal(t, 2, tries)
			require.ErrorIs(t, l.Close(), store.ErrFailed)
		})
	})

	t.Run("while a batch is with the journal", func(t *testing.T) {
		for name, fault := range map[string]error{"that stores it": nil, "that loses it": journal.ErrAmbiguous} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					faulty := journaltest.NewFaulty(journaltest.NewEngine())
					l := openLoop(t, faulty, Options{})
					release := make(chan struct{})
					f := journaltest.Held(release)
					f.Err = fault
					faulty.Next(f)
					first := make(chan error, 1)
					go func() { first <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
					synctest.Wait()
					l.inbox <- broken()
					synctest.Wait()
					close(release)
					if fault == nil {
						require.NoError(t, <-first)
					} else {
						require.ErrorIs(t, <-first, store.ErrOutcomeUnknown)
					}
					require.ErrorIs(t, l.Close(), store.ErrFailed)
				})
			})
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	engine := journaltest.NewEngine()
	l := openLoop(t, engine, Options{})
	fill(t, l)
	require.NoError(t, l.Close())
	for name, c := range map[string]struct {
		fault journaltest.OpenFault
		is    error
	}{
		"corrupt":        {journaltest.Corrupt(3), journal.ErrCorrupt},
		"in use":         {journaltest.FailOpen(journal.ErrInUse), journal.ErrInUse},
		"newer":          {journaltest.FailOpen(journal.ErrNewerFormat), journal.ErrNewerFormat},
		"a part is lost": {journaltest.CutShort(4), journal.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := journaltest.NewFaulty(engine)
			faulty.NextOpen(c.fault)
			_, err := Open(t.Context(), faulty, "p", Options{})
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, `partition "p"`)
			assert.Zero(t, faulty.Counts().Open)
		})
	}
}

func TestCompact(t *testing.T) {
	faulty := journaltest.NewFaulty(journaltest.NewEngine())
	l := openLoop(t, faulty, Options{})
	fill(t, l)
	before := exported(t, l)
	require.NoError(t, l.Compact(t.Context()))
	why := errors.New("why")
	faulty.NextCompact(why)
	err := l.Compact(t.Context())
	require.ErrorIs(t, err, why)
	assert.ErrorContains(t, err, "compact")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, l.Compact(ended))
	assert.Equal(t, before, exported(t, reopened(t, l, faulty)))
	assert.Equal(t, 2, faulty.Counts().Compacts)
}

func TestLoggerIsToldOfTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		l := openLoop(t, faulty, Options{})
		for i := range 2000 {
			require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle))
		}
		require.NoError(t, l.Close())
		slow := slowEngine{faulty, 10 * time.Millisecond}
		l = openLoop(t, slow, Options{Logger: slog.New(b)})
		faulty.Next(journaltest.Ambiguous(false))
		require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrOutcomeUnknown)
		require.Error(t, l.Close())
		entries := b.entries(t)
		require.Len(t, entries, 3)
		assert.Equal(t, "store is opening", entries[0]["msg"])
		assert.Equal(t, "store opened", entries[1]["msg"])
		assert.EqualValues(t, 2000, entries[1]["runtimes"])
		assert.EqualValues(t, 2001, entries[1]["records"])
		assert.Equal(t, "store failed", entries[2]["msg"])
	})
}

// A slowEngine takes its time for each key.
type slowEngine struct {
	journal.Engine
	each time.Duration
}

func (e slowEngine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	return e.Engine.Open(ctx, partition, func(c journal.Change) error {
		time.Sleep(e.each)
		return emit(c)
	})
}

// A context that does something when it is asked for Err the second time, which is
// after the call was sent.
type lateContext struct {
	context.Context
	asked int
	do    func()
}

func (c *lateContext) Err() error {
	if c.asked++; c.asked == 2 {
		c.do()
	}
	return c.Context.Err()
}

// Compact runs no code of its caller's on the owner's goroutine.
func TestNeverBlockedByTheContextOfACompact(t *testing.T) {
	for how, do := range map[string]func(){"panic": func() { panic("a context of the caller's") }, "exit": runtime.Goexit, "block": func() { select {} }} {
		t.Run(how, func(t *testing.T) {
			l := openLoop(t, journaltest.NewEngine(), Options{})
			go func() {
				defer func() { _ = recover() }()
				_ = l.Compact(&lateContext{Context: t.Context(), do: do})
			}()
			for range 100 {
				require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
			}
			require.NoError(t, l.Compact(t.Context()))
			require.NoError(t, l.Close())
		})
	}
}
