package cluster_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// balanced fails unless all partitions are served, each by one member, and no
// member has two more than another.
func (c *crew) balanced() {
	c.Helper()
	counts, total := c.counts(), 0
	for _, n := range counts {
		total += n
	}
	require.Equal(c, c.partitions, total, "partitions that are served: %v", counts)
	all := slices.Collect(maps.Values(counts))
	require.LessOrEqual(c, slices.Max(all)-slices.Min(all), 1, "%v", counts)
}

func TestMembersShareInBalance(t *testing.T) {
	for _, partitions := range []int{1, 8, 256} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, partitions)
			c.join("a", "b", "c")
			time.Sleep(20 * lease)
			c.balanced()
			moves := c.directory.moved()
			time.Sleep(hours(partitions))
			c.balanced()
			assert.Equal(t, moves, c.directory.moved(), "nothing moves between members that live")
		})
	}
}

func TestJoiningTakesOverAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 64)
		c.join("a")
		time.Sleep(lease)
		c.balanced()
		c.join("b")
		for c.counts()["b"] < 32 {
			unserved := 64 - c.counts()["a"] - c.counts()["b"]
			require.LessOrEqual(t, unserved, 8)
			time.Sleep(time.Second / 20)
		}
		time.Sleep(lease)
		c.balanced()
		assert.Equal(t, 2*32, c.directory.moved(), "each of 32 was given up and claimed, and no other")
		c.join("c", "d")
		time.Sleep(10 * lease)
		c.balanced()
	})
}

// A claim is given up when its loop is closed, and not before: the calls that it
// has taken are answered first.
func TestClaimsOutliveTheirLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		c.join("a")
		time.Sleep(lease)
		release, outcome := make(chan struct{}), make(chan error)
		faulty.Next(journaltest.Held(release))
		go func() { outcome <- set(t.Context(), c.members["a"].Router(nil), c.in(1)) }()
		synctest.Wait()
		c.join("b")
		time.Sleep(10 * lease)
		assert.Equal(t, cluster.Closing, c.members["a"].Status().Partitions[1].State)
		assert.Equal(t, []int{0, 0}, c.directory.standing().Holders)
		close(release)
		require.NoError(t, <-outcome)
		time.Sleep(lease)
		assert.Equal(t, []int{0, 1}, c.directory.standing().Holders)
		c.balanced()
	})
}

func TestLeavingHandsOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 9)
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		require.NoError(t, c.members["b"].Close())
		assert.Empty(t, c.members["b"].open())
		delete(c.members, "b")
		time.Sleep(lease/3 + time.Second) // a beat, not a lease
		c.balanced()
	})
}

func TestTheLastOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a")
		require.NoError(t, c.members["a"].Close())
		assert.Empty(t, c.directory.standing().Members)
		assert.Equal(t, []int{-1, -1, -1, -1}, c.directory.standing().Holders)
	})
}

// hours is a time in which nothing should happen; it is shorter where a beat
// takes long to simulate.
func hours(partitions int) time.Duration { return 2 * time.Hour / time.Duration(1+partitions/16) }
