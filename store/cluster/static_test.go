package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// joinAssigned joins without a directory.
func (c *crew) joinAssigned(name string, assign func(int) cluster.Member) *hand {
	c.Helper()
	return c.joinWith(name, func(o *cluster.Options) { o.Directory, o.Assign = nil, assign })
}

func TestStaticAssignment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 5)
		assign := func(p int) cluster.Member {
			if p == 4 {
				return cluster.Member{}
			}
			name := string(rune('a' + p%2))
			return cluster.Member{Name: name, Address: name + ":9"}
		}
		a, b := c.joinAssigned("a", assign), c.joinAssigned("b", assign)
		r := a.Router(c.remote)
		for p := range 4 {
			require.NoError(t, set(t.Context(), r, c.in(p)), "also right after Join")
		}
		assert.Equal(t, []int{0, 2}, a.open())
		assert.Equal(t, []int{1, 3}, b.open())
		assert.Zero(t, notHolder(t, set(t.Context(), r, c.in(4))).Holder)
		assert.Equal(t, cluster.Member{Name: "b", Address: "b:9"}, notHolder(t, set(t.Context(), a.Router(nil), c.in(1))).Holder)
		time.Sleep(4 * time.Hour)
		assert.False(t, a.Status().Lapsed, "there is no lease")
		assert.Zero(t, a.Status().Members[0].Beat)
		assert.Equal(t, time.Now().Add(-4*time.Hour), a.Status().Partitions[1].Since)
		require.NoError(t, set(t.Context(), r, c.in(0)))
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
	})
}

// Two members that both think they have a partition take it from each other ever
// more seldom, and lose nothing that they have acknowledged.
func TestContradictingAssignments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		mine := func(name string) func(int) cluster.Member {
			return func(int) cluster.Member { return cluster.Member{Name: name} }
		}
		a, b := c.joinAssigned("a", mine("a")), c.joinAssigned("b", mine("b"))
		acknowledged := 0
		for range 4 * 3600 {
			for _, h := range []*hand{a, b} {
				if err := set(t.Context(), h.Router(nil), "r"); err == nil {
					acknowledged++
				} else {
					require.True(t, errors.Is(err, cluster.ErrNotHolder), err)
				}
			}
			time.Sleep(time.Second)
		}
		assert.Greater(t, acknowledged, 3600)
		counts := faulty.Counts()
		assert.Less(t, counts.Opens, 2*(4*3600/160+10))
		assert.Greater(t, counts.Opens, 4*3600/160, "neither gives up")
	})
}

func TestStaticHolderOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 2)
		faulty.NextOpen(journaltest.OpenFault{}, journaltest.FailOpen(journal.ErrInUse), journaltest.FailOpen(journal.ErrInUse), journaltest.FailOpen(journal.ErrInUse))
		a := c.joinAssigned("a", func(int) cluster.Member { return cluster.Member{Name: "a"} })
		time.Sleep(time.Second)
		assert.Empty(t, a.open())
		time.Sleep(lease)
		assert.Len(t, a.open(), 2)
	})
}
