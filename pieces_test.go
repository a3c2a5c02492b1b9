package loopstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// few is so little for a batch that most operations on what large has go in pieces.
var few = journal.Limits{BatchBytes: 40 << 10}

// large fills a store with what is no piece: a runtime with many records of each kind,
// and others.
func large(t *testing.T, l *Loop) {
	t.Helper()
	fill(t, l)
	ctx := t.Context()
	for n := range 40 {
		var b batch.Batch
		for i := range 50 {
			b.Then = append(b.Then, batch.PutReceipt{RuntimeID: "large", Receipt: store.RunBoundaryReceipt{
				RunID: store.RunID{byte(n % 4)}, Boundary: store.Immediate, Sequence: uint64(n*50 + i),
			}})
		}
		for i := range 5 {
			input := store.NewInputState(store.InputID{byte(n), byte(i)}, store.Time{})
			input.CurrentState, input.PersistedInput = store.InputConsumed, bytes.Repeat([]byte("1"), 500)
			b.Then = append(b.Then, batch.PutInputState{RuntimeID: "large", State: input})
		}
		_, err := l.Commit(ctx, b)
		require.NoError(t, err)
	}
	for n := range 6 {
		require.NoError(t, l.AtomicApply(ctx, "large", store.BoundaryApply{
			Session: &store.SessionDelta{SessionSnapshot: bytes.Repeat(fmt.Appendf(nil, "%1000d", n), 20)}, SessionStoreKey: &store.SessionID{byte(n % 2)},
			Receipt: store.RunBoundaryReceipt{RunID: store.RunID{9}, Boundary: store.RunCheckpoint, Sequence: uint64(n)},
		}))
	}
	require.NoError(t, l.PersistRuntimeState(ctx, "other", store.RuntimeIdle))
}

// A history keeps what stands after each batch that an engine stores.
type history struct {
	*journaltest.Memory
	before func(n int, b journal.Batch) // is called before batch n

	mu     sync.Mutex
	states [][]journal.Change
}

func (h *history) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := h.Memory.Open(ctx, partition, emit)
	return historical{j, h}, err
}

type historical struct {
	journal.Journal
	of *history
}

func (j historical) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if j.of.before != nil {
		j.of.before(len(j.of.states), b)
	}
	at, err := j.Journal.Append(ctx, b)
	if err == nil {
		j.of.mu.Lock()
		defer j.of.mu.Unlock()
		j.of.states = append(j.of.states, j.of.Standing("p"))
	}
	return at, err
}

// holding returns an engine that has what stands.
func holding(t *testing.T, standing []journal.Change) *journaltest.Memory {
	t.Helper()
	engine := journaltest.NewEngine()
	j, err := engine.Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	_, err = j.Append(t.Context(), journal.Batch{Changes: standing})
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	engine.Limits = few
	return engine
}

// heldBy opens what stands, and returns what is held, and what stands when nothing more
// is cleared.
func heldBy(t *testing.T, standing []journal.Change) (held string, cleared []journal.Change) {
	t.Helper()
	engine := holding(t, standing)
	l, err := Open(t.Context(), engine, "p", Options{})
	require.NoError(t, err)
	synctest.Wait()
	defer func() { require.NoError(t, l.Close()) }()
	return exported(t, l), engine.Standing("p")
}

// records returns how many records a store has that holds what l does and nothing else.
func records(t *testing.T, l *Loop) int {
	t.Helper()
	engine := journaltest.NewEngine()
	alone, err := Open(t.Context(), engine, "p", Options{})
	require.NoError(t, err)
	_, err = alone.Import(t.Context(), bytes.NewBufferString(exported(t, l)))
	require.NoError(t, err)
	require.NoError(t, alone.Close())
	return len(engine.Standing("p"))
}

