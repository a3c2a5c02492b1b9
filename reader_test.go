package loopstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/meter"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

func viewOf(t *testing.T, l *Loop, id store.RuntimeID) *state.View {
	t.Helper()
	v, err := l.View(t.Context(), id)
	require.NoError(t, err)
	return v
}

func TestView(t *testing.T) {
	l := newLoop(t, Options{})
	none := viewOf(t, l, "a")
	assert.False(t, none.Exists())
	receipt, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.RunID{1}))
	require.NoError(t, err)
	v := viewOf(t, l, "a")
	assert.EqualValues(t, 1, v.Version())
	snapshot, ok := v.Snapshot()
	assert.True(t, ok)
	assert.Equal(t, document, snapshot.String())
	latest, ok := v.LatestReceipt()
	assert.True(t, ok)
	assert.Equal(t, receipt, latest)
	assert.Same(t, v, viewOf(t, l, "a"))
	assert.False(t, none.Exists(), "it stays as it was")
}

func TestReader(t *testing.T) {
	l := newLoop(t, Options{})
	r := l.Reader("a")
	none, err := r.View(t.Context())
	require.NoError(t, err)
	assert.False(t, none.Exists())
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	v, err := r.View(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, v.Version())
	require.NoError(t, l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle))
	again, err := r.View(t.Context())
	require.NoError(t, err)
	assert.Same(t, v, again)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again, err = r.View(ctx)
	require.NoError(t, err, "it needs no call to the owner")
	assert.Same(t, v, again)
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeRunning))
	_, err = r.View(ctx)
	require.ErrorIs(t, err, context.Canceled)

	_, err = r.View(t.Context())
	require.NoError(t, err)
	changed := viewOf(t, l, "a").Changed()
	require.NoError(t, l.Close())
	_, err = r.View(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
	<-changed
}

// While the owner does not answer, a Reader does, as long as nothing changes.
func TestReaderDoesNotAskTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{})
		require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		r := l.Reader("a")
		v, err := r.View(t.Context())
		require.NoError(t, err)
		g := hold(t.Context(), l, "b")
		again, err := r.View(t.Context())
		require.NoError(t, err)
		assert.Same(t, v, again)
		close(g.open)
		require.NoError(t, <-g.err)
	})
}

// The views of what a write changes are over when it is answered, not after.
func TestSettledBeforeAnswered(t *testing.T) {
	l := newLoop(t, Options{})
	var s state.State
	r := newCall[ops.None, ops.PersistRuntimeState, *ops.PersistRuntimeState](l, ops.PersistRuntimeState{RuntimeID: "a", State: store.RuntimeIdle})
	require.NoError(t, r.op.Prepare(&s))
	before := s.View("a")
	r.answer = make(chan error)
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.serve(&s, &r.request)
	}()
	for before.Current() {
		select {
		case err := <-r.answer:
			t.Fatal("it was answered before: ", err)
		default:
			runtime.Gosched()
		}
	}
	require.NoError(t, <-r.answer)
	<-served
}

// At the end of the service too: no view is current when the first learns of it. What a
// call has done is counted when it is answered.
func TestEndedBeforeAnswered(t *testing.T) {
	t.Run("by a panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{})
			view, err := l.View(t.Context(), "a")
			require.NoError(t, err)
			r := broken()
			r.answer = make(chan error) // which holds up the owner
			l.inbox <- r
			synctest.Wait()
			assert.False(t, view.Current())
			require.ErrorIs(t, <-r.answer, store.ErrFailed)
		})
	})
	for name, fault := range map[string]journaltest.Fault{
		"by the journal":                     journaltest.Ambiguous(false),
		"by a panic beside an append":        {},
		"by a panic beside one that is lost": journaltest.Ambiguous(false),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty := journaltest.NewFaulty(journaltest.NewEngine())
				l := openLoop(t, faulty, Options{})
				view, err := l.View(t.Context(), "b")
				require.NoError(t, err)
				release := make(chan struct{})
				fault.Before = journaltest.Held(release).Before
				faulty.Next(fault)
				r := &request{sample: meter.SampleOf(ops.KindPersistRuntimeState), op: &testOp{id: "a", do: func() {}}, answer: make(chan error)}
				l.inbox <- r
				synctest.Wait()
				if name != "by the journal" {
					l.inbox <- &request{sample: meter.SampleOf(ops.KindLoadRuntimeState), op: &loadOp{id: "b", do: func() { panic("load") }}, answer: make(chan error, 1)}
					synctest.Wait()
				}
				close(release)
				synctest.Wait()
				assert.False(t, view.Current())
				assert.Equal(t, fault.Err != nil, <-r.answer != nil)
			})
		})
	}
	t.Run("counted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{})
			r := &request{sample: meter.SampleOf(ops.KindPersistRuntimeState), op: &testOp{id: "a", do: func() {}}, answer: make(chan error)}
			l.inbox <- r
			synctest.Wait()
			assert.Equal(t, 1, l.Stats().Held.Runtimes)
			require.NoError(t, <-r.answer)
		})
	})
}

