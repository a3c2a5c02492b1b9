package storetest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

var withQueue = loopstore.Options{Queue: state.Queue{
	Ready: []store.InputLifecycleState{store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged},
}}

// waiting has 64 workers claim from a loop, and one follow it, until cancel. It returns how
// many claims were answered, and how many changes were seen.
func waiting(t *testing.T, loop *loopstore.Loop) (claimed, seen *atomic.Int64, cancel func()) {
	ctx, end := context.WithCancel(t.Context())
	claimed, seen = new(atomic.Int64), new(atomic.Int64)
	for range 64 {
		go func() {
			got, err := loop.ClaimNext(ctx, store.Claim{To: store.InputStaged})
			for errors.Is(err, journal.ErrRejected) {
				got, err = loop.ClaimNext(ctx, store.Claim{To: store.InputStaged})
			}
			if err == nil {
				assert.Equal(t, store.TimeOf(time.Now()), got.State.UpdatedAt, "when it was claimed, and not when it was asked for")
				claimed.Add(1)
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
		}()
	}
	go follow(ctx, t, loop, seen)
	synctest.Wait()
	return claimed, seen, func() {
		end()
		synctest.Wait()
	}
}

func follow(ctx context.Context, t *testing.T, loop *loopstore.Loop, seen *atomic.Int64) {
	for _, err := range loop.Changes(ctx, "") {
		if err != nil {
			assert.ErrorIs(t, err, context.Canceled)
			return
		}
		seen.Add(1)
	}
}

func queued() store.InputState {
	s := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	s.CurrentState = store.InputQueued
	return s
}

// While claims and a feed wait, a bubble stands still, and so its time goes on.
func TestWaitingInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, loop := range []*loopstore.Loop{storetest.New(t, withQueue), storetest.Open(t, inMemory(), "p", withQueue)} {
			claimed, seen, cancel := waiting(t, loop)
			for n := range int64(3) {
				time.Sleep(time.Hour)
				require.NoError(t, loop.PersistInputState(t.Context(), store.RuntimeID(rune('a'+n)), queued()))
				synctest.Wait()
				require.Equal(t, n+1, claimed.Load())
				require.Positive(t, seen.Load())
			}
			cancel()
		}
	})
}

// A claim is answered, and a change is shown, when the journal has it, and never if that
// rejects it.
func TestOnlyWhatIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, release := journaltest.NewFaulty(inMemory()), make(chan struct{})
		loop := storetest.Open(t, engine, "p", withQueue)
		claimed, seen, cancel := waiting(t, loop)
		defer cancel()

		rejected := journaltest.Reject()
		rejected.Before = func(context.Context) { <-release }
		engine.Next(rejected, rejected) // the write together with a claim, and then alone
		written := make(chan error, 1)
		go func() { written <- loop.PersistInputState(t.Context(), "a", queued()) }()
		synctest.Wait()
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go follow(ctx, t, loop, seen) // another one, which comes meanwhile
		synctest.Wait()
		assert.Zero(t, claimed.Load())
		assert.Zero(t, seen.Load())
		close(release)
		require.ErrorIs(t, <-written, journal.ErrRejected)
		synctest.Wait()
		assert.Zero(t, claimed.Load())
		assert.Zero(t, seen.Load())

		engine.Next(journaltest.Reject(), journaltest.Fault{}, journaltest.Reject()) // together, the write, the claim
		require.NoError(t, loop.PersistInputState(t.Context(), "b", queued()))
		synctest.Wait()
		assert.EqualValues(t, 1, claimed.Load())
		assert.GreaterOrEqual(t, seen.Load(), int64(2), "by both")
	})
}
