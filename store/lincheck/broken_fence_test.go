package lincheck_test

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

// An unfenced store commits batches of those whose claim is stale, too.
type unfenced struct{ *loopstore.Loop }

func (s unfenced) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	b.If = slices.DeleteFunc(slices.Clone(b.If), func(c batch.Condition) bool {
		_, fence := c.(batch.InputVersionIs)
		return fence
	})
	return s.Loop.Commit(ctx, b)
}

func TestStaleClaimIsCaught(t *testing.T) {
	said := refuteInOrder(t, lincheck.Config{}, func(o loopstore.Options) store.RuntimeStore { return unfenced{loopstore.New(o)} })
	assert.Contains(t, said, "if batch.InputVersionIs{")
}

// A blurring store shows the version of the runtime in place of the input's.
type blurring struct{ *loopstore.Loop }

func (s blurring) LoadInput(ctx context.Context, id store.RuntimeID, input store.InputID) (state.Input, bool, error) {
	v, err := s.View(ctx, id)
	if err != nil {
		return state.Input{}, false, err
	}
	in, ok := v.Input(input)
	if ok {
		in.Version = v.Version()
	}
	return in, ok, nil
}

func TestVersionOfAnotherChangeIsCaught(t *testing.T) {
	said := refuteInOrder(t, lincheck.Config{}, func(o loopstore.Options) store.RuntimeStore { return blurring{loopstore.New(o)} })
	assert.Contains(t, said, "load_input(")
}

// An unguarded store does not look at the conditions of a commit of one operation.
type unguarded struct{ *loopstore.Loop }

func (s unguarded) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	commit.If = nil
	return s.Loop.CommitSessionBoundary(ctx, id, commit)
}

func TestConditionOfOneCommitThatIsIgnoredIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return unguarded{l} })
}

// An importing store is a State that imports in a way of its own.
type importing struct {
	ops.Forward
	calls sync.RWMutex // held for writing by an import or export
	state *state.State
	take  func(to, from *state.State) error
}

func newImporting(take func(to, from *state.State) error) *importing {
	s := &importing{state: new(state.State), take: take}
	inner := locked.New(s.state)
	s.Forward = func(ctx context.Context, call ops.Call) error {
		s.calls.RLock()
		defer s.calls.RUnlock()
		return call.On(ctx, inner)
	}
	return s
}

func (s *importing) Export(_ context.Context, w io.Writer) error {
	s.calls.Lock()
	defer s.calls.Unlock()
	return archive.Write(w, s.state.Image())
}

func (s *importing) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	from, err := archive.Read(r)
	if err != nil {
		return store.Totals{}, err
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Totals{}, err
	}
	held := from.Totals()
	return held, s.take(s.state, from)
}

// refuteVersions expects Check to refute stores that import so, and returns the failure.
func refuteVersions(t *testing.T, take func(to, from *state.State) error) string {
	l := &listener{T: t}
	lincheck.Check(l, func() store.RuntimeStore { return newImporting(take) },
		lincheck.Config{Histories: 1, Spanning: 1, Importing: 20, Dir: t.ArtifactDir()})
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Contains(t, l.failures[0], "importing history")
	return l.failures[0]
}

func TestImportThatKeepsFencesIsCaught(t *testing.T) {
	var imports atomic.Int64
	said := refuteVersions(t, func(to, from *state.State) error {
		if imports.Add(1)%3 == 0 {
			return to.Adopt(from)
		}
		return fenced(to, from, rand.Uint32())
	})
	assert.Contains(t, said, "not linearizable")
}

func TestImportsWithTheSameFencesAreCaught(t *testing.T) {
	said := refuteVersions(t, func(to, from *state.State) error { return fenced(to, from, 7) })
	assert.Contains(t, said, "two imports of")
}

// fenced imports with a leap.
func fenced(to, from *state.State, leap uint32) error {
	in, err := to.BeginImport(leap)
	if err != nil {
		return err
	}
	for range in.Pieces(from) { // there is no journal
	}
	_, err = to.EndImport(in)
	return err
}
