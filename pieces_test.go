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
