package lincheck_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

// said returns the failures of Check on stores that wrap returns.
func said(t lincheck.TB, l *listener, wrap func(*loopstore.Loop) store.RuntimeStore, cfg lincheck.Config) string {
	lincheck.Check(t, func() store.RuntimeStore { return wrap(loopstore.New(loopstore.Options{})) }, cfg)
	return strings.Join(l.failures, "\n")
}

func plain(l *loopstore.Loop) store.RuntimeStore { return l }

// A contextual listener has its own context.
type contextual struct {
	*listener
	ctx context.Context
}

func (c contextual) Context() context.Context { return c.ctx }

// A test's context has ended when its cleanups run.
func TestEndedContextShowsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{T: t}
	once := func(loop *loopstore.Loop) store.RuntimeStore { return &ending{broken{Loop: loop}, cancel} }
	assert.Contains(t, said(contextual{l, ctx}, l, once, lincheck.Config{}), "the test's own context has ended")

	l = &listener{T: t}
	assert.Contains(t, said(contextual{l, ctx}, l, plain, lincheck.Config{}), "the test's context had ended before")
}

// An ending store ends the test's context.
type ending struct {
	broken
	cancel context.CancelFunc
}

func (s *ending) LoadInputState(ctx context.Context, id store.RuntimeID, input store.InputID) (store.InputState, bool, error) {
	if s.tenth() {
		s.cancel()
	}
	return s.Loop.LoadInputState(ctx, id, input)
}

// With some seed, the only call has a context that has ended.
func TestTooFewAnswersShowNothing(t *testing.T) {
	l := &listener{T: t}
	cfg := lincheck.Config{Histories: 1, Operations: 1, Callers: 1, Spanning: 1, Importing: 1}
	for len(l.failures) == 0 && cfg.Seed < 50 {
		cfg.Seed++
		said(l, l, plain, cfg)
	}
	require.Len(t, l.failures, 1)
	assert.Contains(t, l.failures[0], "0 of 1 calls were answered")
}

// A heedless store answers calls whose context had ended before.
type heedless struct{ *loopstore.Loop }

func (s heedless) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	return s.Loop.LoadRuntimeState(context.WithoutCancel(ctx), id)
}

func TestServedWithDeadContextIsCaught(t *testing.T) {
	l := &listener{T: t}
	open := func(loop *loopstore.Loop) store.RuntimeStore { return heedless{loop} }
	assert.Contains(t, said(l, l, open, lincheck.Config{}), "only the context's error will do")

	r := falsify(t, func(t *rapid.T) {
		lincheck.CheckProgram(t, func() store.RuntimeStore { return open(loopstore.New(loopstore.Options{})) }, lincheck.Config{})
	})
	assert.Contains(t, strings.Join(r.lines, "\n"), "only the context's error will do")
}

// A nilly store returns nil for an empty list.
type nilly struct{ *loopstore.Loop }

func (s nilly) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.Loop.LoadInputStates(ctx, id)
	if len(states) == 0 {
		return nil, err
	}
	return states, err
}

func TestNilListIsCaught(t *testing.T) {
	assert.Contains(t, refute(t, func(l *loopstore.Loop) store.RuntimeStore { return nilly{l} }), "nil, not an empty list")
}

// A failing store returns an error of its own at times.
type failing struct{ broken }

func (s *failing) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) error {
	if ctx.Err() == nil && s.tenth() {
		return errors.New("out of order")
	}
	return s.Loop.PersistRuntimeState(ctx, id, state)
}

func TestForeignErrorIsCaught(t *testing.T) {
	l := &listener{T: t}
	open := func(loop *loopstore.Loop) store.RuntimeStore { return &failing{broken{Loop: loop}} }
	assert.Contains(t, said(l, l, open, lincheck.Config{}), `out of order: it is none of ["invalid session snapshot" "invalid value" "sequence is exhausted" "conflict" "no such version of the session" "store is not empty" "idempotency key is taken" "runtime was deleted"]`)
}

