package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
)

// notHolder returns the *NotHolderError that a call must have failed with.
func notHolder(t testing.TB, err error) *cluster.NotHolderError {
	t.Helper()
	require.ErrorIs(t, err, cluster.ErrNotHolder)
	e, ok := errors.AsType[*cluster.NotHolderError](err)
	require.True(t, ok)
	assert.NotErrorIs(t, err, store.ErrClosed)
	assert.NotErrorIs(t, err, store.ErrOutcomeUnknown)
	return e
}

// A member that is cut off, and goes on, is the worst kind of dead.
func TestSilentMemberIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 8)
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		c.balanced()
		a := c.members["a"]
		lost := a.open()
		loops := map[int]*loopstore.Loop{}
		for _, p := range lost {
			loops[p], _ = a.Local(p)
			require.NoError(t, set(t.Context(), a.Router(nil), c.in(p)))
		}
		moves := c.directory.moved()

		a.line.cut()
		time.Sleep(lease * 13 / 10)
		assert.Equal(t, moves, c.directory.moved(), "a lease and a half is not over")
		time.Sleep(lease / 2)
		assert.True(t, a.Status().Lapsed)
		require.ErrorIs(t, a.Status().Directory, errCut)
		for _, p := range lost {
			assert.NotEqual(t, "a", c.holder(p), "it is served by another now")
			_, found, err := c.members["b"].Router(c.remote).LoadRuntimeState(t.Context(), c.in(p))
			require.NoError(t, err)
			assert.True(t, found, "with what was acknowledged")

			_, _, err = a.Router(nil).LoadRuntimeState(t.Context(), c.in(p))
			assert.Zero(t, notHolder(t, err).Holder, "a knows of nobody")
			err = set(t.Context(), loops[p], c.in(p))
			require.True(t, errors.Is(err, journal.ErrFenced) || errors.Is(err, store.ErrClosed), "its loop can write nothing: %v", err)
		}

		a.line.mend()
		time.Sleep(lease / 2)
		for _, p := range lost {
			if _, ok := a.Local(p); !ok {
				assert.Equal(t, c.holder(p), notHolder(t, set(t.Context(), a.Router(nil), c.in(p))).Holder.Name)
			}
		}
		time.Sleep(10 * lease)
		c.balanced()
		moves = c.directory.moved()
		time.Sleep(hours(8))
		assert.Equal(t, moves, c.directory.moved(), "there is no ping-pong")
	})
}

// The partitions of a dead member are served again after a lease and seven tenths at
// most, whenever it dies.
func TestDeathIsNoticedWhenItIsDue(t *testing.T) {
	for phase := time.Duration(0); phase < lease/5; phase += lease / 600 {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, 4)
			c.join("a", "b")
			time.Sleep(5*lease + phase)
			c.members["a"].line.cut()
			time.Sleep(lease * 17 / 10)
			assert.Len(t, c.members["b"].open(), 4, "phase %v", phase)
		})
	}
}

// A member that was away for less than a lease, or whom nobody has replaced, goes
// on with the loops that it had.
func TestShortSilenceChangesNothing(t *testing.T) {
	for name, away := range map[string]time.Duration{"a lease": lease, "alone, for longer": 100 * lease} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrew(t, 4)
				c.join("a")
				if away <= lease {
					c.join("b")
				}
				time.Sleep(5 * lease)
				a := c.members["a"]
				p := a.open()[0]
				loop, _ := a.Local(p)
				moves := c.directory.moved()
				a.line.cut()
				time.Sleep(away)
				_, ok := a.Local(p)
				assert.Equal(t, away <= lease, ok, "it serves until its term is over, and no longer")
				a.line.mend()
				time.Sleep(lease / 2)
				again, ok := a.Local(p)
				assert.True(t, ok)
				assert.Same(t, loop, again)
				assert.Equal(t, moves, c.directory.moved())
			})
		})
	}
}