// Between any two batches of an import there is a store that holds nothing, or all.
func TestAtomicImportInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newLoop(t, Options{Retention: store.Retention{Sessions: store.Keep{Last: 9}}})
		large(t, from)
		file, empty := exported(t, from), exported(t, newLoop(t, Options{}))
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		l := openLoop(t, engine, Options{BytesInFlight: 1, RefuseWhenFull: true}) // a piece is no call's payload
		held, err := l.Import(t.Context(), bytes.NewBufferString(file))
		require.NoError(t, err)
		assert.Equal(t, from.Stats().Held, held)
		require.Equal(t, file, exported(t, l))
		n := len(engine.states)
		require.Greater(t, n, 10, "pieces")
		for i, standing := range engine.states {
			got, cleared := heldBy(t, standing)
			if i == n-1 {
				require.Equal(t, file, got)
				require.Len(t, cleared, records(t, from))
				break
			}
			require.Equal(t, empty, got, "after %d of %d batches", i+1, n)
			require.Len(t, cleared, 1, "after %d of %d batches", i+1, n)
			for _, standing := range [][]journal.Change{cleared, standing} {
				engine := holding(t, standing)
				again := openLoop(t, engine, Options{})
				_, err := again.Import(t.Context(), bytes.NewBufferString(file)) // while the rest is cleared
				require.NoError(t, err)
				require.Equal(t, file, exported(t, again))
				synctest.Wait()
				require.Equal(t, file, exported(t, reopened(t, again, engine)))
			}
		}
		engine.Limits = journal.Limits{}
		l = reopened(t, l, engine.Memory)
		fill(t, l)
		require.Equal(t, exported(t, l), exported(t, reopened(t, l, engine.Memory)))
	})
}

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

// What is written while an import is under way stays, and the import fails.
func TestAnImportThatComesTooLateLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newLoop(t, Options{})
		large(t, from)
		file := exported(t, from)
		stopped := errors.New("stopped")
		for what, c := range map[string]struct {
			at   func(l *Loop, cancel context.CancelCauseFunc)
			want error
		}{
			"a write": {func(l *Loop, _ context.CancelCauseFunc) {
				_ = l.PersistRuntimeState(t.Context(), "first", store.RuntimeIdle)
			}, store.ErrNotEmpty},
			"ctx ends":   {func(_ *Loop, cancel context.CancelCauseFunc) { cancel(stopped) }, stopped},
			"Close":      {func(l *Loop, _ context.CancelCauseFunc) { _ = l.Close() }, store.ErrClosed},
			"rejections": {nil, journal.ErrRejected},
		} {
			engine := &history{Memory: &journaltest.Memory{Limits: few}}
			faulty := journaltest.NewFaulty(engine)
			l := openLoop(t, faulty, Options{})
			ctx, cancel := context.WithCancelCause(t.Context())
			started := false
			engine.before = func(n int, b journal.Batch) {
				switch {
				case n != 4 || started:
				case c.at == nil:
					started = true
					faulty.Next(journaltest.Reject())
				default:
					started = true
					go c.at(l, cancel)
					time.Sleep(time.Second)
				}
			}
			_, err := l.Import(ctx, bytes.NewBufferString(file))
			require.ErrorIs(t, err, c.want, what)
			assert.ErrorContains(t, err, "import: ", what)
			synctest.Wait()
			held := len(engine.Standing("p"))
			if c.want == store.ErrClosed {
				require.Greater(t, held, 3, "nobody has cleared it")
				_, cleared := heldBy(t, engine.Standing("p"))
				require.Len(t, cleared, 1)
				continue
			}
			require.Len(t, engine.Standing("p"), records(t, l), what)
			again := reopened(t, l, engine)
			require.NoError(t, again.PersistRuntimeState(t.Context(), "second", store.RuntimeIdle))
			require.NoError(t, again.Close())
		}
	})
}

// Of two imports at once one becomes true.
func TestAtomicImportsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newLoop(t, Options{})
		large(t, from)
		file := exported(t, from)
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		l := openLoop(t, engine, Options{})
		outcomes := make(chan error, 2)
		for range cap(outcomes) {
			go func() {
				_, err := l.Import(t.Context(), bytes.NewBufferString(file))
				outcomes <- err
			}()
		}
		one, other := <-outcomes, <-outcomes
		if one != nil {
			one, other = other, one
		}
		require.NoError(t, one)
		require.ErrorIs(t, other, store.ErrNotEmpty)
		synctest.Wait()
		require.Equal(t, file, exported(t, l))
		require.Len(t, engine.Standing("p"), records(t, l))
	})
}

