package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func cancellation() []promise {
	return []promise{
		{words: "a call whose context has ended fails with its error and changes nothing", try: endedContextChangesNothing},
		{words: "the context's error comes before any other", try: contextErrorComesFirst},
		{words: "cancelling after the answer takes nothing back", try: cancelAfterTheAnswer},
		{words: "what is acknowledged is applied, and nothing else", try: acknowledgedIsApplied},
		{words: "a batch is applied whole or not at all, whenever it is cancelled", try: batchesAreCancelledWhole},
	}
}

// An end is a context that has ended, and its error.
type end struct {
	ctx context.Context
	err error
}

func (tr *trial) ended() []end {
	cancelled, cancel := context.WithCancel(tr.Context())
	cancel()
	late, cancel := context.WithDeadline(tr.Context(), time.Unix(0, 0))
	tr.Cleanup(cancel)
	return []end{{cancelled, context.Canceled}, {late, context.DeadlineExceeded}}
}

func endedContextChangesNothing(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	for _, e := range tr.ended() {
		tr.allRefused(tr.allCalls("a", e.ctx), e.err, "under a context that has ended")
		assert.Equal(tr, before, tr.view("a"), e.err)
	}
	tr.allDone(tr.allWrites("a", tr.Context()), "under a context that goes on")
	assert.NotEqual(tr, before, tr.view("a"), "the same calls under a context that goes on")
}

func contextErrorComesFirst(tr *trial) {
	for _, e := range tr.ended() {
		tr.allRefused(tr.allBadWrites("a", e.ctx), e.err, "with arguments that are not valid")
	}
	if !has[io.Closer](tr) {
		return
	}
	tr.close()
	for _, e := range tr.ended() {
		tr.allRefused(tr.allCalls("a", e.ctx), e.err, "of a closed store")
	}
}

func cancelAfterTheAnswer(tr *trial) {
	ctx, cancel := context.WithCancel(tr.Context())
	tr.allDone(tr.allWrites("a", ctx), "")
	before := tr.view("a")
	cancel()
	assert.Equal(tr, before, tr.view("a"))
	assert.Len(tr, before.Inputs, 4)
}

// atAnyMoment calls do with contexts that are cancelled at any moment of the call,
// and returns how many calls failed. A call that fails must return the context's
// error.
func (tr *trial) atAnyMoment(caller, calls int, do func(ctx context.Context, call int) error) (failed int, err error) {
	random := rand.New(rand.NewPCG(uint64(caller), 1))
	for call := range calls {
		ctx, cancel := context.WithCancel(tr.Context())
		yields := random.IntN(1 << random.IntN(7)) // short delays as often as long ones
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
			err = mistaken(err, context.Canceled)
		case err != nil:
			err = fmt.Errorf("call %d: %w", call, err)
		}
		if err != nil {
			return failed, err
		}
	}
	return failed, nil
}

func acknowledgedIsApplied(tr *trial) {
	all := tr.writeAndCancel(true)
	time.Sleep(150 * time.Millisecond) // for writes that are applied after their error
	tr.allAreAt(all)
}

// writeAndCancel has several callers make every write in turn, and give up at any
// moment. Callers share no runtime: each makes every write twice to one, and then
// starts the next. It returns what was acknowledged. With look, it checks after
// each call that the parts are at the mark that was acknowledged last.
func (tr *trial) writeAndCancel(look bool) map[store.RuntimeID]marks {
	tr.Helper()
	var mu sync.Mutex
	all := map[store.RuntimeID]marks{}
	n := repeats(400)
	if !look {
		n *= 3
	}
	err := together(callers, func(caller int) error {
		var at marks
		_, err := tr.atAnyMoment(caller, n, func(ctx context.Context, call int) error {
			w, mark := writes()[call%len(writes())], uint32(call+1)
			id := store.RuntimeID(fmt.Sprint(caller, " ", call/(2*len(writes()))))
			mu.Lock()
			if all[id] == nil {
				at = marks{}
				all[id] = at
			}
			mu.Unlock()
			err := w.do(ctx, tr.store, id, mark)
			if err == nil {
				at.put(w, mark)
			}
			if look {
				if wrong := at.differ(tr.Context(), tr.store, id, w.parts); wrong != nil {
					return fmt.Errorf("after %s of mark %d with error %q: %w", w.name, mark, fmt.Sprint(err), wrong)
				}
			}
			return err
		})
		return err
	})
	require.NoError(tr, err)
	return all
}

// allAreAt checks every part of each runtime.
func (tr *trial) allAreAt(all map[store.RuntimeID]marks) {
	tr.Helper()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		require.NoError(tr, all[id].differ(tr.Context(), tr.store, id, partsOf(writes())))
	}
}

// Each commit has updates of new inputs. Its receipt and its inputs are there if it
// was acknowledged, and none of them otherwise.
func batchesAreCancelledWhole(tr *trial) {
	var mu sync.Mutex
	acknowledged, calls := 0, repeats(20)
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
		if n != 3 {
			tr.Errorf("of the 3 inputs of batch %v, %d are there", batch, n)
			break
		}
	}
	assert.Equal(tr, acknowledged, len(batches), "as many batches as were acknowledged")
	assert.EqualValues(tr, acknowledged, tr.commit("a", committing(store.RunID{1})).Sequence, "as many sequences as were acknowledged")
}
