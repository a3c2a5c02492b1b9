package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// Close at any moment: while partitions are opened, claimed, taken over and
// called, and while the directory is called or does not answer.
func TestCloseAtAnyMoment(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			c := newCrew(t, 8)
			faulty := journaltest.NewFaulty(c.memory)
			faulty.Script(func(n int, _ journal.Batch) journaltest.Fault {
				return journaltest.Late(time.Duration(n%50) * time.Millisecond)
			})
			c.engine = faulty
			c.join("a", "b", "c")
			for range r.IntN(8) {
				faulty.NextOpen(journaltest.OpenFault{Before: func(context.Context) { time.Sleep(time.Second) }})
			}
			var wg, calls sync.WaitGroup
			over := make(chan struct{})
			for name, h := range c.members {
				h.line.far.Store(seed%3 == 0)
				for i := range 4 {
					calls.Go(func() {
						for {
							err := set(t.Context(), h.Router(c.remote), store.RuntimeID(fmt.Sprint("r", i)))
							assert.True(t, err == nil || errors.Is(err, cluster.ErrNotHolder), "%v", err)
							select {
							case <-over:
								return
							case <-time.After(100 * time.Millisecond):
							}
						}
					})
				}
				delay := time.Duration(r.Int64N(int64(3 * lease)))
				if name == "b" {
					wg.Go(func() { time.Sleep(delay / 2); h.line.hang.Store(seed%2 == 0) })
				}
				for range 2 {
					wg.Go(func() {
						time.Sleep(delay)
						err := h.Close()
						assert.True(t, err == nil || seed%2 == 0 && name == "b", "%v", err)
						_, ok := h.Local(0)
						assert.False(t, ok)
						_ = notHolder(t, set(t.Context(), h.Router(nil), "r"))
					})
				}
			}
			wg.Wait()
			close(over)
			calls.Wait()
			assert.Zero(t, faulty.Counts().Open, "journals that are left open")
		})
	}
}

func TestCloseSaysWhatWentWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 1)
		c.join("a")
		time.Sleep(lease)
		faulty.NextClose(journaltest.ErrUnknown)
		require.ErrorIs(t, c.members["a"].Close(), journaltest.ErrUnknown)
		assert.Empty(t, c.directory.standing().Members, "it has left nevertheless")
	})
}

// Leaving meets the beats of the others, and gets through.
func TestLeavingMeetsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 8)
		for i := range 8 {
			c.join(fmt.Sprint(i))
		}
		time.Sleep(5 * lease)
		var wg sync.WaitGroup
		for _, h := range c.members {
			h.line.far.Store(true)
			wg.Go(func() { assert.NoError(t, h.Close()) })
		}
		wg.Wait()
		assert.Empty(t, c.directory.standing().Members)
	})
}

// A directory that never takes what it is given keeps nobody from leaving.
func TestLeavingGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		c.join("a")
		c.members["a"].line.late.Store(true)
		began := time.Now()
		require.ErrorIs(t, c.members["a"].Close(), context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 2*lease)
	})
}
