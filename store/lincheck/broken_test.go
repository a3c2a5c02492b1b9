package lincheck_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
)

// A listener is a test that may fail. It keeps its failures.
type listener struct {
	*testing.T
	failures []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}

// refute expects Check to refute the stores that open returns, and returns the failure.
func refute(t *testing.T, open func(*loopstore.Loop) store.RuntimeStore) string {
	l := &listener{T: t}
	lincheck.Check(l, func() store.RuntimeStore { return open(loopstore.New(loopstore.Options{})) },
		lincheck.Config{Histories: 5, Spanning: 1000, Dir: t.ArtifactDir()})
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Contains(t, l.failures[0], "not linearizable")
	return l.failures[0]
}

// A broken store is a Loop with one operation replaced. Every tenth call of that
// operation is wrong.
type broken struct {
	*loopstore.Loop
	mu    sync.Mutex
	calls int
}

func (b *broken) tenth() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	return b.calls%10 == 0
}

// A stale store answers at times with the snapshot of an earlier answer.
type stale struct {
	broken
	last sync.Map // of runtime ids
}

func (s *stale) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	if old, ok := s.last.Load(id); ok && ctx.Err() == nil && s.tenth() {
		return old.([]byte), true, nil
	}
	snapshot, ok, err := s.Loop.LoadSessionSnapshot(ctx, id)
	if ok {
		s.last.Store(id, snapshot)
	}
	return snapshot, ok, err
}

func TestStaleReadsAreCaught(t *testing.T) {
	said := refute(t, func(l *loopstore.Loop) store.RuntimeStore { return &stale{broken: broken{Loop: l}} })
	assert.Regexp(t, `does not fit is\n\n\tload_session_snapshot\(runtime-\d\) → found.*\n`, said)
	assert.Regexp(t, `The model would answer\n\n\t.+\n\nin the state after them, which is\n\n\t"\w*", (session |no session)`, said)

	page := regexp.MustCompile(`shown in (.*\.html)`).FindStringSubmatch(said)
	require.NotNil(t, page)
	html, err := os.ReadFile(page[1])
	require.NoError(t, err)
	assert.Contains(t, string(html), "load_session_snapshot(runtime-")
}

// A losing store acknowledges writes at times that it does not apply.
type losing struct{ broken }

func (s *losing) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	if apply.Receipt.Validate() == nil && ctx.Err() == nil && s.tenth() {
		return nil
	}
	return s.Loop.AtomicApply(ctx, id, apply)
}

func TestLostUpdateIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return &losing{broken{Loop: l}} })
}

// A late store applies some calls that were given up, right after their callers gave up.
type late struct{ broken }

func (s *late) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	err := s.Loop.PersistInputState(ctx, id, state)
	if err != nil && ctx.Err() != nil && s.tenth() {
		_ = s.Loop.PersistInputState(context.WithoutCancel(ctx), id, state)
	}
	return err
}

func TestAppliedAfterCancelIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return &late{broken{Loop: l}} })
}

// A torn store applies one operation in two steps, so that others see the state between
// them.
type torn struct{ *loopstore.Loop }

func (s torn) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	updates := commit.InputUpdates
	commit.InputUpdates = nil
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, commit)
	if err == nil {
		for _, u := range updates {
			u.LastRunID, u.LastBoundarySequence = &receipt.RunID, &receipt.Sequence
			_ = s.PersistInputState(context.WithoutCancel(ctx), id, u)
		}
	}
	return receipt, err
}

func TestTornCommitIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return torn{l} })
}

// A rude store returns the context's error although the context is alive.
type rude struct{ broken }

func (s *rude) LoadRuntimeState(ctx context.Context, id store.RuntimeID) (store.RuntimeState, bool, error) {
	if s.tenth() {
		return "", false, context.Canceled
	}
	return s.Loop.LoadRuntimeState(ctx, id)
}

func TestUnexpectedErrorIsCaught(t *testing.T) {
	l := &listener{T: t}
	stats := lincheck.Check(l, func() store.RuntimeStore {
		return &rude{broken{Loop: loopstore.New(loopstore.Options{})}}
	}, lincheck.Config{})
	require.Len(t, l.failures, 1)
	assert.True(t, strings.HasPrefix(l.failures[0], "history 0 of seed 0: load_runtime_state("), l.failures[0])
	assert.Contains(t, l.failures[0], "unexpected error: context canceled: it had a living context")
	assert.Zero(t, stats.Histories)
	assert.Equal(t, 2000, stats.Operations, "all calls that were made")
	assert.Positive(t, stats.Refused)
}