// A lossyOp has a defect after it has ended views, and so nobody wakes those
// who wait for that.
type lossyOp struct{ testOp }

func (lossyOp) Apply(s *state.State) error {
	s.PutRuntimeState("a", store.RuntimeRunning)
	s.Settle()
	panic("defect")
}

func TestWatchSurvivesLostWaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		var last error
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, err := range l.Watch(t.Context(), "a", 1) {
				last = err
			}
		})
		synctest.Wait()
		_, err := do[ops.None, lossyOp, *lossyOp](t.Context(), l, lossyOp{})
		require.ErrorIs(t, err, store.ErrFailed)
		wg.Wait()
		require.ErrorIs(t, last, store.ErrFailed)
		require.ErrorIs(t, l.Close(), store.ErrFailed)
	})
}

// A write that has returned is seen by every Reader, one that was seen stays
// seen, and the parts of a batch on two runtimes are seen together.
func TestReaderIsLinearizable(t *testing.T) {
	l := newLoop(t, Options{})
	a, b := l.Reader("a"), l.Reader("b")
	var written atomic.Uint64 // the revision of the last write that has returned
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var last uint64
			for turn := 0; ; turn++ {
				select {
				case <-done:
					return
				default:
				}
				first, second := a, b
				if turn%2 == 1 {
					first, second = b, a
				}
				floor := written.Load()
				v, err := first.View(t.Context())
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, v.Version(), max(floor, last)) {
					return
				}
				w, err := second.View(t.Context())
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, w.Version(), v.Version(), "half of a batch") {
					return
				}
				last = w.Version()
			}
		})
	}
	for range 3000 {
		result, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{
			batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle},
			batch.PutRuntimeState{RuntimeID: "b", State: store.RuntimeIdle},
		}})
		require.NoError(t, err)
		written.Store(result.Revision)
	}
	close(done)
	wg.Wait()
}

// Views are read while the owner goes on to change what they share.
func TestViewsBesideWrites(t *testing.T) {
	l := newLoop(t, Options{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 300 {
				v, err := l.View(t.Context(), "a")
				if !assert.NoError(t, err) {
					return
				}
				n := 0
				for in := range v.InputStates() {
					_, ok := v.InputState(in.InputID)
					assert.True(t, ok)
					n++
				}
				assert.Equal(t, v.NumInputStates(), n)
				next := uint64(0)
				for receipt := range v.Receipts(store.RunID{1}) {
					assert.Equal(t, next, receipt.Sequence)
					next++
				}
			}
		})
	}
	for i := range 600 {
		_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{
			batch.PutInputState{RuntimeID: "a", State: store.NewInputState(store.InputID{byte(i)}, store.Time{})},
			batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{byte(i * 7)}},
			batch.CommitBoundary{RuntimeID: "a", Commit: commitOf(store.RunID{1})},
		}})
		require.NoError(t, err)
	}
	wg.Wait()
}

