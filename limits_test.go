package loopstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A heavyOp is a testOp that brings in so many bytes.
type heavyOp struct {
	testOp
	bytes int64
}

func (op *heavyOp) Weigh() ops.Weight { return ops.Weight{Bytes: op.bytes} }

func runHeavyOp(ctx context.Context, l *Loop, id store.RuntimeID, bytes int64) error {
	_, err := do[ops.None, heavyOp, *heavyOp](ctx, l, heavyOp{testOp{id: id, do: func() {}}, bytes})
	return err
}

func requireLimit(t *testing.T, err error, want store.LimitError) {
	t.Helper()
	var got *store.LimitError
	require.ErrorAs(t, err, &got)
	require.Equal(t, want, *got)
	var of *store.OpError
	require.ErrorAs(t, err, &of)
}

// A call over a limit is refused before it is looked at any further, says by
// how much it is over, and changes nothing. One that is at the limit is not.
func TestLimitsOfOneCall(t *testing.T) {
	size := len(document)
	l := newLoop(t, Options{Limits: store.Limits{SnapshotBytes: size, BatchWrites: 2}})
	_, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.NewRunID()))
	require.NoError(t, err)
	before := l.Stats()

	tooLarge := []byte(strings.Repeat("x", size+1)) // nor is it a document
	commit := commitOf(store.NewRunID())
	commit.Session.SessionSnapshot = tooLarge
	put := batch.PutRuntimeState{RuntimeID: "a", State: store.RuntimeIdle}
	for name, c := range map[string]struct {
		call func() error
		want store.LimitError
	}{
		"a boundary's snapshot": {func() error {
			_, err := l.CommitSessionBoundary(t.Context(), "a", commit)
			return err
		}, store.LimitError{Limit: "snapshot_bytes", Most: int64(size), Asked: int64(size) + 1}},
		"an apply's snapshot": {func() error {
			return l.AtomicApply(t.Context(), "a", store.BoundaryApply{Session: &commit.Session})
		}, store.LimitError{Limit: "snapshot_bytes", Most: int64(size), Asked: int64(size) + 1}},
		"a batch's snapshot": {func() error {
			_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{put, batch.PutSnapshot{RuntimeID: "a", Snapshot: tooLarge}}})
			return err
		}, store.LimitError{Limit: "snapshot_bytes", Most: int64(size), Asked: int64(size) + 1}},
		"writes": {func() error {
			_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{put, put, put}})
			return err
		}, store.LimitError{Limit: "batch_writes", Most: 2, Asked: 3}},
		"conditions": {func() error {
			is := batch.RuntimeExists{RuntimeID: "a"}
			_, err := l.Commit(t.Context(), batch.Batch{If: []batch.Condition{is, is, is}, Then: []batch.Write{put}})
			return err
		}, store.LimitError{Limit: "batch_writes", Most: 2, Asked: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.call()
			require.ErrorIs(t, err, store.ErrLimit)
			requireLimit(t, err, c.want)
		})
	}
	assert.False(t, has(t, l, "a"), "nothing was applied")
	assert.Equal(t, before.Held, l.Stats().Held)
	_, err = l.Commit(t.Context(), batch.Batch{Then: []batch.Write{put, put}})
	require.NoError(t, err)
}

// What is under way never has more bytes than are allowed. Whoever finds no
// room waits under its context, in its turn. Reads weigh nothing.
func TestBytesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{BytesInFlight: 1000})
		g := hold(t.Context(), l, "held")
		first, second, third := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { first <- runHeavyOp(t.Context(), l, "1", 600) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { second <- runHeavyOp(ctx, l, "2", 600) }()
		synctest.Wait()
		go func() { third <- runHeavyOp(t.Context(), l, "3", 300) }()
		synctest.Wait()
		assert.EqualValues(t, 600, l.Stats().InFlight)
		assert.Equal(t, 2, l.Stats().Waiting, "one for room, one for its turn")
		assert.Equal(t, 1, l.Stats().InboxLength)

		requireLimit(t, runHeavyOp(t.Context(), l, "4", 1001), store.LimitError{Limit: "bytes_in_flight", Most: 1000, Asked: 1001})
		go func() { _, _, _ = l.LoadRuntimeState(t.Context(), "a") }()
		go func() { _ = runHeavyOp(t.Context(), l, "5", 0) }()
		synctest.Wait()
		assert.Equal(t, 3, l.Stats().InboxLength, "what weighs nothing is on its way")

		cancel()
		require.ErrorIs(t, <-second, context.Canceled)
		synctest.Wait()
		assert.EqualValues(t, 900, l.Stats().InFlight, "it was the third one's turn")
		close(g.open)
		require.NoError(t, <-first)
		require.NoError(t, <-third)
		assert.False(t, has(t, l, "2"))
		assert.False(t, has(t, l, "4"))
		assert.Zero(t, l.Stats().InFlight)
		assert.Zero(t, l.Stats().Waiting)
		require.NoError(t, <-g.err)
	})
}

