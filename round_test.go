package loopstore

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A loadOp is a load that only tests can make.
type loadOp struct {
	id store.RuntimeID
	do func()
}

func (loadOp) Kind() ops.Kind                      { return ops.KindLoadRuntimeState }
func (op loadOp) Runtime() (store.RuntimeID, bool) { return op.id, true }
func (*loadOp) Answer() ops.None                   { return ops.None{} }
func (*loadOp) Prepare() error                     { return nil }
func (op *loadOp) Apply(*store.State) error        { op.do(); return nil }

// load starts a load, and returns where its outcome comes.
func load(ctx context.Context, l *Loop, id store.RuntimeID, do_ func()) <-chan error {
	errs := make(chan error, 1)
	go func() {
		_, err := do[ops.None, loadOp, *loadOp](ctx, l, loadOp{id, do_})
		errs <- err
	}()
	return errs
}

// Loads of which each brings the next keep no write from its round.
func TestLoadsDoNotStarveWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLoop(t, journaltest.NewEngine(), Options{})
		const most = 1000
		served, write := 0, make(chan error, 1)
		var next func()
		next = func() { // on the owner's goroutine, which knows of the round
			if served++; served < most && len(l.journal.batch.Changes) == 0 {
				l.inbox <- newRequest[ops.None, loadOp, *loadOp](l, loadOp{"other", next})
			}
		}
		begin := make(chan struct{})
		first := load(t.Context(), l, "other", func() { <-begin; next() })
		synctest.Wait()
		go func() { write <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
		synctest.Wait()
		close(begin)
		require.NoError(t, <-first)
		synctest.Wait()
		require.NoError(t, <-write)
		assert.Less(t, served, 10)
	})
}

// A panic in a load that has waited for a round leaves nobody without an answer.
func TestFailsClosedInALoadThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, first, letGo := heldAppend(t)
		write := make(chan error, 1)
		go func() { write <- l.PersistRuntimeState(t.Context(), "w", store.RuntimeIdle) }()
		synctest.Wait()
		waited := load(t.Context(), l, "a", func() { panic("load") })
		synctest.Wait()
		letGo()
		require.NoError(t, <-first)
		var p *store.PanicError
		require.ErrorAs(t, <-waited, &p)
		require.ErrorIs(t, <-write, store.ErrFailed)
		require.ErrorAs(t, l.Close(), &p)
	})
}

// A panic beside an append that fails stays what ended the store, and what the
// journal says for sure is said.
func TestFailsClosedBesideAFailingAppend(t *testing.T) {
	for name, c := range map[string]struct {
		fault   journaltest.Fault
		unknown bool
	}{
		"rejected":  {journaltest.Reject(), false},
		"fenced":    {journaltest.Fence(), false},
		"ambiguous": {journaltest.Ambiguous(false), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty := journaltest.NewFaulty(journaltest.NewEngine())
				l := openLoop(t, faulty, Options{})
				release := make(chan struct{})
				c.fault.Before = journaltest.Held(release).Before
				faulty.Next(c.fault)
				write := make(chan error, 1)
				go func() { write <- l.PersistRuntimeState(t.Context(), "w", store.RuntimeIdle) }()
				synctest.Wait()
				panicking := load(t.Context(), l, "other", func() { panic("load") })
				synctest.Wait()
				close(release)
				if err := <-write; c.unknown {
					require.ErrorIs(t, err, store.ErrOutcomeUnknown)
				} else {
					require.ErrorIs(t, err, store.ErrFailed)
				}
				var p *store.PanicError
				require.ErrorAs(t, <-panicking, &p)
				require.ErrorAs(t, l.Close(), &p)
			})
		})
	}
}