func TestWatchingYieldsEachNewerView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var seen []uint64
		var last error
		var wg sync.WaitGroup
		watch := func(ctx context.Context, after uint64) {
			seen, last = nil, nil
			wg.Go(func() {
				for v, err := range l.Watch(ctx, "a", after) {
					if last = err; err == nil {
						seen = append(seen, v.Version())
					}
				}
			})
			synctest.Wait()
		}
		write := func() {
			require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
			synctest.Wait()
		}
		watch(ctx, 0)
		assert.Empty(t, seen, "there is nothing to be seen")
		require.NoError(t, l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle))
		synctest.Wait()
		write()
		write()
		_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.DeleteRuntime{RuntimeID: "a"}}})
		require.NoError(t, err)
		synctest.Wait()
		write()
		assert.Equal(t, []uint64{2, 3, 0, 5}, seen)
		cancel()
		wg.Wait()
		assert.ErrorIs(t, last, context.Canceled)
		assert.Len(t, seen, 4)

		watch(t.Context(), 5)
		assert.Empty(t, seen, "it has seen this one")
		require.NoError(t, l.Close())
		wg.Wait()
		assert.ErrorIs(t, last, store.ErrClosed)
		watch(t.Context(), 3)
		wg.Wait()
		assert.Empty(t, seen)
		assert.ErrorIs(t, last, store.ErrClosed)
	})
}

// One that takes its time skips versions, and holds up nobody.
func TestSlowWatcher(t *testing.T) {
	l := newLoop(t, Options{})
	var seen []uint64
	for v, err := range l.Watch(t.Context(), "a", 7) {
		require.NoError(t, err)
		if seen = append(seen, v.Version()); v.Version() == 100 {
			break
		}
		for range 100 {
			require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		}
	}
	assert.Equal(t, []uint64{0, 100}, seen)
}

// However many watch, and whatever else they do, all see the last version.
func TestWatchersNeverMissTheLast(t *testing.T) {
	const last = 100
	l := newLoop(t, Options{})
	write := func() { require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle)) }
	write()
	var started, wg sync.WaitGroup
	for range 600 { // more than one caller wakes
		started.Add(1)
		wg.Go(func() {
			before := uint64(0)
			for v, err := range l.Watch(t.Context(), "a", 0) {
				if before == 0 {
					started.Done()
				}
				if !assert.NoError(t, err) || !assert.Greater(t, v.Version(), before) || v.Version() == last {
					return
				}
				before = v.Version()
			}
		})
	}
	started.Wait()
	for range last - 1 {
		write()
	}
	wg.Wait()
}

// Watchers and Readers are told when the service ends by a defect.
func TestWatchFailsClosed(t *testing.T) {
	l := New(Options{})
	require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	r := l.Reader("a")
	_, err := r.View(t.Context())
	require.NoError(t, err)
	watched := make(chan error)
	started := make(chan struct{})
	go func() {
		for _, err := range l.Watch(t.Context(), "a", 0) {
			if err != nil {
				watched <- err
				return
			}
			close(started)
		}
	}()
	<-started
	require.ErrorIs(t, runTestOp(t.Context(), l, "a", func() { panic("defect") }), store.ErrFailed)
	require.ErrorIs(t, <-watched, store.ErrFailed)
	require.ErrorIs(t, l.Close(), store.ErrFailed)
	_, err = r.View(t.Context())
	require.ErrorIs(t, err, store.ErrFailed)
}

func TestCommitBatch(t *testing.T) {
	l := newLoop(t, Options{})
	result, err := l.Commit(t.Context(), batch.Batch{
		If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: "a"}},
		Then: []batch.Write{
			batch.CommitBoundary{RuntimeID: "a", Commit: commitOf(store.RunID{1})},
			batch.CommitBoundary{RuntimeID: "a", Commit: commitOf(store.RunID{1})},
		},
	})
	require.NoError(t, err)
	assert.EqualValues(t, 1, result.Revision)
	require.Len(t, result.Receipts, 2)
	assert.EqualValues(t, 1, result.Receipts[1].Sequence)

	_, err = l.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.VersionIs{RuntimeID: "a", Version: 7}}})
	require.ErrorIs(t, err, store.ErrConflict)
	conflict, ok := errors.AsType[*batch.ConflictError](err)
	require.True(t, ok)
	assert.Equal(t, batch.ConflictError{RuntimeID: "a", Want: "version 7", Stands: "version 1", Version: 1}, *conflict)
	assert.Equal(t, `commit: conflict: condition 0 of runtime "a": want version 7, but there is version 1 (nothing was applied)`, err.Error())
}

