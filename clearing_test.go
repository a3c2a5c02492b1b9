package loopstore

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// Between any two batches of a deletion the runtime is there, whole, or gone.
func TestAtomicDeletionInPieces(t *testing.T) {
	for _, delete := range []struct {
		name string
		do   func(t *testing.T, l *Loop)
	}{
		{"alone", func(t *testing.T, l *Loop) {
			removed, err := l.DeleteRuntime(t.Context(), "large")
			require.NoError(t, err)
			require.Equal(t, []int{1, 200, 2006}, []int{removed.Runtimes, removed.InputStates, removed.Receipts})
		}},
		{"after changes of the same batch, and made again", func(t *testing.T, l *Loop) {
			_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{
				batch.PutReceipt{RuntimeID: "large", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.Immediate, Sequence: 51}},   // another one stands
				batch.PutReceipt{RuntimeID: "large", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.Immediate, Sequence: 5000}}, // new
				batch.PutReceipt{RuntimeID: "large", Receipt: store.RunBoundaryReceipt{RunID: store.RunID{7}, Boundary: store.Immediate, Sequence: 1}},    // of a new run
				batch.PutInputState{RuntimeID: "large", State: store.NewInputState(store.InputID{200}, store.Time{})},
				batch.DeleteInputState{RuntimeID: "large", InputID: store.InputID{3, 3}},
				batch.PutRuntimeState{RuntimeID: "large", State: store.RuntimeIdle},
				batch.PutSnapshot{RuntimeID: "large", Snapshot: make([]byte, 20_000)},
				batch.DeleteRuntime{RuntimeID: "large"},
				batch.PutRuntimeState{RuntimeID: "large", State: store.RuntimeRetired},
				batch.PutRuntimeState{RuntimeID: "never there", State: store.RuntimeRetired},
				batch.DeleteRuntime{RuntimeID: "never there"},
			}})
			require.NoError(t, err)
		}},
	} {
		t.Run(delete.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := &history{Memory: journaltest.NewEngine()}
				opts := Options{Retention: store.Retention{Sessions: store.Keep{Last: 9}}}
				l := openLoop(t, engine, opts)
				large(t, l)
				before := exported(t, l)
				require.NoError(t, l.Close())
				engine.Limits, engine.states = few, nil
				l = openLoop(t, engine, opts)
				delete.do(t, l)
				after := exported(t, l)
				require.NotEqual(t, before, after)
				synctest.Wait()
				require.Greater(t, len(engine.states), 5, "pieces")
				left := records(t, l)
				require.Len(t, engine.Standing("p"), left, "all is cleared")
				for i, standing := range engine.states {
					got, cleared := heldBy(t, standing)
					require.Equal(t, after, got, "after %d batches", i+1)
					require.Len(t, cleared, left, "after %d batches", i+1)
				}
				require.NoError(t, l.Close())
			})
		})
	}
}

func TestPruneGoesInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: journaltest.NewEngine()}
		faulty := journaltest.NewFaulty(engine)
		opts := Options{Retention: store.Retention{Sessions: store.Keep{Last: 9}}}
		l := openLoop(t, faulty, opts)
		large(t, l)
		require.NoError(t, l.Close())
		engine.Limits = few
		l = openLoop(t, faulty, opts)
		keep := store.Retention{Runs: 2, ReceiptsPerRun: 5, Inputs: store.Keep{Last: 100}, Payloads: store.Keep{Last: 10}, Sessions: store.Keep{Last: 2}}
		would, err := l.WouldPrune(t.Context(), "large", keep)
		require.NoError(t, err)
		require.Equal(t, []int{3, 100, 90, 4}, []int{would.Runs, would.InputStates, would.Payloads, would.Versions})

		at := len(engine.states)
		engine.before = func(n int, _ journal.Batch) {
			if n == at+2 {
				faulty.Next(journaltest.Reject())
			}
		}
		did, err := l.Prune(t.Context(), "large", keep)
		require.ErrorIs(t, err, journal.ErrRejected)
		partial, ok := errors.AsType[*state.PartialError](err)
		require.True(t, ok)
		require.Equal(t, did, partial.Removed)
		require.NotZero(t, did.Receipts)
		assert.Equal(t, fmt.Sprintf(`prune of runtime "large" ended early: %v (removed so far: runtimes 0, receipts %d, runs 1, inputs 0, payloads 0, versions 4)`, partial.Err, did.Receipts), err.Error())
		engine.before = nil

		rest, err := l.Prune(t.Context(), "large", keep)
		require.NoError(t, err)
		require.Equal(t, would, did.Plus(rest))
		rest, err = l.Prune(t.Context(), "large", keep)
		require.NoError(t, err)
		require.Zero(t, rest)
		require.Greater(t, len(engine.states)-at, 6, "steps")
		synctest.Wait()
		require.Equal(t, exported(t, l), exported(t, reopened(t, l, engine)))
	})
}