// What a round holds that may be taken back is in no figure, and what came of it
// is right afterwards.
func TestStatsShowNothingThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		l := openLoop(t, faulty, Options{})
		require.NoError(t, l.PersistRuntimeState(t.Context(), "other", store.RuntimeIdle))
		before, release := l.Stats().Held, make(chan struct{})
		fault := journaltest.Reject()
		fault.Before = journaltest.Held(release).Before
		faulty.Next(fault)
		write := make(chan error, 1)
		go func() { write <- l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) }()
		synctest.Wait()
		assert.True(t, has(t, l, "other"))
		assert.Equal(t, before, l.Stats().Held)
		close(release)
		require.ErrorIs(t, <-write, journal.ErrRejected)
		require.NoError(t, l.PersistRuntimeState(t.Context(), "other", store.RuntimeRunning)) // by the same revision
		assert.Equal(t, before.Runtimes, l.Stats().Held.Runtimes)
		assert.EqualValues(t, 1, l.Stats().Journal.Rejected)
	})
}

// A compactPanics is an engine whose journals panic in Compact.
type compactPanics struct{ journal.Engine }

type panickingJournal struct{ journal.Journal }

func (e compactPanics) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	return panickingJournal{j}, err
}

func (panickingJournal) Compact(context.Context, iter.Seq[journal.Change]) error { panic("compact") }

func TestCompactThatPanicsIsAnswered(t *testing.T) {
	l := openLoop(t, compactPanics{journaltest.NewEngine()}, Options{})
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	require.ErrorIs(t, l.Compact(t.Context()), store.ErrFailed)
	refused(t, l, nil)
}

// Writers that never pause do not keep Compact waiting.
func TestCompactBesideWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		faulty.Script(func(int, journal.Batch) journaltest.Fault { return journaltest.Late(time.Second) })
		l := openLoop(t, faulty, Options{})
		writing, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, id := range []store.RuntimeID{"a", "b", "c"} {
			wg.Go(func() {
				for writing.Err() == nil {
					_ = l.PersistRuntimeState(writing, id, store.RuntimeIdle)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, l.Compact(ctx))
		stop()
		wg.Wait()
	})
}

// A load waits for no append but those that change its runtime: not for a call
// that was refused, nor for the tries of others after a rejection.
func TestLoadsWaitForTheirOwnRuntimeAlone(t *testing.T) {
	t.Run("beside a refused call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			faulty := journaltest.NewFaulty(journaltest.NewEngine())
			l := openLoop(t, faulty, Options{Limits: store.Limits{InputsPerRuntime: 1}})
			put := func(n byte) error {
				return l.PersistInputState(t.Context(), "x", store.NewInputState(store.InputID{n}, store.Time{}))
			}
			require.NoError(t, put(1))
			one, two := make(chan struct{}), make(chan struct{})
			faulty.Next(journaltest.Held(one), journaltest.Held(two))
			var wg sync.WaitGroup
			for _, id := range []store.RuntimeID{"a", "b"} {
				wg.Go(func() { assert.NoError(t, l.PersistRuntimeState(t.Context(), id, store.RuntimeIdle)) })
				synctest.Wait()
			}
			wg.Go(func() { assert.ErrorIs(t, put(2), store.ErrLimit) })
			synctest.Wait()
			close(one)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := l.LoadInputStates(ctx, "x")
			assert.NoError(t, err)
			close(two)
			wg.Wait()
		})
	})

	t.Run("after a rejection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, faulty, first, letGo := heldAppend(t)
			release := make(chan struct{})
			rejected := journaltest.Reject()
			rejected.Before = journaltest.Held(release).Before
			faulty.Next(rejected)
			var wg sync.WaitGroup
			for n := range 20 {
				wg.Go(func() {
					assert.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(rune('A'+n)), store.RuntimeIdle))
				})
				synctest.Wait()
			}
			letGo()
			require.NoError(t, <-first)
			synctest.Wait()
			began, took := time.Now(), time.Duration(0)
			wg.Go(func() { assert.False(t, has(t, l, "A")); took = time.Since(began) })
			synctest.Wait()
			faulty.Script(func(int, journal.Batch) journaltest.Fault { return journaltest.Late(time.Minute) })
			close(release)
			wg.Wait()
			assert.LessOrEqual(t, took, time.Minute)
		})
	})
}
