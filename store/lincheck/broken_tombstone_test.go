package lincheck_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/lincheck"
)

// refuteInOrder expects Check to refute stores within few histories of one caller, and
// returns the failure. Of several callers it is not certain which call has no order.
func refuteInOrder(t *testing.T, cfg lincheck.Config, open func(loopstore.Options) store.RuntimeStore) string {
	l := &listener{T: t}
	cfg.Callers, cfg.Histories, cfg.Spanning, cfg.Importing, cfg.Dir = 1, 20, 10, 1, t.ArtifactDir()
	lincheck.Check(l, func() store.RuntimeStore { return open(optionsOf(cfg)) }, cfg)
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Contains(t, l.failures[0], "not linearizable")
	return l.failures[0]
}

func TestKeyThatIsForgottenWithItsInputIsCaught(t *testing.T) {
	refuteInOrder(t, keepingAll, func(o loopstore.Options) store.RuntimeStore {
		o.Retention.Keys = store.Keep{}
		return loopstore.New(o)
	})
}

func TestKeyThatSeveralGetIsCaught(t *testing.T) {
	said := refuteInOrder(t, keepingAll, func(o loopstore.Options) store.RuntimeStore {
		o.UniqueKeys = false
		return loopstore.New(o)
	})
	assert.Contains(t, said, "idempotency key is taken")
}

func TestDeletedRuntimeThatIsMadeAgainIsCaught(t *testing.T) {
	refuteInOrder(t, keepingAll, func(o loopstore.Options) store.RuntimeStore {
		o.Tombstones = store.Keep{}
		return loopstore.New(o)
	})
}

// A lenient store brings a runtime back that somebody writes to.
type lenient struct{ *loopstore.Loop }

func (s lenient) PersistRuntimeState(ctx context.Context, id store.RuntimeID, to store.RuntimeState) error {
	err := s.Loop.PersistRuntimeState(ctx, id, to)
	if errors.Is(err, store.ErrDeleted) {
		_, err = s.Commit(ctx, batch.Batch{Then: []batch.Write{
			batch.ReviveRuntime{RuntimeID: id}, batch.PutRuntimeState{RuntimeID: id, State: to},
		}})
	}
	return err
}

func TestDeletedRuntimeThatOneWriteMakesAgainIsCaught(t *testing.T) {
	said := refuteInOrder(t, keepingAll, func(o loopstore.Options) store.RuntimeStore { return lenient{loopstore.New(o)} })
	assert.Contains(t, said, "was deleted")
}

// A recounting store says that the runs of a runtime which was brought back begin at 0.
type recounting struct{ *loopstore.Loop }

func (s recounting) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, commit)
	if err != nil {
		return receipt, err
	}
	v, err := s.View(context.WithoutCancel(ctx), id)
	if err != nil {
		return receipt, err
	}
	if floor, ok := v.SequenceFloor(); ok && receipt.Sequence > floor {
		receipt.Sequence -= floor + 1
	}
	return receipt, nil
}

func TestRevivedRuntimeThatBeginsAtZeroIsCaught(t *testing.T) {
	said := refuteInOrder(t, keepingAll, func(o loopstore.Options) store.RuntimeStore { return recounting{loopstore.New(o)} })
	assert.Contains(t, said, "commit_session_boundary(")
}