// A panickingContext panics when it is asked for Done for the nth time.
type panickingContext struct {
	context.Context
	n int
}

func (c *panickingContext) Done() <-chan struct{} {
	if c.n--; c.n == 0 {
		panic("a context of the caller's")
	}
	return c.Context.Done()
}

// However a call ends, its bytes are free again: at once, or if it was given up
// when the owner has come to it.
func TestBytesInFlightAreGivenBack(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	heavy := func(prepare func()) heavyOp {
		return heavyOp{testOp{id: "a", do: func() {}, prepare: prepare}, 10}
	}
	call := func(ctx context.Context, l *Loop, op heavyOp) error {
		_, err := do[ops.None, heavyOp, *heavyOp](ctx, l, op)
		return err
	}
	for name, do := range map[string]func(t *testing.T, l *Loop){
		"done":      func(t *testing.T, l *Loop) { require.NoError(t, call(t.Context(), l, heavy(nil))) },
		"cancelled": func(t *testing.T, l *Loop) { require.Error(t, call(cancelled, l, heavy(nil))) },
		"refused": func(t *testing.T, l *Loop) {
			_, err := l.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte("{")}, Boundary: store.RunStart,
			})
			require.ErrorIs(t, err, store.ErrInvalidSnapshot)
		},
		"a panic before it is sent": func(t *testing.T, l *Loop) {
			require.Panics(t, func() { _ = call(t.Context(), l, heavy(func() { panic("in Prepare") })) })
		},
		"a panic while it is queued": func(t *testing.T, l *Loop) {
			g := hold(t.Context(), l, "held")
			require.Panics(t, func() { _ = call(&panickingContext{t.Context(), 1}, l, heavy(nil)) })
			assert.Zero(t, l.Stats().InFlight, "nobody will come for it")
			close(g.open)
			require.NoError(t, <-g.err)
			require.True(t, has(t, l, "a"), "the owner has it, and cannot tell")
		},
		"a panic while it runs": func(t *testing.T, l *Loop) {
			op, ctx := heavy(nil), &panickingContext{t.Context(), 1}
			taken := make(chan struct{})
			op.do = func() { close(taken); synctest.Wait() }
			require.Panics(t, func() { _ = call(waitingContext{ctx, taken}, l, op) })
			require.True(t, has(t, l, "a"))
		},
		"given up in the inbox": func(t *testing.T, l *Loop) {
			g := hold(t.Context(), l, "held")
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 1)
			go func() { errs <- call(ctx, l, heavy(nil)) }()
			synctest.Wait()
			cancel()
			require.ErrorIs(t, <-errs, context.Canceled)
			assert.EqualValues(t, 10, l.Stats().InFlight, "its bytes are still there")
			close(g.open)
			require.NoError(t, <-g.err)
			require.False(t, has(t, l, "a"))
		},
		"given up before the inbox": func(t *testing.T, l *Loop) {
			g := hold(t.Context(), l, "held")
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 3)
			for range 3 { // one is in the inbox
				go func() { errs <- call(ctx, l, heavy(nil)) }()
			}
			synctest.Wait()
			cancel()
			for range 3 {
				require.ErrorIs(t, <-errs, context.Canceled)
			}
			assert.EqualValues(t, 10, l.Stats().InFlight)
			close(g.open)
			require.NoError(t, <-g.err)
			require.False(t, has(t, l, "a"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLoop(t, Options{InboxSize: 1, BytesInFlight: 100})
				do(t, l)
				synctest.Wait()
				assert.Zero(t, l.Stats().InFlight)
				require.NoError(t, runHeavyOp(t.Context(), l, "b", 100), "all of the room is there")
			})
		})
	}
}

// A waitingContext is not asked for Done before the owner has the request.
type waitingContext struct {
	context.Context
	taken chan struct{}
}

func (c waitingContext) Done() <-chan struct{} { <-c.taken; return c.Context.Done() }

