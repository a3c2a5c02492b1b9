package loopstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/store"
)

// What breaks the hand-off, and the test that sees it. Each line was tried: the
// change was made in a copy, and the test failed there.
//
//	change of the code                            caught by
//	no compare-and-swap at the owner              TestDefinite, TestNeverBlocked
//	no compare-and-swap at the caller             TestDefinite, TestClosing
//	ctx is preferred to the answer                TestDefinite/cancelled_while_it_runs
//	the answer's channel has no room              TestAnswerHasRoom
//	recycled by the caller that abandons it       TestRecycling, TestDefinite
//	recycled by the owner before its answer       TestRecycling, by a crash or a hang
//	recycled with the caller's data in it         TestRecycledRequestIsEmpty
//	a pool of the package's, not of the Loop's    TestQuiet, by a fatal error
//	no look at ctx before the call                TestDefinite/cancelled_before_the_call
//	no look at ctx while the inbox is full        TestBounded
//	no look at the end while the inbox is full    TestClosing/while_calls_are_being_prepared
//	no look at the phase after sending            TestClosing/while_calls_are_being_prepared
//	no look at the phase before the call          TestClosing/what_was_sent_before
//	the phase is not set at the end               TestClosing/while_calls_are_being_prepared
//	a second Close sets the phase back            TestClosing, under -race
//	Close does not wait                           TestClosing/what_was_sent_before
//	what is left in the inbox is not refused      TestFailsClosed
//	a panic is not told to its caller             TestFailsClosed
//	a panic is not told to the others             TestFailsClosed
//	a panic is survived                           TestClosing, by a hang
//	the inbox has no bound                        TestBounded
//	the owner polls, or leaves a goroutine        TestClosing, by goleak

// A jumpyContext lets others run at the moments at which a call looks at it:
// before it is sent, before it waits, and between its end and its claim.
type jumpyContext struct {
	context.Context
	r *rand.Rand
}

func (c jumpyContext) Done() <-chan struct{} { c.jump(); return c.Context.Done() }
func (c jumpyContext) Err() error            { c.jump(); return c.Context.Err() }
func (c jumpyContext) jump()                 { yield(c.r.IntN(3), func() {}) }

// TestPerturbedSchedules lets callers and owner run against each other in
// schedules that seldom come by themselves, on one, two and eight processors,
// and compares what was acknowledged with what is stored at the end.
func TestPerturbedSchedules(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		for _, inbox := range []int{1, 8} {
			t.Run(fmt.Sprintf("procs=%d/inbox=%d", procs, inbox), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				for seed := range uint64(5) {
					perturb(t, inbox, seed)
				}
			})
		}
	}
}

func perturb(t *testing.T, inbox int, seed uint64) {
	const callers, calls = 16, 40
	l := New(Options{InboxSize: inbox})
	stored := make(chan map[store.RuntimeID]bool, callers)
	var g errgroup.Group
	for caller := range uint64(callers) {
		g.Go(func() error {
			r := rand.New(rand.NewPCG(seed, caller))
			mine := map[store.RuntimeID]bool{}
			for i := range calls {
				id := store.RuntimeID(fmt.Sprint(caller, "-", i))
				ctx, cancel := context.WithCancel(t.Context())
				if i%8 > 0 { // the others are patient, so that some are acknowledged
					go yield(r.IntN(20), cancel)
				}
				n := r.IntN(4)
				err := runTestOp(jumpyContext{ctx, r}, l, id, func() { yield(n, func() {}) })
				cancel()
				if err != nil && !errors.Is(err, context.Canceled) {
					return err
				}
				mine[id] = err == nil
			}
			stored <- mine
			return nil
		})
	}
	require.NoError(t, g.Wait())
	acknowledged := 0
	for range callers {
		for id, applied := range <-stored {
			require.Equal(t, applied, has(t, l, id), "%s, seed %d", id, seed)
			if applied {
				acknowledged++
			}
		}
	}
	require.NotZero(t, acknowledged)
	require.NoError(t, l.Close())
}
