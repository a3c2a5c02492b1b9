package loopstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// openLoop opens partition "p" of an engine. Whoever does not close the loop
// leaves it to the test's end, which does not mind how that went.
func openLoop(t *testing.T, engine journal.Engine, opts Options) *Loop {
	t.Helper()
	opts.Journal, opts.Partition = engine, "p"
	l, err := Open(t.Context(), opts)
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
	_, err = l.Commit(ctx, store.Batch{Then: []store.Write{
		store.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}, store.DeleteInputState{RuntimeID: "b", InputID: input.InputID},
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

// heldAppend is a loop whose first append does not return until it is let go.
func heldAppend(t *testing.T) (l *Loop, faulty *journaltest.Faulty, first <-chan error, letGo func()) {
	faulty = journaltest.NewFaulty(journaltest.NewEngine())
	l = openLoop(t, faulty, Options{})
	require.NoError(t, l.PersistRuntimeState(t.Context(), "other", store.RuntimeIdle))
	release := make(chan struct{})
	faulty.Next(journaltest.Held(release))
	errs := make(chan error, 1)
	go func() { errs <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
	synctest.Wait()
	return l, faulty, errs, sync.OnceFunc(func() { close(release) })
}

func TestRounds(t *testing.T) {
	t.Run("what comes during an append goes together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			errs := make(chan error, 50)
			for i := range cap(errs) {
				go func() { errs <- l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle) }()
			}
			synctest.Wait()
			require.Empty(t, first)
			require.Empty(t, errs, "nothing of it is stored")
			letGo()
			require.NoError(t, <-first)
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
			assert.Equal(t, 3, faulty.Counts().Appends)
			assert.EqualValues(t, 3, l.Stats().Journal.Appends)
			assert.EqualValues(t, 3, l.Stats().Journal.Index)
		})
	})

	t.Run("a load waits only for what may vanish", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _, first, letGo := heldAppend(t)
			_, ok, err := l.LoadRuntimeState(t.Context(), "other")
			require.NoError(t, err)
			require.True(t, ok)
			view, err := l.View(t.Context(), "neither")
			require.NoError(t, err)
			require.False(t, view.Exists())
			seen := make(chan bool, 1)
			go func() {
				_, ok, err := l.LoadRuntimeState(t.Context(), "a")
				seen <- ok && err == nil
			}()
			listed := make(chan int, 1)
			go func() {
				page, err := Do(t.Context(), l, ops.ListRuntimes{})
				assert.NoError(t, err)
				listed <- len(page.Items)
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = l.LoadInputStates(ctx, "a")
			require.ErrorIs(t, err, context.DeadlineExceeded, "it can be given up")
			require.Empty(t, seen)
			require.Empty(t, listed)
			letGo()
			require.NoError(t, <-first)
			require.True(t, <-seen)
			require.Equal(t, 2, <-listed)
		})
	})

	t.Run("a view stays current until what ends it is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			faulty := journaltest.NewFaulty(journaltest.NewEngine())
			l := openLoop(t, faulty, Options{})
			require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
			view, err := l.View(t.Context(), "a")
			require.NoError(t, err)
			absent, err := l.View(t.Context(), "b")
			require.NoError(t, err)
			changed := view.Changed()
			both := store.Batch{Then: []store.Write{
				store.PutRuntimeState{RuntimeID: "a", State: store.RuntimeRunning}, store.PutRuntimeState{RuntimeID: "b", State: store.RuntimeRunning},
			}}
			for _, fault := range []journaltest.Fault{journaltest.Reject(), {}} {
				release := make(chan struct{})
				fault.Before = journaltest.Held(release).Before
				faulty.Next(fault)
				errs := make(chan error, 1)
				go func() {
					_, err := l.Commit(t.Context(), both)
					errs <- err
				}()
				synctest.Wait()
				assert.True(t, view.Current())
				assert.True(t, fault.Err != nil || !absent.Current() || absent.Current())
				close(release)
				require.Equal(t, fault.Err == nil, <-errs == nil)
				synctest.Wait()
				select {
				case <-changed:
					require.NoError(t, fault.Err)
				default:
					require.Error(t, fault.Err)
				}
				require.Equal(t, fault.Err != nil, view.Current())
			}
			next, err := l.View(t.Context(), "a")
			require.NoError(t, err)
			assert.EqualValues(t, 2, next.Version(), "what was rejected has left no revision")
			assert.False(t, absent.Current())
		})
	})

	t.Run("what was given up before its round never runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _, first, letGo := heldAppend(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, l.PersistRuntimeState(ctx, "b", store.RuntimeIdle), context.DeadlineExceeded)
			letGo()
			require.NoError(t, <-first)
			assert.False(t, has(t, l, "b"))
		})
	})

	t.Run("no caller ends an append", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			faulty := journaltest.NewFaulty(journaltest.NewEngine())
			l := openLoop(t, faulty, Options{})
			faulty.Next(journaltest.Late(time.Hour))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, l.PersistRuntimeState(ctx, "a", store.RuntimeIdle), "once the owner has it, the call waits")
			require.Error(t, ctx.Err())
		})
	})

	t.Run("what is large goes in rounds of its own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			input := store.NewInputState(store.InputID{1}, store.Time{})
			input.PersistedInput = append(append([]byte(`"`), bytes.Repeat([]byte("x"), maxRoundBytes/2)...), '"')
			errs := make(chan error, 4)
			for i := range cap(errs) {
				go func() { errs <- l.PersistInputState(t.Context(), store.RuntimeID(fmt.Sprint(i)), input) }()
			}
			synctest.Wait()
			letGo()
			require.NoError(t, <-first)
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
			assert.Equal(t, 2+4, faulty.Counts().Appends)
		})
	})

	t.Run("nothing is appended where nothing changes", func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		l := openLoop(t, faulty, Options{})
		_, err := l.DeleteRuntime(t.Context(), "not there")
		require.NoError(t, err)
		_, err = l.Commit(t.Context(), store.Batch{If: []store.Condition{store.RuntimeExists{RuntimeID: "a"}}, Then: []store.Write{store.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}}})
		require.ErrorIs(t, err, store.ErrConflict)
		assert.Zero(t, faulty.Counts().Appends)
	})
}

