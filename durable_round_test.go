package loopstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// A loadOp is a load that only tests can make.
type loadOp struct {
	id store.RuntimeID
	do func()
}

func (loadOp) Kind() ops.Kind                      { return ops.KindLoadRuntimeState }
func (op loadOp) Runtime() (store.RuntimeID, bool) { return op.id, true }
func (*loadOp) Answer() ops.None                   { return ops.None{} }
func (*loadOp) Prepare(ops.Standing) error         { return nil }
func (*loadOp) Weigh() ops.Weight                  { return ops.Weight{} }
func (op *loadOp) Apply(*state.State) error        { op.do(); return nil }

// load starts a load, and returns where its outcome comes.
func load(ctx context.Context, l *Loop, id store.RuntimeID, do_ func()) <-chan error {
	errs := make(chan error, 1)
	go func() {
		_, err := do[ops.None, loadOp, *loadOp](ctx, l, loadOp{id, do_})
		errs <- err
	}()
	return errs
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
			both := batch.Batch{Then: []batch.Write{
				batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeRunning}, batch.PutRuntimeState{RuntimeID: "b", State: store.RuntimeRunning},
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
		_, err = l.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: "a"}}, Then: []batch.Write{batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}}})
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
		put := func(id store.InputID) batch.Batch {
			in := store.NewInputState(id, store.Time{})
			return batch.Batch{
				If:   []batch.Condition{batch.InputAbsent{RuntimeID: "x", InputID: store.InputID{1}}},
				Then: []batch.Write{batch.PutInputState{RuntimeID: "x", State: in}},
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

// An againOp is a loadOp that sees the state.
type againOp struct {
	loadOp
	do func(*state.State)
}

func (op *againOp) Apply(s *state.State) error { op.do(s); return nil }

// Loads of which each brings the next keep no write from its round.
func TestLoadsDoNotStarveWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLoop(t, journaltest.NewEngine(), Options{})
		const most = 1000
		served, write := 0, make(chan error, 1)
		var next func(*state.State)
		next = func(s *state.State) { // on the owner's goroutine, which knows of the round
			if served++; served < most && !s.Grouping() {
				l.inbox <- &newCall[ops.None, againOp, *againOp](l, againOp{loadOp{id: "other"}, next}).request
			}
		}
		begin := make(chan struct{})
		first := make(chan error, 1)
		go func() {
			_, err := do[ops.None, againOp, *againOp](t.Context(), l, againOp{loadOp{id: "other"}, func(s *state.State) { <-begin; next(s) }})
			first <- err
		}()
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

// While a round is with the journal, only its append says that the journal is fenced: the
// round may be stored.
func TestFencedHintWaitsForTheAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, faulty, first, letGo := heldAppend(t)
		faulty.NoticeFence()
		synctest.Wait()
		require.Empty(t, first)
		letGo()
		require.NoError(t, <-first)
	})
}

// A round that stands is answered so, also if the owner panics before it has done it.
func TestFailsClosedAfterAnAppend(t *testing.T) {
	j, err := journaltest.NewEngine().Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	d := &durable{loop: prepare(Options{}), state: new(state.State), journal: j}
	d.loop.durable = new(journaled)
	for _, err := range []error{nil, store.ErrConflict} {
		d.round = append(d.round, entry{request: &request{answer: make(chan error, 1)}, err: err})
	}
	round := d.round
	d.state.Begin()
	d.loop.meter = nil // the first answer is not counted, it panics
	func() {
		defer d.leave()
		d.finish()
	}()
	for _, e := range round {
		require.ErrorIs(t, <-e.answer, e.err)
	}
	require.ErrorIs(t, d.loop.unavailable(), store.ErrFailed)
}

// An engine that panics in its Close is an error of Close.
func TestCloseThatPanicsIsAnError(t *testing.T) {
	l := openLoop(t, panickyClose{journaltest.NewEngine()}, Options{})
	require.ErrorContains(t, l.Close(), "the engine panicked: in Close")
}

type panickyClose struct{ journal.Engine }

func (e panickyClose) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	return panickyJournal{j}, err
}

type panickyJournal struct{ journal.Journal }

func (panickyJournal) Close(context.Context) error { panic("in Close") }

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

// An exclusive engine fails a test in which an Append and a Compact overlap.
type exclusive struct {
	journal.Engine
	journal.Journal
	t    *testing.T
	busy *atomic.Bool
}

func (e exclusive) Open(ctx context.Context, partition string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	e.Journal, err = e.Engine.Open(ctx, partition, emit)
	return e, err
}

func (e exclusive) alone() func() {
	assert.True(e.t, e.busy.CompareAndSwap(false, true), "an Append and a Compact overlap")
	return func() { e.busy.Store(false) }
}

func (e exclusive) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	defer e.alone()()
	return e.Journal.Append(ctx, b)
}

func (e exclusive) Compact(ctx context.Context, live iter.Seq[journal.Change]) error {
	defer e.alone()()
	return e.Journal.Compact(ctx, live)
}

// Writers that never pause do not keep Compact waiting, and it waits for their append.
func TestCompactBesideWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		faulty.Script(func(int, journal.Batch) journaltest.Fault { return journaltest.Late(time.Second) })
		l := openLoop(t, exclusive{Engine: faulty, t: t, busy: new(atomic.Bool)}, Options{})
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

// A besides engine has journals that compact beside their holder, as compact does.
type besides struct {
	journal.Engine
	journal.Journal
	compact func(context.Context) error
}

func (e besides) Open(ctx context.Context, partition string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	e.Journal, err = e.Engine.Open(ctx, partition, emit)
	return e, err
}

func (e besides) CompactBeside(ctx context.Context) error { return e.compact(ctx) }

func (e besides) Compact(context.Context, iter.Seq[journal.Change]) error {
	return errors.New("on the owner's goroutine")
}

// Where the engine can compact by itself, everything is served meanwhile.
func TestCompactBesideTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, end := make(chan struct{}), make(chan error)
		l := openLoop(t, besides{Engine: journaltest.NewEngine(), compact: func(ctx context.Context) error {
			close(begun)
			select {
			case err := <-end:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}, Options{})
		compacted := make(chan error, 1)
		compact := func(ctx context.Context) {
			begun = make(chan struct{})
			go func() { compacted <- l.Compact(ctx) }()
			<-begun
		}
		compact(t.Context())
		require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		state, ok, err := l.LoadRuntimeState(t.Context(), "a")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, store.RuntimeIdle, state)
		end <- nil
		require.NoError(t, <-compacted)

		why := errors.New("why")
		compact(t.Context())
		end <- why
		require.ErrorIs(t, <-compacted, why)

		ctx, cancel := context.WithCancel(t.Context())
		compact(ctx)
		cancel()
		require.ErrorIs(t, <-compacted, context.Canceled)

		compact(t.Context())
		require.NoError(t, l.Close())
		end <- journal.ErrClosed
		require.ErrorIs(t, <-compacted, store.ErrClosed)
	})
}