// Other calls are served between the pieces of an import, and of a deletion.
func TestOtherCallsGoOnBetweenPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		l := openLoop(t, engine, Options{})
		from := newLoop(t, Options{})
		large(t, from)
		loads := 0
		engine.before = func(_ int, b journal.Batch) {
			if len(b.Changes) == 1 {
				return // the last: it changes all runtimes
			}
			_, _, err := l.LoadRuntimeState(t.Context(), "other")
			require.NoError(t, err)
			loads++
		}
		_, err := l.Import(t.Context(), bytes.NewBufferString(exported(t, from)))
		require.NoError(t, err)
		require.Greater(t, loads, 10)

		var wrote []int
		engine.before = func(n int, _ journal.Batch) {
			if len(wrote) < 3 {
				wrote = append(wrote, n)
				go func() { assert.NoError(t, l.PersistRuntimeState(t.Context(), "other", store.RuntimeIdle)) }()
				time.Sleep(time.Second)
			}
		}
		_, err = l.DeleteRuntime(t.Context(), "large")
		require.NoError(t, err)
		require.ErrorIs(t, l.Compact(t.Context()), store.ErrBusy, "a journal that is told what stands would lose the rest")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NoError(t, l.Compact(t.Context()))
		require.Len(t, wrote, 3)
		require.Len(t, engine.Standing("p"), records(t, l))
	})
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
		partial, ok := errors.AsType[*store.PartialError](err)
		require.True(t, ok)
		require.Equal(t, did, partial.Removed)
		require.NotZero(t, did.Receipts)
		assert.Equal(t, fmt.Sprintf(`prune of runtime "large" ended early: %v (removed so far: receipts %d, runs 1, inputs 0, payloads 0, versions 4)`, partial.Err, did.Receipts), err.Error())
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

// What the steps of another store made is refused, and ends nothing.
func TestPiecesAreForOneStore(t *testing.T) {
	a, b := newLoop(t, Options{}), newLoop(t, Options{})
	begun, err := Do(t.Context(), a, ops.BeginImport{})
	require.NoError(t, err)
	for _, l := range []*Loop{a, b} {
		_, err = Do(t.Context(), l, ops.StorePiece{})
		require.ErrorIs(t, err, store.ErrInvalidValue)
		_, err = Do(t.Context(), l, ops.Import{Import: begun})
		require.ErrorIs(t, err, store.ErrInvalidValue)
		_, err = Do(t.Context(), l, ops.Import{})
		require.ErrorIs(t, err, store.ErrInvalidValue)
		require.NoError(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
	}
	_, err = a.Import(t.Context(), io.LimitReader(nil, 0))
	require.ErrorIs(t, err, store.ErrNotEmpty)
}

// Whichever of two imports becomes true, between any two batches there is nothing, or all
// of that.
func TestAtomicImportBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, small := newLoop(t, Options{}), newLoop(t, Options{})
		large(t, from)
		require.NoError(t, small.PersistRuntimeState(t.Context(), "small", store.RuntimeIdle))
		file, second, empty := exported(t, from), exported(t, small), exported(t, newLoop(t, Options{}))
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		l := openLoop(t, engine, Options{})
		done := make(chan error, 1)
		engine.before = func(n int, _ journal.Batch) {
			if n == 20 {
				engine.before = nil
				go func() {
					_, err := l.Import(t.Context(), bytes.NewBufferString(second))
					done <- err
				}()
				synctest.Wait()
			}
		}
		_, err := l.Import(t.Context(), bytes.NewBufferString(file))
		other := <-done
		if err != nil {
			require.ErrorIs(t, err, store.ErrNotEmpty)
			file = second
		} else {
			require.ErrorIs(t, other, store.ErrNotEmpty)
		}
		synctest.Wait()
		require.Equal(t, file, exported(t, l))
		for i, standing := range engine.states {
			held, _ := heldBy(t, standing)
			require.True(t, held == file || held == empty, "after batch %d of %d", i+1, len(engine.states))
		}
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

// What is written beside an import is kept, also if another import, of nothing, came
// before.
func TestAtomicImportAfterOneOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newLoop(t, Options{})
		large(t, from)
		engine := &history{Memory: &journaltest.Memory{Limits: few}}
		l := openLoop(t, engine, Options{})
		_, err := l.Import(t.Context(), bytes.NewBufferString(exported(t, newLoop(t, Options{}))))
		require.NoError(t, err)
		wrote := make(chan error, 1)
		engine.before = func(n int, _ journal.Batch) {
			if n == 10 {
				go func() {
					_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: "w", Snapshot: []byte("hello")}}})
					wrote <- err
				}()
				time.Sleep(time.Second)
			}
		}
		_, err = l.Import(t.Context(), bytes.NewBufferString(exported(t, from)))
		require.ErrorIs(t, err, store.ErrNotEmpty)
		require.NoError(t, <-wrote)
		synctest.Wait()
		want := exported(t, l)
		for _, standing := range engine.states[11:] {
			held, _ := heldBy(t, standing)
			require.Equal(t, want, held)
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
