package storetest

import (
	"context"
	"io"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func atomicity() []promise {
	promises := []promise{
		{words: "a refused commit spends no sequence", try: refusedCommitSpendsNothing},
		{words: "a refused first write leaves no runtime", try: refusedFirstWrite},
		{words: "an error in the arguments comes before ErrSequenceExhausted", try: exhaustionComesLast},
	}
	for _, r := range refusals() {
		promises = append(promises, promise{words: r.words, try: func(tr *trial) {
			tr.fill("a")
			before := tr.view("a")
			require.Len(tr, before.Inputs, 2, "the store was filled")
			tr.refused("the call", r.do(tr.Context(), tr.store, "a"), r.is)
			assert.Equal(tr, before, tr.view("a"))
			assert.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence, "the next sequence")
		}})
	}
	return promises
}

// A refusal is a call that must be refused. Besides what is wrong with it, it has
// valid parts, and none of them may be applied.
type refusal struct {
	words string
	do    func(context.Context, store.RuntimeStore, store.RuntimeID) error
	is    error
}

// refusals are calls to a runtime that was filled.
func refusals() []refusal {
	invalid := attempted(8, 9)
	invalid.CurrentState = "nonsense"
	batch := []store.InputState{attempted(1, 9), attempted(7, 9), invalid, attempted(6, 9)}
	snapshot := document(conversation(4, 4))
	commit := func(change func(*store.BoundaryCommit)) func(context.Context, store.RuntimeStore, store.RuntimeID) error {
		c := store.BoundaryCommit{Session: store.SessionDelta{SessionSnapshot: snapshot}, RunID: store.RunID{1}, Boundary: store.RunStart, InputUpdates: batch[:2]}
		change(&c)
		return func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
			_, err := s.CommitSessionBoundary(ctx, id, c)
			return err
		}
	}
	apply := func(boundary store.RunApplyBoundary, updates []store.InputState) func(context.Context, store.RuntimeStore, store.RuntimeID) error {
		a := applying(store.RunID{1}, 0, updates...)
		a.Session, a.Receipt.Boundary = &store.SessionDelta{SessionSnapshot: []byte("applied")}, boundary
		return func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
			return s.AtomicApply(ctx, id, a)
		}
	}
	lifecycle := func(state store.RuntimeState, inputs []store.InputState) func(context.Context, store.RuntimeStore, store.RuntimeID) error {
		return func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
			return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: state, InputStates: inputs})
		}
	}
	return []refusal{
		{"a commit that is refused for its snapshot changes nothing", commit(func(c *store.BoundaryCommit) { c.Session.SessionSnapshot = snapshot[:20] }), store.ErrInvalidSnapshot},
		{"a commit that is refused for lack of a snapshot changes nothing", commit(func(c *store.BoundaryCommit) { c.Session.SessionSnapshot = nil }), store.ErrInvalidSnapshot},
		{"a commit that is refused for one update changes nothing", commit(func(c *store.BoundaryCommit) { c.InputUpdates = batch }), store.ErrInvalidValue},
		{"a commit that is refused for its boundary changes nothing", commit(func(c *store.BoundaryCommit) { c.Boundary = "nonsense" }), store.ErrInvalidValue},
		{"a commit that is refused for its run's last sequence changes nothing", commit(func(c *store.BoundaryCommit) { c.RunID = store.RunID{9} }), store.ErrSequenceExhausted},
		{"an apply that is refused for one update changes nothing", apply(store.RunStart, batch), store.ErrInvalidValue},
		{"an apply that is refused for its receipt changes nothing", apply("nonsense", batch[:2]), store.ErrInvalidValue},
		{"a lifecycle commit that is refused for one input changes nothing", lifecycle(store.RuntimeRunning, batch), store.ErrInvalidValue},
		{"a lifecycle commit that is refused for its state changes nothing", lifecycle("nonsense", batch[:2]), store.ErrInvalidValue},
		{"an input state that is refused replaces nothing", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
			bad := attempted(1, 9)
			bad.CurrentState = "nonsense"
			return s.PersistInputState(ctx, id, bad)
		}, store.ErrInvalidValue},
		{"a runtime state that is refused replaces nothing", func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
			return s.PersistRuntimeState(ctx, id, "nonsense")
		}, store.ErrInvalidValue},
	}
}

func refusedCommitSpendsNothing(tr *trial) {
	for want := range uint64(3) {
		for range 3 {
			bad := committing(store.RunID{1})
			bad.Session.SessionSnapshot = []byte("x")
			_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", bad)
			tr.refused("CommitSessionBoundary", err, store.ErrInvalidSnapshot)
		}
		assert.Equal(tr, want, tr.commit("a", committing(store.RunID{1})).Sequence)
	}
}

func exhaustionComesLast(tr *trial) {
	tr.fill("a")
	last := committing(store.RunID{9})
	_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", last)
	tr.refused("a commit to a run at its last sequence", err, store.ErrSequenceExhausted)
	bad := last
	bad.Session.SessionSnapshot = []byte("x")
	_, err = tr.store.CommitSessionBoundary(tr.Context(), "a", bad)
	tr.refused("the same with a bad snapshot", err, store.ErrInvalidSnapshot)
	bad = last
	bad.InputUpdates = []store.InputState{{}}
	_, err = tr.store.CommitSessionBoundary(tr.Context(), "a", bad)
	tr.refused("the same with a bad update", err, store.ErrInvalidValue)
	for _, e := range tr.ended() {
		_, err = tr.store.CommitSessionBoundary(e.ctx, "a", last)
		tr.refused("the same under a context that has ended", err, e.err)
	}
	if has[io.Closer](tr) {
		tr.close()
		_, err = tr.store.CommitSessionBoundary(tr.Context(), "a", last)
		tr.refused("the same after Close", err, store.ErrClosed)
	}
}

// A call that is refused does not create its runtime.
func refusedFirstWrite(tr *trial) {
	for _, r := range refusals() {
		if r.is == store.ErrSequenceExhausted {
			continue
		}
		tr.refused(r.words, r.do(tr.Context(), tr.store, "a"), r.is)
		require.Equal(tr, view{}, tr.view("a"), r.words)
	}
	tr.fill("a")
	assert.NotEqual(tr, view{}, tr.view("a"), "what was not refused is there")
}
