package storetest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// losesLeapSeconds stores a time as what time.Time makes of it.
type losesLeapSeconds struct{ *loopstore.Loop }

func (s losesLeapSeconds) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	state.CreatedAt = store.TimeOf(state.CreatedAt.Time())
	return s.Loop.PersistInputState(ctx, id, state)
}

// compactsInputs stores the JSON of a persisted input without its white space.
type compactsInputs struct{ *loopstore.Loop }

func (s compactsInputs) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	state.PersistedInput = slices.Clone(state.PersistedInput)
	_ = state.PersistedInput.Compact() // the loop refuses what is not valid
	return s.Loop.PersistInputState(ctx, id, state)
}

// neverWrites acknowledges every write and applies none.
type neverWrites struct{ *loopstore.Loop }

func (s neverWrites) CommitSessionBoundary(_ context.Context, _ store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	return store.RunBoundaryReceipt{RunID: c.RunID, Boundary: c.Boundary}, nil
}

func (s neverWrites) AtomicApply(context.Context, store.RuntimeID, store.BoundaryApply) error {
	return nil
}

func (s neverWrites) PersistInputState(context.Context, store.RuntimeID, store.InputState) error {
	return nil
}

func (s neverWrites) PersistRuntimeState(context.Context, store.RuntimeID, store.RuntimeState) error {
	return nil
}

func (s neverWrites) AtomicLifecycleCommit(context.Context, store.RuntimeID, store.LifecycleCommit) error {
	return nil
}

// dropsTheSnapshot replaces the snapshot with an empty one when an apply has no
// session and no updates.
type dropsTheSnapshot struct{ *loopstore.Loop }

func (s dropsTheSnapshot) AtomicApply(ctx context.Context, id store.RuntimeID, a store.BoundaryApply) error {
	if a.Session == nil && len(a.InputUpdates) == 0 {
		a.Session = new(store.SessionDelta)
	}
	return s.Loop.AtomicApply(ctx, id, a)
}

// digestsTheText hashes the messages as they are spelled, not their canonical text.
type digestsTheText struct{ *loopstore.Loop }

func (s digestsTheText) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	var document struct{ Messages json.RawMessage }
	if err != nil || c.Session.Format != store.FormatUnset || json.Unmarshal(c.Session.SessionSnapshot, &document) != nil {
		return receipt, err
	}
	var text bytes.Buffer
	_ = json.Compact(&text, document.Messages)
	sum := sha256.Sum256(text.Bytes())
	if digest := hex.EncodeToString(sum[:]); digest != *receipt.ConversationDigest {
		receipt.ConversationDigest = &digest
		return receipt, s.AtomicApply(context.WithoutCancel(ctx), id, store.BoundaryApply{Receipt: receipt})
	}
	return receipt, nil
}

// halfApplies stores the inputs in front of the one that it refuses.
type halfApplies struct{ *loopstore.Loop }

func (s halfApplies) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, c store.LifecycleCommit) error {
	err := s.Loop.AtomicLifecycleCommit(ctx, id, c)
	if errors.Is(err, store.ErrInvalidValue) && c.RuntimeState.Validate() == nil {
		for _, state := range c.InputStates {
			if s.PersistInputState(ctx, id, state) != nil {
				break
			}
		}
	}
	return err
}

// overwritesOnRefusal stores a snapshot before it validates it.
type overwritesOnRefusal struct{ *loopstore.Loop }

func (s overwritesOnRefusal) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if errors.Is(err, store.ErrInvalidSnapshot) && c.Session.Format == store.FormatUnset {
		_ = s.AtomicApply(ctx, id, store.BoundaryApply{
			Session: &c.Session, Receipt: store.RunBoundaryReceipt{RunID: store.NewRunID(), Boundary: store.RunStart},
		})
	}
	return receipt, err
}