// Whoever waits for room when the store ends learns of that.
func TestClosingWhileCallsWaitForRoom(t *testing.T) {
	for name, end := range map[string]func(){"close": func() {}, "panic": func() { panic("half way") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Options{BytesInFlight: 1000})
				g := &gate{open: make(chan struct{})}
				errs := make(chan error, 4)
				go func() { errs <- runTestOp(t.Context(), l, "held", func() { <-g.open; end() }) }()
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				go func() { errs <- runHeavyOp(ctx, l, "a", 1000) }()
				synctest.Wait()
				cancel()
				require.ErrorIs(t, <-errs, context.Canceled)
				for range 2 {
					go func() { errs <- runHeavyOp(t.Context(), l, "a", 1000) }()
				}
				synctest.Wait()
				require.Equal(t, 2, l.Stats().Waiting)
				go func() { _ = l.Close() }()
				synctest.Wait()
				close(g.open)
				err := l.Close()
				synctest.Wait()
				for range 3 {
					if other := <-errs; err != nil {
						require.ErrorIs(t, other, store.ErrFailed)
					} else if other != nil {
						require.ErrorIs(t, other, store.ErrClosed)
					}
				}
			})
		})
	}
}

// With RefuseWhenFull nobody waits: a call that finds no room changes nothing
// and says so at once. Close does not need a place.
func TestRefuseWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{InboxSize: 2, BytesInFlight: 1000, RefuseWhenFull: true})
		g := hold(t.Context(), l, "held")
		errs := make(chan error, 2)
		go func() { errs <- runHeavyOp(t.Context(), l, "in", 700) }()
		synctest.Wait()
		err := runHeavyOp(t.Context(), l, "heavy", 400)
		require.ErrorIs(t, err, store.ErrBusy)
		require.NotErrorIs(t, err, store.ErrLimit)
		requireLimit(t, err, store.LimitError{Limit: "bytes_in_flight", Most: 1000, Asked: 1100, Busy: true})

		go func() { errs <- l.PersistRuntimeState(t.Context(), "in", store.RuntimeIdle) }()
		synctest.Wait()
		err = l.PersistRuntimeState(t.Context(), "out", store.RuntimeIdle)
		require.ErrorIs(t, err, store.ErrBusy)
		requireLimit(t, err, store.LimitError{Limit: "inbox_size", Most: 2, Asked: 3, Busy: true})
		err = runHeavyOp(t.Context(), l, "out", 100)
		require.ErrorIs(t, err, store.ErrBusy)
		assert.EqualValues(t, 700, l.Stats().InFlight, "what it took is free again")

		closed := make(chan error)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "late", store.RuntimeIdle), store.ErrClosed)
		close(g.open)
		require.NoError(t, <-closed)
		require.NoError(t, <-g.err)
		require.NoError(t, errors.Join(<-errs, <-errs))
	})
}

// The sessions here are no documents: one that is read first gets another error.
func TestASessionLargerThanABatchIsRefusedBeforeItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 64 << 10})
		l := openLoop(t, engine, Options{})
		commit := func(delta store.SessionDelta) error {
			_, err := l.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{RunID: store.NewRunID(), Boundary: store.RunStart, Session: delta})
			return err
		}
		err := commit(store.SessionDelta{SessionSnapshot: make([]byte, 64<<10+1)})
		require.ErrorIs(t, err, journal.ErrRejected)
		assert.ErrorContains(t, err, "65537 bytes longer than what stands, the journal takes 65536 at once")
		assert.Equal(t, store.Totals{}, l.Stats().Held)
		require.ErrorIs(t, commit(store.SessionDelta{SessionSnapshot: make([]byte, 64<<10)}), store.ErrInvalidSnapshot)

		line := []byte(`"` + strings.Repeat("x", 30_000) + "\"\n")
		for range 4 {
			require.NoError(t, commit(store.SessionDelta{SessionSnapshot: line, Format: store.FormatLines, Append: true}))
		}
		all := append(bytes.Repeat(line, 4), `"y"`+"\n"...)
		require.NoError(t, commit(store.SessionDelta{SessionSnapshot: all, Format: store.FormatLines}), "most of it stands")
		err = commit(store.SessionDelta{SessionSnapshot: append(all, make([]byte, 64<<10+1)...), Format: store.FormatLines})
		require.ErrorIs(t, err, journal.ErrRejected, "and what is new is too long")
		got, _, err := l.LoadSessionSnapshot(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, all, got)
	})
}
