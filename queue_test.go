package loopstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

var (
	queue = state.Queue{Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged}}
	take  = store.Claim{To: store.InputStaged}
)

// queuing runs a test on a loop with a queue in memory, and on one with a journal, each in a
// bubble.
func queuing(t *testing.T, test func(t *testing.T, l *loopstore.Loop)) {
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := loopstore.New(loopstore.Options{Queue: queue})
			defer l.Close()
			test(t, l)
		})
	})
	t.Run("with a journal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, err := loopstore.Open(t.Context(), journaltest.NewEngine(), "p", loopstore.Options{Queue: queue})
			require.NoError(t, err)
			defer l.Close()
			test(t, l)
		})
	})
}

func ready(name string) store.InputState {
	input := store.NewInputState(store.InputIDOf(name), store.TimeOf(time.Unix(1, 0)))
	input.CurrentState = store.InputQueued
	return input
}

func consumed(t *testing.T, c state.Claimed) batch.Batch {
	require.NoError(t, c.State.Move(store.InputConsumed, c.State.UpdatedAt, ""))
	return batch.Batch{
		If:   []batch.Condition{batch.InputVersionIs{RuntimeID: c.RuntimeID, InputID: c.State.InputID, Version: c.Version}},
		Then: []batch.Write{batch.PutInputState{RuntimeID: c.RuntimeID, State: c.State}},
	}
}

// TestManyWorkers has 64 workers serve all runtimes: each input is claimed once, each
// runtime has a turn at a time, and no call is made but those of a turn.
func TestManyWorkers(t *testing.T) {
	const workers, each = 64, 3
	runtimes := 10_000
	if testing.Short() {
		runtimes = 500
	}
	queuing(t, func(t *testing.T, l *loopstore.Loop) {
		total := int64(runtimes * each)
		turns := make([]atomic.Int32, runtimes)
		next := make([]int, runtimes) // of who has the turn
		var done atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var pool sync.WaitGroup
		for range workers {
			pool.Go(func() {
				for done.Load() < total {
					c, err := l.ClaimNext(ctx, take)
					if errors.Is(err, context.Canceled) {
						return
					}
					var n int
					_, scanErr := fmt.Sscanf(string(c.RuntimeID), "agent-%d", &n)
					if err = errors.Join(err, scanErr); !assert.NoError(t, err) {
						return
					}
					assert.True(t, turns[n].CompareAndSwap(0, 1), "a turn at a time")
					assert.Equal(t, store.InputIDOf(fmt.Sprint(n, "/", next[n])), c.State.InputID, "in their order, each once")
					next[n]++
					turns[n].Store(0)
					_, err = l.Commit(ctx, consumed(t, c))
					assert.NoError(t, err)
					if done.Add(1) == total {
						cancel()
					}
				}
			})
		}
		for m := range each {
			for n := range runtimes {
				require.NoError(t, l.PersistInputState(t.Context(), store.RuntimeID(fmt.Sprint("agent-", n)), ready(fmt.Sprint(n, "/", m))))
			}
		}
		pool.Wait()
		calls := uint64(0)
		for _, of := range l.Stats().Operations {
			calls += of.Done
		}
		assert.Equal(t, uint64(3*total), calls, "three hand-offs a turn: enqueued, claimed, consumed")
	})
}

// TestWaitingWorkersAreQuiet lets an hour pass over workers that wait.
func TestWaitingWorkersAreQuiet(t *testing.T) {
	queuing(t, func(t *testing.T, l *loopstore.Loop) {
		var claimed atomic.Int32
		var pool sync.WaitGroup
		for range 64 {
			pool.Go(func() {
				if _, err := l.ClaimNext(t.Context(), take); err == nil {
					claimed.Add(1)
				}
			})
		}
		synctest.Wait()
		before := l.Stats()
		time.Sleep(time.Hour)
		after := l.Stats()
		assert.Equal(t, before.Operations, after.Operations)
		assert.Equal(t, before.Wait, after.Wait)

		began := store.TimeOf(time.Now())
		require.NoError(t, l.PersistInputState(t.Context(), "agent", ready("a")))
		synctest.Wait()
		assert.EqualValues(t, 1, claimed.Load())
		in, ok, err := l.LoadInput(t.Context(), "agent", store.InputIDOf("a"))
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, began, in.State.UpdatedAt, "when it was claimed, not when that was asked for")
		require.NoError(t, l.Close())
		pool.Wait()
		assert.EqualValues(t, 1, claimed.Load())
	})
}