func TestStrictReceipts(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint(strict), func(t *testing.T) {
			l := newLoop(t, Options{StrictReceipts: strict})
			apply := store.BoundaryApply{Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart, MessageCount: 1}}
			require.NoError(t, l.AtomicApply(t.Context(), "a", apply))
			require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
			require.NoError(t, l.AtomicApply(t.Context(), "a", apply), "the same again")
			assert.Equal(t, strict, viewOf(t, l, "a").Version() == 2, "it was done before")
			apply.Receipt.MessageCount = 2
			apply.Session = &store.SessionDelta{SessionSnapshot: []byte("x")}
			err := l.AtomicApply(t.Context(), "a", apply)
			_, ok, _ := l.LoadSessionSnapshot(t.Context(), "a")
			if !strict {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, store.ErrReceiptConflict)
			assert.False(t, ok, "nothing was applied")
		})
	}
}

// A snapshot is filed under the key that comes with it. A document of another id
// is refused only if keys are strict.
func TestSessionKey(t *testing.T) {
	key := store.SessionID{1}
	apply := store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte(document)}, SessionStoreKey: &key,
		Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}
	l := newLoop(t, Options{})
	require.NoError(t, l.AtomicApply(t.Context(), "a", apply))
	filed, ok, err := l.LoadSession(t.Context(), key)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, document, filed.String())

	l = newLoop(t, Options{StrictSessionKeys: true})
	err = l.AtomicApply(t.Context(), "a", apply)
	require.ErrorIs(t, err, store.ErrSessionKeyMismatch)
	mismatch, ok := errors.AsType[*state.SessionKeyError](err)
	require.True(t, ok)
	assert.False(t, viewOf(t, l, "a").Exists())

	key = mismatch.ID
	require.NoError(t, l.AtomicApply(t.Context(), "a", apply))
	filed, ok, err = l.LoadSession(t.Context(), key)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, document, filed.String())
	_, ok, err = l.LoadSession(t.Context(), store.SessionID{1})
	require.NoError(t, err)
	assert.False(t, ok)
}

// A vanishingContext ends its caller's goroutine, one way or another, when it is
// asked for Done once the owner has the call.
type vanishingContext struct {
	context.Context
	vanish func()
}

func (c vanishingContext) Done() <-chan struct{} {
	synctest.Wait()
	c.vanish()
	return nil
}

// Those who wait for the end of a view are woken, whatever becomes of the caller
// whose write ended it.
func TestWatchersWakeWhateverTheirWriterDoes(t *testing.T) {
	for name, vanish := range map[string]func(){"panic": func() { panic("a context of the caller's") }, "exit": runtime.Goexit} {
		for _, opts := range []Options{{}, {BytesInFlight: 1 << 20}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLoop(t, opts)
					require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
					changed := viewOf(t, l, "a").Changed()
					go func() {
						defer func() { _ = recover() }()
						_ = l.PersistRuntimeState(vanishingContext{t.Context(), vanish}, "a", store.RuntimeRunning)
					}()
					<-changed
					assert.EqualValues(t, 2, viewOf(t, l, "a").Version())
				})
			})
		}
	}
}

// A document that is filed under another id is exported, and imported again.
func TestExportOfASessionUnderAnotherKey(t *testing.T) {
	l := newLoop(t, Options{})
	key := store.SessionID{9}
	require.NoError(t, l.AtomicApply(t.Context(), "a", store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte(document)}, SessionStoreKey: &key,
		Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart},
	}))
	var file bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &file))
	_, err := newLoop(t, Options{}).Import(t.Context(), &file)
	assert.NoError(t, err)
}
