package lincheck_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// alone has one caller claim inputs.
var alone = lincheck.Config{Callers: 1, Histories: 1, Spanning: 100, Importing: 1, Queue: queue}

// refuteClaims expects Check to refute stores with claims, and returns the failure. In a
// bubble nobody waits for what hangs.
func refuteClaims(t *testing.T, cfg lincheck.Config, open func(loopstore.Options) store.RuntimeStore) (said string) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{T: t}
		cfg.Dir = t.ArtifactDir()
		lincheck.Check(l, func() store.RuntimeStore { return open(optionsOf(cfg)) }, cfg)
		require.Len(t, l.failures, 1)
		said = l.failures[0]
		t.Log(said)
	})
	return said
}

// A doubling store gives an input that it has given before.
type doubling struct {
	broken
	last state.Claimed
}

func (s *doubling) ClaimNext(ctx context.Context, c store.Claim) (claimed state.Claimed, err error) {
	if s.last.RuntimeID != "" && ctx.Err() == nil && c.To == s.last.State.CurrentState && s.tenth() {
		return s.last, nil
	}
	claimed, err = s.Loop.ClaimNext(ctx, c)
	if err == nil {
		s.last = claimed
	}
	return claimed, err
}

func TestInputThatIsGivenTwiceIsCaught(t *testing.T) {
	said := refuteClaims(t, alone, func(o loopstore.Options) store.RuntimeStore { return &doubling{broken: broken{Loop: loopstore.New(o)}} })
	assert.Regexp(t, `does not fit is\n\n\tclaim_next\(`, said)
}

// A choosing store has the first runtime that pleases it have its turn.
type choosing struct {
	*loopstore.Loop
	pleases func(underWay bool) bool
	deaf    bool // it does not notice what comes for a claim that waits
}

func (s choosing) ClaimNext(ctx context.Context, c store.Claim) (state.Claimed, error) {
	from := c.From
	if len(from) == 0 {
		from = queue.Ready
	}
	flawed := slices.Contains(from, "unknown") || !slices.Contains(queue.Busy, c.To)
	for n := range 6 {
		id := store.RuntimeID(fmt.Sprintf("runtime-%d", n))
		view, err := s.View(ctx, id)
		if err != nil || flawed {
			break
		}
		waits, underWay := view.InputPage(state.Paging{Limit: 1}, from...).Items, view.InputPage(state.Paging{Limit: 1}, queue.Busy...).Items
		if len(waits) == 0 || !s.pleases(len(underWay) > 0) {
			continue
		}
		claimed := state.Claimed{RuntimeID: id, Input: waits[0]}
		if err := claimed.State.Move(c.To, c.At, ""); err != nil {
			return claimed, err
		}
		done, err := s.Commit(ctx, batch.Batch{
			If:   []batch.Condition{batch.VersionIs{RuntimeID: id, Version: view.Version()}},
			Then: []batch.Write{batch.PutInputState{RuntimeID: id, State: claimed.State}},
		})
		if errors.Is(err, store.ErrConflict) {
			return s.ClaimNext(ctx, c)
		}
		claimed.Version = done.Revision
		return claimed, err
	}
	if s.deaf && !flawed {
		<-ctx.Done()
	}
	return s.Loop.ClaimNext(ctx, c)
}

func TestTwoTurnsAtATimeAreCaught(t *testing.T) {
	said := refuteClaims(t, alone, func(o loopstore.Options) store.RuntimeStore {
		return choosing{loopstore.New(o), func(underWay bool) bool { return underWay }, false}
	})
	assert.Regexp(t, `does not fit is\n\n\tclaim_next\(`, said)
}

func TestRuntimeThatNeverHasItsTurnIsCaught(t *testing.T) {
	said := refuteClaims(t, alone, func(o loopstore.Options) store.RuntimeStore {
		return choosing{loopstore.New(o), func(underWay bool) bool { return !underWay }, false}
	})
	assert.Regexp(t, `does not fit is\n\n\tclaim_next\(`, said)
	assert.Contains(t, said, "to be claimed: [")
}

// A generous store claims for some callers that have given up.
type generous struct{ broken }

func (s *generous) ClaimNext(ctx context.Context, c store.Claim) (state.Claimed, error) {
	claimed, err := s.Loop.ClaimNext(ctx, c)
	if err != nil && ctx.Err() != nil {
		go func() { _, _ = s.Loop.ClaimNext(context.WithoutCancel(ctx), c) }()
	}
	return claimed, err
}

func TestClaimOfOneWhoHasGoneIsCaught(t *testing.T) {
	said := refuteClaims(t, alone, func(o loopstore.Options) store.RuntimeStore { return &generous{broken{Loop: loopstore.New(o)}} })
	assert.Contains(t, said, "not linearizable")
}

// One caller waits, and the other brings something.
func TestClaimThatIsNotServedIsCaught(t *testing.T) {
	two := alone
	two.Callers, two.AnyTurn = 2, true
	said := refuteClaims(t, two, func(o loopstore.Options) store.RuntimeStore {
		return choosing{loopstore.New(o), func(underWay bool) bool { return !underWay }, true}
	})
	assert.Regexp(t, `claim_next\(.*\) hangs`, said)
}