func TestNilStoreIsCaught(t *testing.T) {
	for name, open := range map[string]func() store.RuntimeStore{
		"nil":           func() store.RuntimeStore { return nil },
		"a nil pointer": func() store.RuntimeStore { return (*loopstore.Loop)(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			l := &listener{T: t}
			lincheck.Check(l, open, lincheck.Config{})
			assert.Contains(t, strings.Join(l.failures, "\n"), "open returned a nil store")

			r := falsify(t, func(t *rapid.T) { lincheck.CheckProgram(t, open, lincheck.Config{}) })
			assert.Contains(t, strings.Join(r.lines, "\n"), "open returned a nil store")
		})
	}
}

// A closable store counts the calls of Close. All of them fail.
type closable struct {
	*locked.Store
	closed *int
}

func (s *closable) Close() error {
	*s.closed++
	return errors.New("cannot be closed")
}

func TestProgramsStoreIsClosed(t *testing.T) {
	opened, closed := 0, 0
	r := falsify(t, func(t *rapid.T) {
		lincheck.CheckProgram(t, func() store.RuntimeStore { opened++; return &closable{locked.New(new(state.State)), &closed} }, lincheck.Config{})
	})
	assert.Positive(t, opened)
	assert.Equal(t, opened, closed)
	assert.Contains(t, strings.Join(r.lines, "\n"), "cannot be closed")
}

// A hanging store has calls that return only when the test has ended.
type hanging struct {
	broken
	released chan struct{}
}

func (s *hanging) LoadBoundaryReceipt(ctx context.Context, id store.RuntimeID, run store.RunID, sequence uint64) (store.RunBoundaryReceipt, bool, error) {
	if s.tenth() {
		<-s.released
	}
	return s.Loop.LoadBoundaryReceipt(ctx, id, run, sequence)
}

// In a bubble the limit passes at once.
func TestHangingCallIsNamed(t *testing.T) {
	const want = `load_boundary_receipt\(runtime-\d, …0\d/\d+\) hangs: it has not returned for 30s`
	t.Run("Check", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &listener{T: t}
			released := make(chan struct{})
			defer close(released)
			open := func(loop *loopstore.Loop) store.RuntimeStore { return &hanging{broken{Loop: loop}, released} }
			assert.Regexp(t, `^history 0 of seed 0: `+want, said(l, l, open, lincheck.Config{}))
		})
	})
	t.Run("CheckProgram", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			released := make(chan struct{})
			defer close(released)
			r := falsify(t, func(t *rapid.T) {
				lincheck.CheckProgram(t, func() store.RuntimeStore {
					return &hanging{broken{Loop: loopstore.New(loopstore.Options{})}, released}
				}, lincheck.Config{})
			})
			assert.Regexp(t, want, strings.Join(r.lines, "\n"))
		})
	})
}

// A tardy store applies one call long after its caller gave up.
type tardy struct {
	*loopstore.Loop
	once sync.Once
	late sync.WaitGroup
}

func (s *tardy) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	err := s.Loop.PersistInputState(ctx, id, state)
	if errors.Is(err, context.Canceled) && state.Validate() == nil {
		s.once.Do(func() {
			s.late.Go(func() {
				<-time.After(100 * time.Millisecond)
				_ = s.Loop.PersistInputState(context.WithoutCancel(ctx), id, state)
			})
		})
	}
	return err
}

func (s *tardy) Close() error {
	s.late.Wait()
	return s.Loop.Close()
}

// In a bubble the history ends before any time passes.
func TestAppliedLongAfterCancelIsCaught(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{T: t}
		open := func(loop *loopstore.Loop) store.RuntimeStore { return &tardy{Loop: loop} }
		assert.Regexp(t, `^history 0 of seed 0, after a pause: written after all calls had returned: load_input_states`,
			said(l, l, open, lincheck.Config{Histories: 2, Spanning: 1, Importing: 1}))
	})
}

// A keeping listener has a directory for artifacts.
type keeping struct {
	*listener
	dir string
}

func (k keeping) ArtifactDir() string { return k.dir }

func TestRefutationIsKeptAsArtifact(t *testing.T) {
	require.NoError(t, flag.Set("test.artifacts", "true"))
	t.Cleanup(func() { assert.NoError(t, flag.Set("test.artifacts", "false")) })
	l := &listener{T: t}
	k := keeping{l, t.TempDir()}
	said(k, l, func(loop *loopstore.Loop) store.RuntimeStore { return nilly{loop} }, lincheck.Config{})
	pages, err := os.ReadDir(k.dir)
	require.NoError(t, err)
	assert.Len(t, pages, 1)
}