// TestClaimsGivenUp has workers give up, many more than wait.
func TestClaimsGivenUp(t *testing.T) {
	queuing(t, func(t *testing.T, l *loopstore.Loop) {
		for range 10_000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := l.ClaimNext(ctx, take)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NoError(t, l.PersistInputState(t.Context(), "agent", ready("a")))
		c, err := l.ClaimNext(t.Context(), take)
		require.NoError(t, err)
		assert.Equal(t, store.RuntimeID("agent"), c.RuntimeID)
	})
}

// TestClaimInARejectedRound has a journal reject what a claim came with: the claim is made
// again, and waits again.
func TestClaimInARejectedRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		rejects := 0
		faulty.Script(func(_ int, b journal.Batch) (f journaltest.Fault) {
			if rejects > 0 {
				rejects--
				return journaltest.Reject()
			}
			return f
		})
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
		require.NoError(t, err)
		defer l.Close()
		var got state.Claimed
		worker := make(chan error, 1)
		go func() {
			var err error
			got, err = l.ClaimNext(t.Context(), take)
			worker <- err
		}()
		synctest.Wait()
		rejects = 2 // the round of both, and then the input alone
		require.ErrorIs(t, l.PersistInputState(t.Context(), "agent", ready("a")), journal.ErrRejected)
		synctest.Wait()
		require.Empty(t, worker)
		require.NoError(t, l.PersistInputState(t.Context(), "agent", ready("b")))
		require.NoError(t, <-worker)
		assert.Equal(t, store.InputIDOf("b"), got.State.InputID)
		assert.Equal(t, uint64(2), got.Version)
	})
}

// TestQueueOptions refuses a queue that cannot be, and claims without one.
func TestQueueOptions(t *testing.T) {
	for name, q := range map[string]state.Queue{
		"nothing under way":    {Ready: queue.Ready},
		"nothing waits":        {Busy: queue.Busy},
		"one that ended waits": {Ready: []store.InputLifecycleState{store.InputConsumed}, Busy: queue.Busy},
		"both":                 {Ready: queue.Ready, Busy: queue.Ready},
		"no state":             {Ready: []store.InputLifecycleState{"?"}, Busy: queue.Busy},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loopstore.Open(t.Context(), journaltest.NewEngine(), "p", loopstore.Options{Queue: q})
			require.ErrorIs(t, err, store.ErrInvalidValue)
			l := loopstore.New(loopstore.Options{Queue: q})
			defer l.Close()
			require.NoError(t, l.PersistInputState(t.Context(), "agent", ready("a")))
			_, err = l.ClaimNext(t.Context(), take)
			require.ErrorIs(t, err, store.ErrInvalidValue)
		})
	}
	l := loopstore.New(loopstore.Options{})
	defer l.Close()
	_, err := l.ClaimNext(t.Context(), take)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = ops.Run(&state.State{Queue: queue}, ops.ClaimNext{Claim: take})
	require.ErrorIs(t, err, ops.ErrNothingReady)
}

// TestAClaimOfARejectedRoundComesFirst has a round rejected that served a claim. What was in it
// is tried alone, and so who came later is not served before.
func TestAClaimOfARejectedRoundComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty, release := journaltest.NewFaulty(journaltest.NewEngine()), make(chan struct{})
		faulty.Next(journaltest.Held(release), journaltest.Reject())
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
		require.NoError(t, err)
		defer l.Close()
		served := make(chan int, 2)
		for worker := range 2 {
			go func() {
				if _, err := l.ClaimNext(t.Context(), take); err == nil {
					served <- worker
				}
			}()
			synctest.Wait()
		}
		for _, id := range []store.RuntimeID{"held", "rejected", "rejected, too"} {
			go func() {
				input := ready(string(id))
				if id != "rejected" {
					input.CurrentState = store.InputStaged // nothing to claim
				}
				_ = l.PersistInputState(t.Context(), id, input)
			}()
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		require.Len(t, served, 1)
		assert.Equal(t, 0, <-served)
	})
}
