package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// served makes a claim, which most likely waits when do is called, and returns its answer.
func (tr *trial) served(c store.Claim, do func() error) (claimed state.Claimed) {
	tr.Helper()
	ctx := tr.patient()
	require.NoError(tr, together(2, func(caller int) (err error) {
		if caller == 0 {
			claimed, err = tr.tryClaim(ctx, c)
			return err
		}
		for range 30 {
			runtime.Gosched()
		}
		return do()
	}))
	return claimed
}

func claimsWaitForInputs(tr *trial) {
	tr.queuing()
	for range repeats(8) {
		for _, w := range tr.inputWays() {
			for _, current := range []store.InputLifecycleState{store.InputQueued, store.InputApplied} {
				got := tr.served(claimOf(current), func() error { return w.do(tr.Context(), "a", inputAt(1, current)) })
				require.EqualValues(tr, "a", got.RuntimeID, w.name)
				tr.nothingWaits("after " + w.name)
				tr.write(deleting("a"))
			}
		}
	}
}

func claimsWaitForTurns(tr *trial) {
	tr.queuing()
	ends := map[string]func() error{
		"DeleteInputState": func() error { _, err := tr.tryBatch(batch.Batch{Then: []batch.Write{removing(1)}}); return err },
		"DeleteRuntime": func() error {
			_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting("a"), putting("a", inputAt(2, store.InputQueued))}})
			return err
		},
	}
	for _, w := range tr.inputWays() {
		ends[w.name] = func() error { return w.do(tr.Context(), "a", inputAt(1, store.InputConsumed)) }
	}
	for range repeats(8) {
		for what, end := range ends {
			tr.move("a", store.InputQueued, 1, 2)
			tr.claims("a", 1, anyClaim)
			got := tr.served(anyClaim, end)
			require.Equal(tr, store.InputID{2}, got.State.InputID, what)
			tr.nothingWaits("after " + what)
			tr.write(deleting("a"))
		}
	}
}

func claimsAreShared(tr *trial) {
	tr.queuing()
	const runtimes = 3
	n := repeats(200)
	ctx, cancel := context.WithCancel(tr.patient())
	defer cancel()
	var claimed atomic.Int64
	var turns [runtimes]atomic.Int32
	var seen sync.Map
	work := func(caller int) error {
		got, err := tr.tryClaim(ctx, anyClaim)
		if err != nil {
			return err
		}
		at, input := int(got.State.InputID[0]), got.State.InputID
		if other, again := seen.LoadOrStore(input, caller); again {
			return fmt.Errorf("input %v was claimed by callers %d and %d", input, other, caller)
		}
		if turns[at].Add(1) > 1 {
			return fmt.Errorf("runtime %q has two turns", got.RuntimeID)
		}
		runtime.Gosched()
		turns[at].Add(-1)
		done := got.State
		done.CurrentState = store.InputConsumed
		_, err = tr.store.(batch.Committer).Commit(tr.Context(), batch.Batch{
			If:   []batch.Condition{batch.InputVersionIs{RuntimeID: got.RuntimeID, InputID: input, Version: got.Version}},
			Then: []batch.Write{putting(got.RuntimeID, done)},
		})
		if err == nil && claimed.Add(1) == int64(runtimes*n) {
			cancel()
		}
		return err
	}
	require.NoError(tr, together(callers+1, func(caller int) (err error) {
		for i := range n {
			for at := range runtimes {
				if caller == callers { // who brings them
					s := store.NewInputState(store.InputID{byte(at), byte(i), byte(i >> 8)}, store.Time{})
					s.CurrentState = store.InputQueued
					err = tr.store.PersistInputState(tr.Context(), store.RuntimeID(fmt.Sprint(at)), s)
					runtime.Gosched()
				} else {
					err = work(caller)
				}
				switch {
				case errors.Is(err, context.Canceled): // by one who says why, or since all is done
					return nil
				case err != nil:
					cancel()
					return err
				}
			}
		}
		return nil
	}))
	require.EqualValues(tr, runtimes*n, claimed.Load(), "as many claims as inputs")
	tr.nothingWaits("in the end")
}

func claimsGivenUpTakeNothing(tr *trial) {
	tr.queuing()
	for range repeats(40) {
		ctx, cancel := context.WithCancel(tr.Context())
		require.NoError(tr, tr.waiters(ctx, func() error { cancel(); return nil }, context.Canceled))
		tr.move("a", store.InputQueued, 1)
		tr.move("b", store.InputQueued, 1)
		tr.claims("a", 1, anyClaim)
		tr.claims("b", 1, anyClaim)
		tr.write(deleting("a"), deleting("b"))
	}

	var claimed sync.Map // by callers who may give up at any moment, while inputs come
	n := repeats(80)
	require.NoError(tr, together(callers, func(caller int) error {
		if caller == 0 {
			for i := range n {
				if err := tr.store.PersistInputState(tr.Context(), store.RuntimeID(fmt.Sprint(i)), inputAt(1, store.InputQueued)); err != nil {
					return err
				}
				runtime.Gosched()
			}
			return nil
		}
		_, err := tr.atAnyMoment(caller, n, func(ctx context.Context, _ int) error {
			got, err := tr.tryClaim(ctx, anyClaim)
			if err == nil {
				if _, again := claimed.LoadOrStore(got.RuntimeID, true); again {
					return fmt.Errorf("the input of runtime %q was claimed twice", got.RuntimeID)
				}
			}
			return err
		})
		return err
	}))
	for i := range n {
		id := store.RuntimeID(fmt.Sprint(i))
		_, answered := claimed.Load(id)
		taken := tr.input(id, store.InputID{1}).CurrentState == store.InputStaged
		require.Equal(tr, answered, taken, "whether the input of runtime %q was claimed: what a caller was told, and what is stored", id)
		if !taken {
			tr.claims(id, 1, anyClaim)
		}
	}
}

// waiters has callers wait with claims until end makes them end, with want.
func (tr *trial) waiters(ctx context.Context, end func() error, want error) error {
	return together(callers, func(caller int) error {
		if caller == 0 {
			for range 30 { // others begin to wait
				runtime.Gosched()
			}
			return end()
		}
		_, err := tr.tryClaim(ctx, []store.Claim{anyClaim, claimOf(store.InputApplied)}[caller%2])
		return mistaken(err, want)
	})
}

func claimsEndAtClose(tr *trial) {
	for range repeats(20) {
		tr.queuing()
		require.NoError(tr, tr.waiters(tr.Context(), tr.closers[len(tr.closers)-1], store.ErrClosed))
		_, err := tr.tryClaim(tr.Context(), anyClaim)
		tr.refused("ClaimNext after Close", err, store.ErrClosed)
	}
}

func claimsLeaveNothing(tr *trial) {
	before := goleak.IgnoreCurrent()
	tr.queuing()
	for range 5 {
		ctx, cancel := context.WithCancel(tr.Context())
		defer cancel()
		require.NoError(tr, tr.waiters(ctx, func() error { cancel(); return nil }, context.Canceled))
		tr.move("a", store.InputQueued, 1)
		tr.claims("a", 1, anyClaim)
	}
	if has[io.Closer](tr) { // until then a store may keep goroutines of its own
		tr.close()
		if err := findLeaks(before); err != nil {
			tr.Errorf("the claims have ended, and left something behind: %v", err)
		}
	}
}