// A load that was under way when the lease ended must not be answered.
func TestLoadIsAskedForItsLeaseAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		c.join("a")
		time.Sleep(lease)
		a := c.members["a"]
		require.NoError(t, set(t.Context(), a.Router(nil), c.in(0)))
		a.line.cut()
		ctx := &slow{Context: t.Context(), takes: 2 * lease}
		_, _, err := a.Router(nil).LoadRuntimeState(ctx, c.in(0))
		_ = notHolder(t, err)
	})
}

// The lease is from before the beat was sent: the others may have seen it then.
func TestLeaseBeginsBeforeTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		c.directory.Directory = &late{c.directory.Directory}
		c.join("a")
		a := c.members["a"]
		a.line.cut()
		time.Sleep(lease*4/3 - time.Second - time.Millisecond)
		assert.False(t, a.Status().Lapsed)
		time.Sleep(time.Millisecond)
		assert.True(t, a.Status().Lapsed)
	})
}

// A late directory says after a second what it has written.
type late struct{ cluster.Directory }

func (l *late) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	defer time.Sleep(time.Second)
	return l.Directory.Write(ctx, document, revision)
}

// When the directory is away everybody lapses, and nobody is taken for dead.
func TestDirectoryIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 8)
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		moves := c.directory.moved()
		for _, away := range []time.Duration{lease / 2, lease, lease * 3 / 2, 10 * lease} {
			for _, h := range c.members {
				h.line.cut()
			}
			time.Sleep(away)
			for _, h := range c.members {
				assert.Equal(t, away > lease, h.Status().Lapsed, "after %v", away)
				h.line.mend()
			}
			time.Sleep(3 * lease)
			c.balanced()
			assert.Equal(t, moves, c.directory.moved(), "after %v", away)
		}
	})
}

// A directory that answers nothing until it must, and one that does what it says
// that it has not done.
func TestDirectoryThatHangsOrLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 8)
		c.join("a", "b")
		time.Sleep(5 * lease)
		a := c.members["a"]
		a.line.hang.Store(true)
		time.Sleep(3 * lease)
		assert.Len(t, c.members["b"].open(), 8)
		a.line.mend()
		time.Sleep(5 * lease)
		c.balanced()

		moves := c.directory.moved()
		a.line.deaf.Store(true)
		time.Sleep(3 * lease)
		assert.True(t, a.Status().Lapsed, "it cannot know that it lives")
		assert.Equal(t, moves, c.directory.moved(), "but the others do")
		a.line.mend()
		time.Sleep(lease)
		c.balanced()
	})
}

// A process that has crashed and was started again is another member.
func TestRestartUnderTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a")
		time.Sleep(lease)
		crashed := c.members["a"]
		crashed.line.cut()
		c.join("a")
		assert.Empty(t, c.members["a"].open(), "it waits until the other is surely gone")
		time.Sleep(2 * lease)
		c.balanced()
		assert.ErrorIs(t, crashed.Close(), errCut)
	})
}

// One who leaves when it has been taken for dead already has nothing to give up.
func TestTheDeadLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a", "b")
		time.Sleep(5 * lease)
		a := c.members["a"]
		a.line.cut()
		time.Sleep(2 * lease)
		a.line.mend()
		writes := c.directory.written()
		require.NoError(t, a.Close())
		assert.Equal(t, writes, c.directory.written())
	})
}

// A member does not hold on to what the directory says is not its own, whoever
// has written that.
func TestClaimThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.join("a")
		time.Sleep(lease)
		a := c.members["a"]
		loop, _ := a.Local(1)
		text, revision, err := c.directory.Read(t.Context())
		require.NoError(t, err)
		ok, err := c.directory.Write(t.Context(), bytes.Replace(text, []byte(`"owners":[0,0]`), []byte(`"owners":[0,-1]`), 1), revision)
		require.NoError(t, err)
		require.True(t, ok)
		time.Sleep(lease)
		again, ok := a.Local(1)
		require.True(t, ok, "it has claimed it again")
		assert.NotSame(t, loop, again, "and opened it again: others may have had it")
		require.ErrorIs(t, set(t.Context(), loop, c.in(1)), store.ErrClosed)
	})
}
