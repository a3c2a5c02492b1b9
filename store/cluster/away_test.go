package cluster_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

// A directory that is away for a lease costs nothing: whenever that begins between two
// beats, whether its calls fail or hang, no write and no load is refused, then or
// afterwards.
func TestDirectoryAwayForALeaseCostsNothing(t *testing.T) {
	step := lease / 120
	if testing.Short() {
		step = lease / 24
	}
	for _, hangs := range []bool{false, true} {
		for phase := time.Duration(0); phase < lease/5; phase += step {
			synctest.Test(t, func(t *testing.T) { away(t, hangs, phase, lease) })
		}
	}
}

// away has two members work while the directory is away, and until it is back for long.
func away(t *testing.T, hangs bool, phase, long time.Duration) {
	c := newCrew(t, 4)
	c.directory.Directory = &distant{c.directory.Directory, lease / 60}
	c.join("a", "b")
	time.Sleep(5*lease + phase)
	moves := c.directory.moved()
	for _, h := range c.members {
		h.line.down.Store(!hangs)
		h.line.hang.Store(hangs)
	}
	back := time.AfterFunc(long, func() {
		for _, h := range c.members {
			h.line.down.Store(false)
			h.line.hang.Store(false)
		}
	})
	defer back.Stop()
	for began := time.Now(); time.Since(began) < 2*lease; {
		c.balanced()
		for _, h := range c.members {
			p := h.open()[0]
			at := fmt.Sprintf("hangs: %t, away from %v for %v, after %v", hangs, phase, long, time.Since(began))
			require.NoError(t, set(t.Context(), h.Router(nil), c.in(p)), at)
			_, found, err := h.Router(nil).LoadRuntimeState(t.Context(), c.in(p))
			require.NoError(t, err, at)
			require.True(t, found)
		}
		if now := time.Since(began); now > lease*4/5 && now < lease*4/3 {
			time.Sleep(lease / 150) // from when it might stop until it has beaten
		} else {
			time.Sleep(lease / 10)
		}
	}
	assert.Equal(t, moves, c.directory.moved())
}

// Many members, who all find at the same moment that the directory is back, get
// through one after another before they have to stop.
func TestManyMembersBeatWhenTheDirectoryIsBack(t *testing.T) {
	members, phases := 50, 3
	if testing.Short() {
		members, phases = 20, 1
	}
	for phase := range phases {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, members)
			c.directory.Directory = &distant{c.directory.Directory, 3 * time.Millisecond}
			for i := range members {
				c.join(fmt.Sprint(i))
			}
			time.Sleep(5*lease + time.Duration(phase)*lease/20)
			for _, h := range c.members {
				h.line.hang.Store(true)
			}
			time.Sleep(lease)
			for _, h := range c.members {
				h.line.mend()
			}
			for began := time.Now(); time.Since(began) < lease; time.Sleep(lease / 300) {
				for name, h := range c.members {
					require.False(t, h.Status().Lapsed, "%s, %v after the directory is back", name, time.Since(began))
				}
			}
		})
	}
}

// A directory that is away for longer costs the time until it is back, and little more.
func TestDirectoryAwayForLongerIsNoticedWhenItIsBack(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, 1)
			c.join("a")
			a := c.members["a"]
			time.Sleep(5 * lease)
			a.line.down.Store(!hangs)
			a.line.hang.Store(hangs)
			time.Sleep(lease * 3 / 2)
			e := notHolder(t, set(t.Context(), a.Router(nil), "r"))
			assert.Zero(t, e.Holder)
			assert.ErrorContains(t, e, "nobody is known to serve it: this member has not reached the directory for too long: ")
			assert.NotErrorIs(t, e, context.DeadlineExceeded, "which is none of the caller's")
			require.Error(t, a.Status().Directory)
			a.line.mend()
			time.Sleep(lease / 16)
			require.NoError(t, set(t.Context(), a.Router(nil), "r"))
			require.NoError(t, a.Status().Directory)
		})
	}
}

// A directory whose calls take as long as they may keeps nobody from beating, and is not
// asked more often for it.
func TestSlowDirectoryIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		slow := &sluggish{Directory: c.directory.Directory}
		c.directory.Directory = slow
		c.join("a", "b")
		for range 20 {
			time.Sleep(lease / 2)
			for _, h := range c.members {
				assert.False(t, h.Status().Lapsed)
			}
		}
		assert.Less(t, slow.reads.Load(), int64(2*10*6))
	})
}

// A directory that does not heed contexts is not called ever more often at once.
func TestStubbornDirectoryIsCalledByAFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		stubborn := &stubborn{Directory: c.directory.Directory, release: make(chan struct{})}
		c.directory.Directory = stubborn
		c.join("a")
		time.Sleep(lease)
		stubborn.holds.Store(true)
		time.Sleep(5 * lease)
		assert.EqualValues(t, 3, stubborn.calls.Load())
		stubborn.holds.Store(false)
		close(stubborn.release)
		time.Sleep(lease / 6)
		require.NoError(t, set(t.Context(), c.members["a"].Router(nil), "r"))
	})
}

// A stubborn directory holds reads, whatever their contexts say.
type stubborn struct {
	cluster.Directory
	holds   atomic.Bool
	calls   atomic.Int64 // that are held
	release chan struct{}
}

func (s *stubborn) Read(ctx context.Context) ([]byte, uint64, error) {
	if s.holds.Load() {
		s.calls.Add(1)
		<-s.release
	}
	return s.Directory.Read(ctx)
}

// A distant directory takes its time for an answer.
type distant struct {
	cluster.Directory
	takes time.Duration
}

func (d *distant) Read(ctx context.Context) ([]byte, uint64, error) {
	time.Sleep(d.takes)
	return d.Directory.Read(ctx)
}

func (d *distant) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	time.Sleep(d.takes)
	return d.Directory.Write(ctx, document, revision)
}

// A sluggish directory answers only just in time.
type sluggish struct {
	cluster.Directory
	reads atomic.Int64
}

func (s *sluggish) Read(ctx context.Context) ([]byte, uint64, error) {
	s.reads.Add(1)
	time.Sleep(lease/6 - time.Second/10)
	return s.Directory.Read(ctx)
}
