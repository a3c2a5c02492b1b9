package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// aCrewThatFails is a crew with an engine that fails as it is told, when the
// number of partitions has been recorded.
func aCrewThatFails(t testing.TB, partitions int) (*crew, *journaltest.Faulty) {
	c := newCrew(t, partitions)
	faulty := journaltest.NewFaulty(c.memory)
	c.engine = faulty
	c.join("first")
	require.NoError(t, c.members["first"].Close())
	delete(c.members, "first")
	return c, faulty
}

// held is an Open that waits for release, or for its context if it heeds that.
func held(release <-chan struct{}, heeds bool) journaltest.OpenFault {
	return journaltest.OpenFault{Before: func(ctx context.Context) {
		done := ctx.Done()
		if !heeds {
			done = nil
		}
		select {
		case <-release:
		case <-done:
		}
	}}
}

func TestOpenThatFailsIsTriedAgainEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 1)
		failed := faulty.Counts().FailedOpens
		faulty.NextOpen(journaltest.OpenFault{}) // what Join looks at
		for range 300 {
			faulty.NextOpen(journaltest.FailOpen(journal.ErrCorrupt))
		}
		c.join("a")
		time.Sleep(time.Second)
		a := c.members["a"]
		e := notHolder(t, set(t.Context(), a.Router(nil), "r"))
		require.ErrorIs(t, e, journal.ErrCorrupt)
		assert.ErrorContains(t, e, "nobody is known to serve it: loopstore: opening partition")
		assert.Equal(t, cluster.Waiting, a.Status().Partitions[0].State)
		before := faulty.Counts().Opens
		time.Sleep(5 * lease)
		early := faulty.Counts().Opens - before
		assert.InDelta(t, 4, early, 1, "after 5, 10, 20 and 40 seconds")
		time.Sleep(4 * time.Hour)
		assert.InDelta(t, 4*3600/162, faulty.Counts().Opens-before-early, 5, "every 160 seconds")
		assert.False(t, a.Status().Lapsed)

		for faulty.Counts().FailedOpens < failed+300 {
			time.Sleep(time.Minute)
		}
		time.Sleep(5 * time.Minute)
		require.NoError(t, set(t.Context(), a.Router(nil), "r"))
	})
}

func TestOpenThatTakesLongHoldsUpNoBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 12)
		faulty.NextOpen(journaltest.OpenFault{})
		release := make(chan struct{})
		for range 12 {
			faulty.NextOpen(held(release, false))
		}
		opens := faulty.Counts().Opens
		c.joinWith("a", func(o *cluster.Options) { o.Opens = 3 })
		time.Sleep(20 * lease)
		a := c.members["a"]
		assert.False(t, a.Status().Lapsed)
		assert.Equal(t, 1+3, faulty.Counts().Opens-opens, "three at a time")
		assert.Equal(t, cluster.Opening, a.Status().Partitions[0].State)

		began := time.Now()
		e := notHolder(t, set(t.Context(), a.Router(nil), c.in(0)))
		assert.Zero(t, e.Holder)
		assert.Equal(t, lease, time.Since(began), "a call waits for a lease at most")
		require.ErrorContains(t, e, "still opening")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, set(ctx, a.Router(nil), c.in(0)), context.DeadlineExceeded)

		time.AfterFunc(time.Second, func() { close(release) })
		require.NoError(t, set(t.Context(), a.Router(nil), c.in(0)), "it waits until the partition is open")
		time.Sleep(time.Second)
		c.balanced()
	})
}

// What is not open yet is given up first, and without a wait.
func TestOpeningsAreGivenUpToWhoJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 8)
		faulty.NextOpen(journaltest.OpenFault{})
		release := make(chan struct{})
		defer close(release)
		for range 2 {
			faulty.NextOpen(journaltest.OpenFault{})
		}
		for range 8 {
			faulty.NextOpen(held(release, true))
		}
		faulty.NextOpen()
		c.joinWith("a", func(o *cluster.Options) { o.Opens = 1 })
		time.Sleep(lease)
		open := c.members["a"].open()
		require.Len(t, open, 2)
		c.engine = c.memory
		c.join("b")
		time.Sleep(3 * lease)
		assert.Len(t, c.members["b"].open(), 4)
		assert.Equal(t, open, c.members["a"].open())
	})
}

// A call that waits is not left to wait for what has been given up.
func TestCallsDoNotWaitForWhatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 1)
		faulty.NextOpen(journaltest.OpenFault{}, held(nil, true))
		c.join("a")
		errs := make(chan error)
		go func() { errs <- set(t.Context(), c.members["a"].Router(nil), "r") }()
		synctest.Wait()
		require.NoError(t, c.members["a"].Close())
		assert.Zero(t, notHolder(t, <-errs).Holder, "there is no other member")
	})
}

// A member that has lapsed lets nobody wait.
func TestCallsDoNotWaitForTheLapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 1)
		faulty.NextOpen(journaltest.OpenFault{}, held(nil, true))
		c.join("a")
		c.members["a"].line.cut()
		time.Sleep(2 * lease)
		require.Equal(t, cluster.Opening, c.members["a"].Status().Partitions[0].State)
		began := time.Now()
		_ = notHolder(t, set(t.Context(), c.members["a"].Router(nil), "r"))
		assert.Zero(t, time.Since(began))
	})
}

// An holder that was fenced opens again if the claim is still its own.
func TestFencedOwnerLooksBeforeItOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		c.join("a")
		time.Sleep(lease)
		other, err := loopstore.Open(t.Context(), c.engine, "c/0", loopstore.Options{})
		require.NoError(t, err)
		synctest.Wait()
		e := notHolder(t, set(t.Context(), c.members["a"].Router(nil), "r"))
		require.ErrorIs(t, e, journal.ErrFenced)
		time.Sleep(lease)
		require.NoError(t, set(t.Context(), c.members["a"].Router(nil), "r"))
		err = set(t.Context(), other, "r")
		require.ErrorIs(t, err, journal.ErrFenced)
		require.ErrorIs(t, other.Close(), journal.ErrFenced)
	})
}

// After it has been well for long it is opened again as quickly as the first time.
func TestDelaysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		c.join("a")
		a := c.members["a"]
		end := func() (took time.Duration) {
			faulty.Next(journaltest.Fence())
			_ = notHolder(t, set(t.Context(), a.Router(nil), "r"))
			began := time.Now()
			for errors.Is(set(t.Context(), a.Router(nil), "r"), cluster.ErrNotHolder) {
				time.Sleep(time.Second / 10)
			}
			return time.Since(began)
		}
		time.Sleep(time.Second)
		first := end()
		assert.Less(t, first, lease)
		for range 5 {
			end()
		}
		assert.Greater(t, end(), 5*lease)
		time.Sleep(10 * time.Minute)
		assert.Less(t, end(), lease)
	})
}
