package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A member is taken for dead; its first beat after that is stored, but it does not
// hear so; the one that has its partition leaves and gives it back. The loop that it
// still has is from before.
func TestALoopFromBeforeIsNotServedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.engine = journaltest.NewFaulty(c.memory) // notices no fence before an append
		c.join("a", "b")
		time.Sleep(5 * lease)
		a, b := c.members["a"], c.members["b"]
		p := a.open()[0]
		id := c.in(p)
		require.NoError(t, a.Router(nil).PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
		a.line.cut()
		time.Sleep(2 * lease)
		require.Len(t, b.open(), 2)
		require.NoError(t, b.Router(nil).PersistRuntimeState(t.Context(), id, store.RuntimeRunning))
		a.line.mend()
		a.line.deaf.Store(true) // as an abandoned or timed-out Write that lands
		for len(c.directory.standing().Members) < 2 {
			time.Sleep(lease / 100)
		}
		time.Sleep(lease / 5)
		require.NoError(t, b.Close())
		delete(c.members, "b")
		a.line.mend()
		time.Sleep(lease / 3)
		got, found, err := a.Router(nil).LoadRuntimeState(t.Context(), id)
		require.NoError(t, err)
		require.True(t, found)
		assert.Equal(t, store.RuntimeRunning, got, "an old state")
	})
}

// slowWriter heeds contexts; its writes take less than a sixth of a lease.
type slowWriter struct {
	cluster.Directory
	takes atomic.Int64 // a time.Duration
}

func slowly(d cluster.Directory, takes time.Duration) *slowWriter {
	w := &slowWriter{Directory: d}
	w.takes.Store(int64(takes))
	return w
}

func (d *slowWriter) Write(ctx context.Context, doc []byte, revision uint64) (bool, error) {
	select {
	case <-time.After(time.Duration(d.takes.Load())):
		return d.Directory.Write(ctx, doc, revision)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func TestSlowWritesAreWaitedForAfterAnAbsence(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, 1)
			w := slowly(c.directory.Directory, lease/24)
			c.directory.Directory = w
			c.join("a")
			a := c.members["a"]
			time.Sleep(5 * lease)
			require.False(t, a.Status().Lapsed)
			a.line.down.Store(!hangs)
			a.line.hang.Store(hangs)
			time.Sleep(lease)
			a.line.mend()
			began := time.Now()
			lapsedAt, back := time.Duration(0), time.Duration(0)
			for time.Since(began) < 200*lease {
				time.Sleep(lease / 100)
				if l := a.Status().Lapsed; l && lapsedAt == 0 {
					lapsedAt = time.Since(began)
				} else if !l && lapsedAt != 0 {
					back = time.Since(began)
					break
				}
			}
			t.Logf("hangs %t: directory back, lapsed after %v, serving again after %v (lease %v)", hangs, lapsedAt, back, lease)
			assert.Zero(t, lapsedAt)
			w.takes.Store(0) // or Close takes long
		})
	}
}

func TestCloseEndsWithSlowWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		w := slowly(c.directory.Directory, lease/24)
		c.directory.Directory = w
		c.join("a")
		a := c.members["a"]
		time.Sleep(5 * lease)
		a.line.cut()
		time.Sleep(lease)
		a.line.mend()
		time.Sleep(lease / 16)
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- a.Close() }()
		select {
		case err := <-done:
			t.Logf("Close returned %v after %v", err, time.Since(began))
			assert.Less(t, time.Since(began), 2*lease)
		case <-time.After(100 * lease):
			t.Errorf("Close has not returned after %v", time.Since(began))
			a.line.cut()
			assert.NoError(t, <-done)
		}
	})
}
