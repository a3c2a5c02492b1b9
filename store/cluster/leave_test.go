package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// From the moment at which a member begins to leave, its calls are answered, or told
// who holds the partition next: who does indeed, from its next beat on.
func TestLeavingNamesTheNextHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 9)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		a := c.members["a"]
		mine, moves := a.open(), c.directory.moved()
		release, answered, left := make(chan struct{}), make(chan error, 1), make(chan error, 1)
		faulty.Next(journaltest.Held(release))
		go func() { answered <- set(t.Context(), a.Router(nil), c.in(mine[0])) }()
		synctest.Wait()
		go func() { left <- a.Close() }()
		synctest.Wait()

		next := map[int]string{}
		for _, p := range mine[1:] {
			e := notHolder(t, set(t.Context(), a.Router(nil), c.in(p)))
			assert.Equal(t, p, e.Partition)
			next[p] = e.Holder.Name
			assert.Contains(t, []string{"b", "c"}, next[p])
			assert.Equal(t, cluster.Closing, a.Status().Partitions[mine[0]].State)
		}
		time.Sleep(3 * lease)
		assert.Equal(t, moves, c.directory.moved(), "it is not taken for dead while a call is being answered")
		close(release)
		require.NoError(t, <-answered)
		require.NoError(t, <-left)
		next[mine[0]] = notHolder(t, set(t.Context(), a.Router(nil), c.in(mine[0]))).Holder.Name

		delete(c.members, "a")
		time.Sleep(lease / 6)
		c.balanced()
		assert.Equal(t, moves+len(mine), c.directory.moved(), "each moves once")
		r := a.Router(c.remote)
		for _, p := range mine {
			assert.Equal(t, next[p], c.holder(p))
			assert.Equal(t, next[p], notHolder(t, set(t.Context(), a.Router(nil), c.in(p))).Holder.Name)
			assert.Equal(t, next[p], a.Status().Partitions[p].Holder.Name)
			require.NoError(t, set(t.Context(), r, c.in(p)), "a router with a Remote goes on")
			_, ok := a.Local(p)
			assert.False(t, ok)
		}
		_, err := r.Commit(t.Context(), batch.Batch{Then: []batch.Write{state(c.in(0)), state(c.in(1))}})
		require.ErrorIs(t, err, cluster.ErrSpansPartitions)
	})
}

// Claims are left only to those who are seen to live.
func TestNothingIsLeftToTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 9)
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		mine := c.members["a"].open()
		c.members["b"].line.cut()
		time.Sleep(lease * 2 / 3)
		require.NoError(t, c.members["a"].Close())
		time.Sleep(lease / 6)
		for _, p := range mine {
			assert.Equal(t, "c", c.holder(p))
		}
		e := notHolder(t, set(t.Context(), c.members["a"].Router(nil), c.in(mine[0])))
		assert.Equal(t, "c", e.Holder.Name)
	})
}

// Who cannot tell the others that it leaves names no next holder.
func TestLeavingThatNobodyHearsOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a", "b")
		time.Sleep(5 * lease)
		a := c.members["a"]
		p := a.open()[0]
		a.line.cut()
		require.ErrorIs(t, a.Close(), errCut)
		assert.Zero(t, notHolder(t, set(t.Context(), a.Router(nil), c.in(p))).Holder)
	})
}

// Who is the last one, or leaves without a directory, knows of nobody.
func TestLeavingWithoutHeirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.join("a")
		a := c.members["a"]
		b := c.joinWith("b", func(o *cluster.Options) {
			o.Cluster, o.Directory, o.Assign = "other", nil, func(int) cluster.Member { return o.Self }
		})
		time.Sleep(lease)
		for _, h := range []*hand{a, b} {
			require.NoError(t, h.Close())
			e := notHolder(t, set(t.Context(), h.Router(c.remote), c.in(1)))
			assert.Zero(t, e.Holder)
			require.NoError(t, e.Err)
		}
	})
}

// Members are started again one after another, under load. A caller that goes where an
// ErrNotHolder sends it, or waits for a moment, gets every call done.
func TestRollingRestartRefusesNothingForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 12)
		c.join("a", "b", "c")
		time.Sleep(10 * lease)
		names := []string{"a", "b", "c"}
		var done atomic.Bool
		results := make(chan [2]time.Duration, 1)
		routers := map[string]*atomic.Pointer[cluster.Router]{}
		for _, name := range names {
			routers[name] = new(atomic.Pointer[cluster.Router])
			routers[name].Store(c.members[name].Router(nil))
		}
		go func() {
			var longest, calls time.Duration
			for i := 0; !done.Load(); i++ {
				at, began, id := names[i%3], time.Now(), c.in(i%12)
				for {
					err := set(t.Context(), routers[at].Load(), id)
					if err == nil {
						break
					}
					e, ok := errors.AsType[*cluster.NotHolderError](err)
					if !assert.True(t, ok, "%v", err) {
						break
					}
					at = names[(slices.Index(names, at)+1)%3]
					if e.Holder.Name != "" {
						at = e.Holder.Name
					}
					time.Sleep(lease / 150)
				}
				longest, calls = max(longest, time.Since(began)), calls+1
				time.Sleep(lease / 150)
			}
			results <- [2]time.Duration{longest, calls}
		}()
		for _, name := range names {
			h := c.members[name]
			require.NoError(t, h.Close())
			opts, _ := c.options(name)
			n, err := cluster.Join(context.WithoutCancel(t.Context()), opts)
			require.NoError(t, err)
			c.members[name] = &hand{n, h.line}
			routers[name].Store(n.Router(nil))
			time.Sleep(5 * lease)
		}
		done.Store(true)
		result := <-results
		assert.Less(t, result[0], lease/3, "of %d calls", result[1])
		c.balanced()
	})
}
