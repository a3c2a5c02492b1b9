package state_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// stagedIn puts the pieces of an import into a journal.
func stagedIn(t *testing.T, k kept, s, from *state.State) *state.Import {
	t.Helper()
	s.Begin()
	in, err := s.BeginImport(7)
	require.NoError(t, err)
	s.Commit()
	for p := range in.Pieces(from) {
		s.Begin()
		require.NoError(t, s.StorePiece(p))
		k.apply(s.Changes())
		s.Commit()
	}
	return in
}

// imported returns a state without a journal that has imported another.
func imported(t *testing.T, from *state.State) *state.State {
	t.Helper()
	s := new(state.State)
	in, err := s.BeginImport(7)
	require.NoError(t, err)
	for range in.Pieces(from) {
		t.Fatal("a piece")
	}
	_, err = s.EndImport(in)
	require.NoError(t, err)
	s.Settle()
	return s
}

// In the group in which an import becomes true, there may be other operations after it.
func TestOperationsGoOnInTheGroupOfAnImport(t *testing.T) {
	for _, taken := range []bool{false, true} {
		s, k := &state.State{BatchBytes: 20 << 10}, kept{}
		in := stagedIn(t, k, s, fixture.First.State(t))
		adopt := func() {
			s.Begin()
			_, err := s.EndImport(in)
			require.NoError(t, err)
			s.Settle()
			fixture.GoOnInGroup(fixture.OnState(t, s), 0)
			_, err = ops.Run(s, ops.DeleteRuntime{RuntimeID: "talk"})
			require.NoError(t, err)
		}
		if taken { // the journal rejects it once
			adopt()
			s.Changes()
			s.Rollback()
			empty, err := k.replay()
			require.NoError(t, err)
			require.Zero(t, empty.Totals())
		}
		adopt()
		k.apply(s.Changes())
		s.Commit()

		want := imported(t, fixture.First.State(t))
		fixture.GoOnInGroup(fixture.OnState(t, want), 0)
		_, err := ops.Run(want, ops.DeleteRuntime{RuntimeID: "talk"})
		require.NoError(t, err)
		again, err := k.replay()
		require.NoError(t, err)
		for _, got := range []*state.State{s, again} {
			fixture.Compare(t, fixture.At(fixture.OnState(t, want), fixture.NoPlaces), fixture.At(fixture.OnState(t, got), fixture.NoPlaces))
		}
	}
}

// What an import that failed has left is cleared before another one stores anything: both
// have records at the same places, and in one batch a key can be changed only once.
func TestClearingGoesBeforeAnotherImport(t *testing.T) {
	s, k := &state.State{BatchBytes: 20 << 10}, kept{}
	late := stagedIn(t, k, s, fixture.First.State(t))
	s.Begin()
	require.NoError(t, s.StorePiece(late.Abort()))
	next, err := s.BeginImport(8)
	require.NoError(t, err)
	s.Commit()
	var stored error
	for piece := range next.Pieces(fixture.First.State(t)) {
		for _, clearing := range s.Clearing() {
			for p := range clearing {
				s.Begin()
				require.NoError(t, s.StorePiece(p))
				stored = s.StorePiece(piece)
				require.ErrorIs(t, stored, store.ErrBusy)
				k.apply(s.Changes())
				s.Commit()
			}
		}
		break
	}
	require.ErrorIs(t, stored, store.ErrBusy)
	require.Len(t, k, 1)
	_, err = k.replay()
	require.NoError(t, err)
}

// A piece that is cleared in the group in which an import becomes true is in its batch.
func TestClearingInTheGroupOfAnImport(t *testing.T) {
	s, k := &state.State{BatchBytes: 20 << 10}, kept{}
	late := stagedIn(t, k, s, fixture.First.State(t))
	s.Begin()
	require.NoError(t, s.StorePiece(late.Abort()))
	s.Commit()
	s.Begin()
	in, err := s.BeginImport(7)
	require.NoError(t, err)
	s.Commit()
	from := new(state.State)
	for range in.Pieces(from) { // of an export of nothing there is no piece
		t.Fatal("a piece")
	}
	for _, clearing := range s.Clearing() {
		for p := range clearing {
			s.Begin()
			_, err = s.EndImport(in)
			require.ErrorIs(t, err, store.ErrBusy)
			require.NoError(t, s.StorePiece(p))
			_, err = s.EndImport(in) // busy as well, until the last
			k.apply(s.Changes())
			s.Commit()
		}
	}
	require.NoError(t, err)
	require.Len(t, k, 1)
	_, err = k.replay()
	require.NoError(t, err)
}
