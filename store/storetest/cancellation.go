package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func cancellation() []promise {
	return []promise{
		{"a call whose context has ended fails with its error and changes nothing", endedContextChangesNothing},
		{"the context's error comes before any other", contextErrorComesFirst},
		{"cancelling after the answer takes nothing back", cancelAfterTheAnswer},
		{"what is acknowledged is applied, and nothing else", acknowledgedIsApplied},
		{"a batch is applied whole or not at all, whenever it is cancelled", batchesAreCancelledWhole},
	}
}

// ended returns contexts that have ended, with the error of each.
func (tr *trial) ended() map[error]context.Context {
	cancelled, cancel := context.WithCancel(tr.Context())
	cancel()
	late, cancel := context.WithDeadline(tr.Context(), time.Unix(0, 0))
	tr.Cleanup(cancel)
	return map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late}
}

func endedContextChangesNothing(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	for want, ctx := range tr.ended() {
		for name, err := range tr.allWrites("a", ctx) {
			assert.ErrorIs(tr, err, want, name)
		}
		for name, err := range tr.allReads("a", ctx) {
			assert.ErrorIs(tr, err, want, name)
		}
		assert.Equal(tr, before, tr.view("a"), want)
	}
	for name, err := range tr.allWrites("a", tr.Context()) {
		assert.NoError(tr, err, name)
	}
	assert.NotEqual(tr, before, tr.view("a"), "the same calls under a context that goes on")
}

func contextErrorComesFirst(tr *trial) {
	for want, ctx := range tr.ended() {
		for name, err := range tr.allBadWrites("a", ctx) {
			assert.ErrorIs(tr, err, want, "%s with arguments that are not valid", name)
		}
	}
	if _, ok := tr.store.(io.Closer); !ok {
		return
	}
	tr.close()
	for want, ctx := range tr.ended() {
		for name, err := range tr.allWrites("a", ctx) {
			assert.ErrorIs(tr, err, want, "%s of a closed store", name)
		}
		for name, err := range tr.allReads("a", ctx) {
			assert.ErrorIs(tr, err, want, "%s of a closed store", name)
		}
	}
}

func cancelAfterTheAnswer(tr *trial) {
	ctx, cancel := context.WithCancel(tr.Context())
	for name, err := range tr.allWrites("a", ctx) {
		require.NoError(tr, err, name)
	}
	before := tr.view("a")
	cancel()
	assert.Equal(tr, before, tr.view("a"))
	assert.Len(tr, before.Inputs, 4)
}

// atAnyMoment calls do under contexts that are cancelled at any moment of the
// call, and returns how many calls failed. One that fails must do so with the
// context's error.
func (tr *trial) atAnyMoment(caller, calls int, do func(ctx context.Context, call int) error) (failed int, err error) {
	random := rand.New(rand.NewPCG(uint64(caller), 1))
	for call := range calls {
		ctx, cancel := context.WithCancel(tr.Context())
		yields := random.IntN(60)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range yields {
				runtime.Gosched()
			}
			cancel()
		})
		err := do(ctx, call)
		cancel()
		wg.Wait()
		switch {
		case errors.Is(err, context.Canceled):
			failed++
		case err != nil:
			return failed, err
		}
	}
	return failed, nil
}

func acknowledgedIsApplied(tr *trial) {
	const callers, calls, runtimes = 32, 40, 8
	var mu sync.Mutex
	acknowledged := map[store.InputID]bool{}
	err := together(callers, func(caller int) error {
		_, err := tr.atAnyMoment(caller, calls, func(ctx context.Context, call int) error {
			state := store.NewInputState(contribution(caller, call), store.Time{})
			err := tr.store.PersistInputState(ctx, store.RuntimeID(fmt.Sprint(caller%runtimes)), state)
			mu.Lock()
			acknowledged[state.InputID] = err == nil
			mu.Unlock()
			return err
		})
		return err
	})
	require.NoError(tr, err)
	stored := map[store.InputID]bool{}
	for i := range runtimes {
		for _, s := range tr.inputs(store.RuntimeID(fmt.Sprint(i))) {
			stored[s.InputID] = true
		}
	}
	var lost, denied int
	for id, ok := range acknowledged {
		switch {
		case ok && !stored[id]:
			lost++
		case !ok && stored[id]:
			denied++
		}
	}
	assert.Zero(tr, lost, "how many of %d calls returned nil, and their input is not there", callers*calls)
	assert.Zero(tr, denied, "how many of %d calls returned the context's error, and their input is there", callers*calls)
}

// Each commit has a batch of its own. Its sequence, receipt and inputs are
// there if it was acknowledged, and otherwise none of them.
func batchesAreCancelledWhole(tr *trial) {
	const callers, calls = 8, 20
	var mu sync.Mutex
	acknowledged := 0
	err := together(callers, func(caller int) error {
		failed, err := tr.atAnyMoment(caller, calls, func(ctx context.Context, call int) error {
			var batch []store.InputState
			for n := range byte(3) {
				batch = append(batch, store.NewInputState(store.InputID{byte(caller), byte(call), 2, n}, store.Time{}))
			}
			_, err := tr.store.CommitSessionBoundary(ctx, "a", committing(store.RunID{1}, batch...))
			return err
		})
		mu.Lock()
		acknowledged += calls - failed
		mu.Unlock()
		return err
	})
	require.NoError(tr, err)
	batches := map[[2]byte]int{}
	for _, s := range tr.inputs("a") {
		batches[[2]byte(s.InputID[:2])]++
	}
	for batch, n := range batches {
		assert.Equal(tr, 3, n, "batch %v is there in part", batch)
	}
	assert.Len(tr, batches, acknowledged, "as many batches as were acknowledged")
	assert.EqualValues(tr, acknowledged, tr.commit("a", committing(store.RunID{1})).Sequence, "as many sequences as were acknowledged")
}