// A Retention that is new to a store refuses no write, however much it lets go.
func TestARetentionGoesInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: journaltest.NewEngine()}
		l := openLoop(t, engine, Options{Retention: store.Retention{Sessions: store.Keep{Last: 9}}})
		large(t, l)
		require.NoError(t, l.Close())
		engine.Limits, engine.states = few, nil
		keep := store.Retention{Runs: 3, ReceiptsPerRun: 3, Inputs: store.Keep{Last: 2}, Payloads: store.Keep{Last: 1}, Sessions: store.Keep{Last: 2}}
		l = openLoop(t, engine, Options{Retention: keep})
		var b batch.Batch
		for i := range 100 {
			b.Then = append(b.Then, batch.PutReceipt{RuntimeID: "large", Receipt: store.RunBoundaryReceipt{
				RunID: store.RunID{byte(i % 4)}, Boundary: store.Immediate, Sequence: uint64(3000 + i),
			}})
		}
		_, err := l.Commit(t.Context(), b)
		require.NoError(t, err, "though each of its receipts lets others go")
		for range 20 {
			require.NoError(t, l.PersistRuntimeState(t.Context(), "large", store.RuntimeIdle))
		}
		would, err := l.WouldPrune(t.Context(), "large", keep)
		require.NoError(t, err)
		require.Zero(t, would, "nothing is left to remove")
		synctest.Wait()
		require.Len(t, engine.Standing("p"), records(t, l))
	})
}

// A store is opened again while the parts of a long text, and the lists of them, are
// cleared.
func TestAtomicDeletionOfALongText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: journaltest.NewEngine()}
		l := openLoop(t, engine, Options{})
		var text bytes.Buffer
		for n := range 100_000 {
			fmt.Fprintf(&text, "\"%d\"\n", n*n)
		}
		_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{
			batch.PutSnapshot{RuntimeID: "long", Snapshot: text.Bytes(), Format: store.FormatLines},
		}})
		require.NoError(t, err)
		require.NoError(t, l.Close())
		engine.Limits, engine.states = few, nil
		l = openLoop(t, engine, Options{})
		_, err = l.DeleteRuntime(t.Context(), "long")
		require.NoError(t, err)
		synctest.Wait()
		for _, standing := range engine.states {
			for range 3 {
				_, cleared := heldBy(t, standing)
				require.Len(t, cleared, 1)
			}
		}
	})
}

// A full disk rejects the clearing now and then. It goes on, and so does what waits for it.
func TestClearingGoesOnAfterRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newLoop(t, Options{})
		large(t, from)
		file := exported(t, from)
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		faulty := journaltest.NewFaulty(engine)
		l := openLoop(t, faulty, Options{})
		engine.before = func(n int, _ journal.Batch) {
			if n == 8 {
				engine.before = nil
				faulty.Next(journaltest.Reject(), journaltest.Reject(), journaltest.Reject())
			}
		}
		_, err := l.Import(t.Context(), bytes.NewBufferString(file))
		require.ErrorIs(t, err, journal.ErrRejected)
		_, err = l.Import(t.Context(), bytes.NewBufferString(file))
		require.NoError(t, err)
		faulty.Next(journaltest.Fault{}, journaltest.Reject(), journaltest.Reject())
		_, err = l.DeleteRuntime(t.Context(), "large")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, engine.Standing("p"), records(t, l))
	})
}

