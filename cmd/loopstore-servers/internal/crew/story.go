package crew

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// calm is the quiet time before each failure.
const calm = 2 * time.Second

// Store implements [demo.Stage]: a patient store, near to one of the members.
func (c *Crew) Store(caller int) store.RuntimeStore {
	return witness{newPatient(func() store.RuntimeStore { return c.near(caller) }, &c.runs, &c.calls), &c.seen}
}

// Play implements [demo.Stage]. It kills and replaces a member, and then stops a server
// that leads the log of a partition that was taken over.
func (c *Crew) Play(ctx context.Context, say func(line string)) error {
	s := &story{Crew: c, victim: len(c.seats) - 1, say: say, began: time.Now()}
	s.note("at first")
	if !wait(ctx, calm) {
		return nil
	}
	lost := s.kill()
	if !c.await(ctx, func() bool { return c.seen.after() > 0 }) {
		return nil
	}
	s.event("first commit in one of these partitions, %s after the kill", term.Brief(c.seen.after()))
	if !c.await(ctx, c.allOpen) {
		return nil
	}
	s.note("taken over")
	if err := c.join(ctx, s.victim); err != nil {
		return unlessEnded(ctx, err)
	}
	if !c.await(ctx, c.balanced) {
		return nil
	}
	s.note("replaced")
	s.event("another member took the place of %s", c.told.Killed)
	if !wait(ctx, calm) {
		return nil
	}
	name, err := c.stopLeader(ctx, lost)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	c.told.LeaderStopped = name
	s.event("stopped server %s, which led the log of partition %d", name, lost)
	return nil
}

// Played implements [demo.Stage]. Without a take-over there was nothing to see.
func (c *Crew) Played() (demo.Act, error) {
	r := &c.told
	r.Members, r.Servers, r.Partitions = len(c.seats), Servers, partitions
	r.FirstCommit, r.Again = c.seen.after(), c.calls.again.Load()
	r.Unknown = UnknownReport{c.calls.unknown.Load(), c.calls.stored.Load(), c.calls.absent.Load(), c.calls.repeated.Load()}
	if r.FirstCommit == 0 {
		return r, errNoTakeover
	}
	return r, nil
}

// A story is what happens to a crew during the workload.
type story struct {
	*Crew
	victim int // the seat of the member that is killed
	say    func(line string)
	began  time.Time
}

// kill kills a member, and returns one of the partitions that it served.
func (s *story) kill() (lost int) {
	claimed := map[int]bool{}
	for p, status := range s.living(s.victim).node.Status().Partitions {
		if status.State == cluster.Open {
			claimed[p], lost = true, p
		}
	}
	m := s.Crew.kill(s.victim)
	s.seen.lose(claimed)
	s.told.Killed = m.Name
	s.note(m.Name + " is killed")
	s.event("member %s is killed: it served %s", m.Name, term.Counted(int64(len(claimed)), "partition"))
	return lost
}

// unlessEnded returns err, or nil if it came from the end of ctx.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *story) note(moment string) {
	s.told.Standings = append(s.told.Standings, Standing{moment, time.Since(s.began), s.stands()})
}

func (s *story) event(format string, args ...any) { s.say(fmt.Sprintf(format, args...)) }

// A takeover knows which partitions were lost with a member, and when a boundary was
// first committed in one of them again.
type takeover struct {
	lost  atomic.Pointer[loss]
	first atomic.Int64 // nanoseconds from the loss to that commit; 0 if there was none
}

type loss struct {
	at         time.Time
	partitions map[int]bool
}

func (t *takeover) lose(partitions map[int]bool) { t.lost.Store(&loss{time.Now(), partitions}) }

// after returns the time from the loss to the first commit, 0 if there was none.
func (t *takeover) after() time.Duration { return time.Duration(t.first.Load()) }

// A witness is a store that sees a take-over. Only a commit that began after the loss
// counts: one that was under way may have been the lost member's.
type witness struct {
	store.RuntimeStore
	seen *takeover
}

func (w witness) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	lost := w.seen.lost.Load()
	receipt, err := w.RuntimeStore.CommitSessionBoundary(ctx, id, commit)
	if err == nil && lost != nil && lost.partitions[cluster.PartitionOf(id, partitions)] {
		w.seen.first.CompareAndSwap(0, int64(time.Since(lost.at)))
	}
	return receipt, err
}
