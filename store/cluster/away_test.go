package cluster_test

import (
	"context"
	"fmt"
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
			synctest.Test(t, func(t *testing.T) {
				c := newCrew(t, 4)
				c.join("a", "b")
				for _, h := range c.members {
					h.line.far.Store(true)
				}
				time.Sleep(5*lease + phase)
				moves := c.directory.moved()
				for _, h := range c.members {
					h.line.down.Store(!hangs)
					h.line.hang.Store(hangs)
				}
				back := time.AfterFunc(lease, func() {
					for _, h := range c.members {
						h.line.down.Store(false)
						h.line.hang.Store(false)
					}
				})
				defer back.Stop()
				for began := time.Now(); time.Since(began) < 3*lease; time.Sleep(lease / 150) {
					for _, h := range c.members {
						for _, p := range h.open() {
							at := fmt.Sprintf("hangs: %t, phase %v, after %v", hangs, phase, time.Since(began))
							require.NoError(t, set(t.Context(), h.Router(nil), c.in(p)), at)
							_, found, err := h.Router(nil).LoadRuntimeState(t.Context(), c.in(p))
							require.NoError(t, err, at)
							require.True(t, found)
						}
					}
					c.balanced()
				}
				assert.Equal(t, moves, c.directory.moved())
			})
		}
	}
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
			c.directory.Directory = &distant{c.directory.Directory}
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

// A directory whose calls take as long as they may keeps nobody from beating.
func TestSlowDirectoryIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.directory.Directory = &sluggish{c.directory.Directory}
		c.join("a", "b")
		for range 20 {
			time.Sleep(lease / 2)
			for _, h := range c.members {
				assert.False(t, h.Status().Lapsed)
			}
		}
	})
}

// A distant directory answers after 3 ms.
type distant struct{ cluster.Directory }

func (d *distant) Read(ctx context.Context) ([]byte, uint64, error) {
	time.Sleep(3 * time.Millisecond)
	return d.Directory.Read(ctx)
}

func (d *distant) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	time.Sleep(3 * time.Millisecond)
	return d.Directory.Write(ctx, document, revision)
}

// A sluggish directory answers only just in time.
type sluggish struct{ cluster.Directory }

func (s *sluggish) Read(ctx context.Context) ([]byte, uint64, error) {
	time.Sleep(lease/6 - time.Second/10)
	return s.Directory.Read(ctx)
}