// A Retention refuses no batch, however many runtimes it has, and a batch has room for
// what is cleared beside it, however much there is.
func TestManyRuntimesGoInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: journaltest.NewEngine()}
		l := openLoop(t, engine, Options{})
		var states batch.Batch
		for n := range 60 {
			id := store.RuntimeID(fmt.Sprint(n))
			states.Then = append(states.Then, batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle})
			var b batch.Batch
			for i := range uint64(300) {
				b.Then = append(b.Then, batch.PutReceipt{RuntimeID: id, Receipt: store.RunBoundaryReceipt{Boundary: store.Immediate, Sequence: i}})
			}
			_, err := l.Commit(t.Context(), b)
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
		engine.Limits = few
		keep := store.Retention{ReceiptsPerRun: 250}
		l = openLoop(t, engine, Options{Retention: keep})
		for range 20 {
			_, err := l.Commit(t.Context(), states)
			require.NoError(t, err)
		}
		for id := range 60 {
			would, err := l.WouldPrune(t.Context(), store.RuntimeID(fmt.Sprint(id)), keep)
			require.NoError(t, err)
			require.Zero(t, would, "nothing is left to remove")
		}
		before, most := l.Stats().Journal.Rejected, 0
		engine.before = func(_ int, b journal.Batch) {
			if b.Changes[len(b.Changes)-1].Delete { // the first is that of the first record
				most = max(most, len(b.Changes))
			}
			time.Sleep(time.Millisecond)
		}
		for id := range 60 {
			_, err := l.DeleteRuntime(t.Context(), store.RuntimeID(fmt.Sprint(id)))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, engine.Standing("p"), 1)
		require.Equal(t, before, l.Stats().Journal.Rejected, "each piece has had room")
		require.Less(t, most, 250, "a piece at a time")
	})
}

// A runtime has filed more sessions than a batch has room for, one of them is by now
// another's, and one is filed by the runtime that has its id next.
func TestAtomicDeletionOfManySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: journaltest.NewEngine()}
		l := openLoop(t, engine.Memory, Options{})
		file := func(id store.RuntimeID, n int) {
			require.NoError(t, l.AtomicApply(t.Context(), id, store.BoundaryApply{
				Session: &store.SessionDelta{SessionSnapshot: fmt.Append(nil, n)}, SessionStoreKey: &store.SessionID{byte(n), byte(n >> 8)},
				Receipt: store.RunBoundaryReceipt{RunID: store.RunID{9}, Boundary: store.RunCheckpoint, Sequence: uint64(n)},
			}))
		}
		for n := range 5000 {
			file("filer", n)
		}
		file("other", 7)
		require.NoError(t, l.Close())
		engine.Limits = few
		l = openLoop(t, engine, Options{})
		_, err := l.DeleteRuntime(t.Context(), "filer")
		require.NoError(t, err)
		file("filer", 8)
		want := exported(t, l)
		synctest.Wait()
		require.Len(t, engine.Standing("p"), records(t, l))
		require.Greater(t, len(engine.states), 10)
		for i, standing := range engine.states {
			held, _ := heldBy(t, standing)
			if again := openLoop(t, holding(t, standing), Options{}); i > 0 && held != want {
				_, there, err := again.LoadSession(t.Context(), store.SessionID{8})
				require.NoError(t, err)
				require.False(t, there, "before it is filed again")
				require.Equal(t, 1, again.Stats().Held.Sessions)
			}
		}
	})
}
