package loopstore

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// A book is a slog.Handler that keeps what it is told. It does something
// besides, if it has anything to do.
type book struct {
	slog.Handler
	mu   sync.Mutex
	text bytes.Buffer
	do   func(message string)
}

func newBook() *book {
	b := new(book)
	b.Handler = slog.NewJSONHandler(&b.text, nil)
	return b
}

func (b *book) Handle(ctx context.Context, r slog.Record) error {
	b.mu.Lock()
	err := b.Handler.Handle(ctx, r)
	b.mu.Unlock()
	if b.do != nil {
		b.do(r.Message)
	}
	return err
}

// entries are what was said, without the moment.
func (b *book) entries(t *testing.T) (all []map[string]any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		delete(entry, "time")
		all = append(all, entry)
	}
	return all
}

// The logger is told of the start, of slow operations and of the end, and of
// ids and sizes alone.
func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		l := New(Options{Logger: slog.New(b), SlowThreshold: 2 * time.Second})
		_, err := l.CommitSessionBoundary(t.Context(), "a", commitOf(store.NewRunID()))
		require.NoError(t, err)
		errs := make(chan error)
		go func() { errs <- runTestOp(t.Context(), l, "b", func() { time.Sleep(2*time.Second - 1) }) }()
		synctest.Wait()
		require.NoError(t, runTestOp(t.Context(), l, "c", func() { time.Sleep(time.Nanosecond) }))
		require.NoError(t, <-errs)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, runTestOp(t.Context(), l, "c", func() { time.Sleep(2 * time.Second) }))
		for range 10 { // with the request of that one
			require.Error(t, runTestOp(cancelled, l, "c", nil), "what was never sent is not slow")
		}
		_, err = doTestOp(t.Context(), l, testOp{
			id: "d", do: func() { time.Sleep(time.Second / 2) }, prepare: func() { time.Sleep(3 * time.Second / 2) },
		})
		require.NoError(t, err)
		held := l.Stats().Held
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		assert.Equal(t, []map[string]any{
			{"level": "INFO", "msg": "store started", "inbox_size": 128.},
			{"level": "INFO", "msg": "slow operation", "operation": "persist_runtime_state", "runtime_id": "c",
				"prepared": 0., "waited": 2e9 - 1, "took": 1., "done": true},
			{"level": "WARN", "msg": "slow operation", "operation": "persist_runtime_state", "runtime_id": "c",
				"prepared": 0., "waited": 0., "took": 2e9, "done": true},
			{"level": "WARN", "msg": "slow operation", "operation": "persist_runtime_state", "runtime_id": "d",
				"prepared": 15e8, "waited": 0., "took": 5e8, "done": true},
			{"level": "INFO", "msg": "store closed", "uptime": 6e9, "done": 5., "errors": 10.,
				"runtimes": 4., "bytes": float64(held.Bytes())},
		}, b.entries(t))
		assert.NotContains(t, b.text.String(), "hello", "nothing of the session")
	})
}

func TestNoSlowOperationWithoutThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		l := New(Options{Logger: slog.New(b)})
		require.NoError(t, runTestOp(t.Context(), l, "b", func() { time.Sleep(time.Hour) }))
		require.NoError(t, l.Close())
		assert.Len(t, b.entries(t), 2)
	})
}

// The panic that ends the store is told once, by the call that it was in, with
// the stack.
func TestLoggerIsToldOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		l := New(Options{Logger: slog.New(b)})
		b.do = func(string) { // it may call the loop, which is over
			require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrFailed)
			require.ErrorIs(t, l.Close(), store.ErrFailed)
		}
		require.ErrorIs(t, runTestOp(t.Context(), l, "bad", func() { panic("half way") }), store.ErrFailed)
		require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle), store.ErrFailed)
		require.ErrorIs(t, l.Close(), store.ErrFailed)
		entries := b.entries(t)
		require.Len(t, entries, 2)
		assert.Equal(t, "store failed", entries[1]["msg"])
		assert.Equal(t, "half way", entries[1]["panic"])
		assert.Contains(t, entries[1]["stack"], "TestLoggerIsToldOfAPanic")
	})
}

// broken is a request that panics where no caller waits.
func broken() *request {
	return &request{op: &testOp{do: func() { panic("between calls") }}, answer: make(chan error, 1)}
}

func TestCloseTellsOfAPanicThatNoCallWasIn(t *testing.T) {
	b := newBook()
	l := New(Options{Logger: slog.New(b)})
	l.inbox <- broken()
	require.ErrorIs(t, l.Close(), store.ErrFailed)
	require.ErrorIs(t, l.Close(), store.ErrFailed)
	entries := b.entries(t)
	require.Len(t, entries, 2)
	assert.Equal(t, "between calls", entries[1]["panic"])
}

// A logger that takes its time holds up the call that it is told of, and nobody
// else; it may call the loop; and if it panics nobody sees that.
func TestLoggerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		opts := Options{Logger: slog.New(b), SlowThreshold: time.Second}
		l := New(opts)
		release := make(chan struct{})
		b.do = func(message string) {
			if message == "slow operation" {
				<-release
				assert.True(t, has(t, l, "slow"))
			}
			panic("a logger's")
		}
		slow := make(chan error, 1)
		go func() { slow <- runTestOp(t.Context(), l, "slow", func() { time.Sleep(time.Second) }) }()
		time.Sleep(time.Minute)
		require.True(t, has(t, l, "slow"), "the owner is free")
		require.Empty(t, slow)
		close(release)
		require.NoError(t, <-slow)
		require.NoError(t, l.Close())
		require.NoError(t, New(opts).Close())
	})
}

// What a logger writes to the store finds the room that the call took of which
// it is told.
func TestLoggerHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		input := store.NewInputState(store.InputID{1}, store.Time{})
		input.PersistedInput = []byte(`"12345678"`)
		var l *Loop
		var once sync.Once
		l = newLoop(t, Options{BytesInFlight: 10, SlowThreshold: 1, Logger: slog.New(handler(func(r slog.Record) {
			if r.Message == "slow operation" {
				once.Do(func() { assert.NoError(t, l.PersistInputState(t.Context(), "log", input)) })
			}
		}))})
		g := hold(t.Context(), l, "a")
		errs := make(chan error)
		go func() { errs <- l.PersistInputState(t.Context(), "a", input) }()
		time.Sleep(time.Second)
		close(g.open)
		require.NoError(t, <-g.err)
		require.NoError(t, <-errs)
		assert.Zero(t, l.Stats().InFlight)
	})
}

// A handler is a function that is told of everything.
type handler func(slog.Record)

func (handler) Enabled(context.Context, slog.Level) bool        { return true }
func (h handler) Handle(_ context.Context, r slog.Record) error { h(r); return nil }
func (h handler) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h handler) WithGroup(string) slog.Handler                 { return h }