// Of requests that the journal rejects together, only those fail that it rejects
// alone, and what the others have found does not come of them.
func TestRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, faulty, first, letGo := heldAppend(t)
		faulty.Script(func(_ int, b journal.Batch) journaltest.Fault {
			for _, c := range b.Changes {
				if bytes.Contains(c.Value, []byte("reject me")) {
					return journaltest.Reject()
				}
			}
			return journaltest.Fault{}
		})
		bad := store.NewInputState(store.InputID{1}, store.Time{})
		bad.IdempotencyKey = new("reject me")
		put := func(id store.InputID) store.Batch {
			in := store.NewInputState(id, store.Time{})
			return store.Batch{
				If:   []store.Condition{store.InputAbsent{RuntimeID: "x", InputID: store.InputID{1}}},
				Then: []store.Write{store.PutInputState{RuntimeID: "x", State: in}},
			}
		}
		var g errgroup.Group
		g.Go(func() error {
			if err := l.PersistInputState(t.Context(), "x", bad); !errors.Is(err, journal.ErrRejected) || !bytes.Contains([]byte(err.Error()), []byte("nothing was applied")) {
				return fmt.Errorf("not rejected: %w", err)
			}
			return nil
		})
		synctest.Wait()
		for i := range 5 { // each would conflict with what is rejected
			g.Go(func() error {
				_, err := l.Commit(t.Context(), put(store.InputID{byte(2 + i)}))
				return err
			})
		}
		synctest.Wait()
		letGo()
		require.NoError(t, <-first)
		require.NoError(t, g.Wait())
		states, err := l.LoadInputStates(t.Context(), "x")
		require.NoError(t, err)
		assert.Len(t, states, 5)
		before := exported(t, l)
		assert.Equal(t, before, exported(t, reopened(t, l, faulty)))
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
			_, err := l.Commit(t.Context(), store.Batch{If: []store.Condition{store.RuntimeAbsent{RuntimeID: "b"}}})
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
					l.inbox <- brokenTask{}
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
			_, err := Open(t.Context(), Options{Journal: faulty, Partition: "p"})
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, `partition "p"`)
			assert.Zero(t, faulty.Counts().Open)
		})
	}
	assert.PanicsWithValue(t, "loopstore: New with a Journal, which Open takes", func() { New(Options{Journal: engine}) })
	plain, err := Open(t.Context(), Options{})
	require.NoError(t, err)
	require.NoError(t, plain.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	require.NoError(t, plain.Compact(t.Context()))
	assert.Nil(t, plain.Stats().Journal)
	require.NoError(t, plain.Close())
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
