package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

// A liar is a store whose CommitSessionBoundary is replaced.
type liar struct {
	*loopstore.Loop
	commit func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error)
}

func (l liar) CommitSessionBoundary(_ context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return l.commit(l.Loop, id, c)
}

func TestLedgerFindsWhatIsLostDoubledAndRefused(t *testing.T) {
	ctx := t.Context()
	commit := func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
		return l.CommitSessionBoundary(ctx, id, c)
	}
	for name, lie := range map[string]struct {
		commit func(*loopstore.Loop, store.RuntimeID, store.BoundaryCommit) (store.RunBoundaryReceipt, error)
		finds  string
	}{
		"honest": {commit, ""},
		"unknown, stored": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			_, err := commit(l, id, c)
			return store.RunBoundaryReceipt{}, errors.Join(err, store.ErrOutcomeUnknown)
		}, ""},
		"unknown, not stored": {func(*loopstore.Loop, store.RuntimeID, store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			return store.RunBoundaryReceipt{}, store.ErrOutcomeUnknown
		}, ""},
		"lost": {func(*loopstore.Loop, store.RuntimeID, store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			return store.RunBoundaryReceipt{Sequence: 1}, nil
		}, "sequence 1 was acknowledged, and is lost"},
		"doubled": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			r, err := commit(l, id, c)
			_, again := commit(l, id, c)
			return r, errors.Join(err, again)
		}, "at sequence 2 is there twice"},
		"at another place": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			r, err := commit(l, id, c)
			r.Sequence++
			return r, err
		}, "at sequence 1 was acknowledged at 2"},
		"refused": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			_, err := commit(l, id, c)
			return store.RunBoundaryReceipt{}, errors.Join(err, store.ErrClosed)
		}, "at sequence 1 was refused"},
		"without its input": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			c.InputUpdates = nil
			return commit(l, id, c)
		}, "1 receipts are there without their inputs"},
		"another's": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			c.ContributingInputIDs = []store.InputID{store.NewInputID()}
			return commit(l, id, c)
		}, "is not one of the ledger's"},
		"without its receipt": {func(l *loopstore.Loop, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
			return store.RunBoundaryReceipt{}, errors.Join(l.PersistInputState(ctx, id, c.InputUpdates[0]), store.ErrOutcomeUnknown)
		}, "is there without its receipt"},
	} {
		t.Run(name, func(t *testing.T) {
			l := loopstore.New(loopstore.Options{})
			defer func() { require.NoError(t, l.Close()) }()
			ledger := storetest.NewLedger("runtime")
			require.NoError(t, ledger.Commit(ctx, l))
			_ = ledger.Commit(ctx, liar{l, lie.commit})
			tallies := ledger.Tallies()
			require.Equal(t, 2, tallies.Acknowledged+tallies.Refused+tallies.Unknown)
			if err := ledger.Check(ctx, l); lie.finds == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, lie.finds)
			}
		})
	}
}
