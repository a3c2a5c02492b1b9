package lincheck_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// refuteImports expects Check to refute the stores that open returns in a history with
// imports, and returns the failure.
func refuteImports(t *testing.T, open func(*loopstore.Loop) store.RuntimeStore) string {
	l := &listener{T: t}
	lincheck.Check(l, func() store.RuntimeStore { return open(loopstore.New(loopstore.Options{})) },
		lincheck.Config{Histories: 1, Spanning: 1, Importing: 500, Dir: t.ArtifactDir()})
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Contains(t, l.failures[0], "importing history")
	assert.Contains(t, l.failures[0], "not linearizable")
	return l.failures[0]
}

// unused reports whether a loop has never held anything.
func unused(l *loopstore.Loop) bool {
	_, err := loopstore.Do(context.Background(), l, ops.BeginImport{})
	return err == nil
}

// A showing store shows a runtime of an import before the others.
type showing struct {
	*loopstore.Loop
	first atomic.Pointer[loopstore.Loop] // has what is imported
}

func (s *showing) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	file, err := io.ReadAll(r)
	if err != nil || !unused(s.Loop) {
		return s.Loop.Import(ctx, bytes.NewReader(file))
	}
	first := loopstore.New(loopstore.Options{})
	defer func() { _ = first.Close() }()
	if _, err := first.Import(ctx, bytes.NewReader(file)); err == nil {
		s.first.Store(first)
		defer s.first.Store(nil)
	}
	for range 20 {
		runtime.Gosched()
	}
	return s.Loop.Import(ctx, bytes.NewReader(file))
}

func (s *showing) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	if first := s.first.Load(); first != nil && id == "runtime-0" {
		if states, err := first.LoadInputStates(ctx, id); err == nil {
			return states, nil
		}
	}
	return s.Loop.LoadInputStates(ctx, id)
}

func TestHalfSeenImportIsCaught(t *testing.T) {
	refuteImports(t, func(l *loopstore.Loop) store.RuntimeStore { return &showing{Loop: l} })
}

// An overhasty store looks once whether it has held anything, when an import begins. What
// is written after that is lost. Or states survive, which nobody takes notice of, on top of
// what was imported.
type overhasty struct {
	ops.Forward
	survive   bool
	importing sync.RWMutex // held for writing by an import
	current   atomic.Pointer[loopstore.Loop]

	mu     sync.Mutex
	states []func(*loopstore.Loop) // that were written
	loops  []*loopstore.Loop
}

func newOverhasty(l *loopstore.Loop, survive bool) *overhasty {
	s := &overhasty{survive: survive, loops: []*loopstore.Loop{l}}
	s.current.Store(l)
	s.Forward = func(ctx context.Context, call ops.Call) error {
		if s.survive && !call.Kind().ReadOnly() {
			s.importing.RLock()
			defer s.importing.RUnlock()
		}
		return call.On(ctx, s.current.Load())
	}
	return s
}

func (s *overhasty) PersistRuntimeState(ctx context.Context, id store.RuntimeID, to store.RuntimeState) error {
	return s.write(ctx, func(ctx context.Context, l *loopstore.Loop) error { return l.PersistRuntimeState(ctx, id, to) })
}

func (s *overhasty) PersistInputState(ctx context.Context, id store.RuntimeID, to store.InputState) error {
	return s.write(ctx, func(ctx context.Context, l *loopstore.Loop) error { return l.PersistInputState(ctx, id, to) })
}

func (s *overhasty) write(ctx context.Context, to func(context.Context, *loopstore.Loop) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := to(ctx, s.current.Load())
	if err == nil && s.survive {
		s.states = append(s.states, func(l *loopstore.Loop) { _ = to(context.WithoutCancel(ctx), l) })
	}
	return err
}

func (s *overhasty) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	s.importing.Lock()
	defer s.importing.Unlock()
	if l := s.current.Load(); !unused(l) {
		return l.Import(ctx, r)
	}
	next := loopstore.New(loopstore.Options{})
	held, err := next.Import(ctx, r)
	for range 200 {
		runtime.Gosched()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loops = append(s.loops, next)
	if err == nil {
		for _, write := range s.states {
			write(next)
		}
		s.current.Store(next)
	}
	return held, err
}

func (s *overhasty) Export(ctx context.Context, w io.Writer) error {
	return s.current.Load().Export(ctx, w)
}

func (s *overhasty) Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	return s.current.Load().Runtimes(ctx, listing)
}

func (s *overhasty) Close() error {
	for _, l := range s.loops {
		_ = l.Close()
	}
	return nil
}

func TestWriteLostToAnImportIsCaught(t *testing.T) {
	refuteImports(t, func(l *loopstore.Loop) store.RuntimeStore { return newOverhasty(l, false) })
}

func TestWriteThatSurvivesAnImportIsCaught(t *testing.T) {
	refuteImports(t, func(l *loopstore.Loop) store.RuntimeStore { return newOverhasty(l, true) })
}

// An insistent store imports although its caller gave up.
type insistent struct{ *loopstore.Loop }

func (s insistent) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return store.Totals{}, err
	}
	held, err := s.Loop.Import(ctx, bytes.NewReader(file))
	if err != nil && ctx.Err() != nil {
		_, _ = s.Loop.Import(context.WithoutCancel(ctx), bytes.NewReader(file))
	}
	return held, err
}

func TestImportAppliedAfterCancelIsCaught(t *testing.T) {
	refuteImports(t, func(l *loopstore.Loop) store.RuntimeStore { return insistent{l} })
}

// A haunted store answers, after it was opened again, with half of the inputs of a runtime
// that it has deleted, unless others are there.
type haunted struct {
	*pieced
	mu     sync.Mutex
	ghosts map[store.RuntimeID]ghost
}

type ghost struct {
	inputs []store.InputState
	loop   *loopstore.Loop // that has deleted them
}

func (s *haunted) DeleteRuntime(ctx context.Context, id store.RuntimeID) (state.Removed, error) {
	inputs, _ := s.pieced.LoadInputStates(ctx, id)
	gone, err := s.pieced.DeleteRuntime(ctx, id)
	if half := len(inputs) / 2; err == nil && half > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ghosts[id] = ghost{slices.Clone(inputs[half:]), s.current.Load()}
	}
	return gone, err
}

func (s *haunted) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.pieced.LoadInputStates(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.ghosts[id]; ok && err == nil && len(states) == 0 && g.loop != s.current.Load() {
		return g.inputs, nil
	}
	return states, err
}

func TestRemainsOfARuntimeAreCaught(t *testing.T) {
	l := &listener{T: t}
	lincheck.Check(l, func() store.RuntimeStore {
		return &haunted{pieced: newPieced(t, journal.Limits{}, journal.Limits{}, lincheck.Config{Versions: restartingVersions}, new(pieces)), ghosts: make(map[store.RuntimeID]ghost)}
	}, lincheck.Config{Histories: 100, Spanning: 1, Importing: 1, Dir: t.ArtifactDir(), Versions: restartingVersions})
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Regexp(t, `does not fit is\n\n\tload_input_states\(runtime-\d\) → \[…`, l.failures[0])
}
