package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// calm is the quiet time before each failure.
const calm = 2 * time.Second

// onCluster runs the workload, and lets a member and a server fail under it.
func (d *Demo) onCluster(ctx context.Context, progress io.Writer) *Report {
	runs, calls, seen := new(ledger), new(outcomes), new(takeover)
	patient := func(seat int) store.RuntimeStore {
		return newPatient(func() store.RuntimeStore { return d.crew.near(seat) }, runs, calls)
	}
	w := newWorkload(d.settings, func(i int) store.RuntimeStore { return witness{patient(i), seen} })
	w.tally.events = make(chan string, 16) // room for all of them, so that nothing waits for a reader
	members := d.settings.Members
	story := &story{crew: d.crew, seen: seen, events: w.tally.events, began: time.Now(), victim: members - 1,
		report: &clusterReport{Members: members, Servers: crewServers, Partitions: crewPartitions}}
	during, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- story.tell(during) }()
	elapsed, err := d.work(ctx, w, progress)
	end()
	err = errors.Join(err, <-ended)

	r := w.check(ctx, newChecker(patient(0)), elapsed, err)
	r.noteCluster(story.report, calls, seen)
	return r
}

// A story is what happens to a crew during the workload.
type story struct {
	crew   *crew
	victim int // the seat of the member that is killed
	seen   *takeover
	events chan<- string
	began  time.Time
	report *clusterReport
}

// tell kills and replaces a member, and then stops a server that leads the log of a
// partition that was taken over. It returns nil if ctx ends before.
func (s *story) tell(ctx context.Context) error {
	s.note("at first")
	if !wait(ctx, calm) {
		return nil
	}
	lost := s.kill()
	if !s.crew.await(ctx, func() bool { return s.seen.after() > 0 }) {
		return nil
	}
	s.event("first commit in one of these partitions, %s after the kill", term.Brief(s.seen.after()))
	if !s.crew.await(ctx, s.crew.allOpen) {
		return nil
	}
	s.note("taken over")
	if err := s.crew.join(ctx, s.victim); err != nil {
		return unlessEnded(ctx, err)
	}
	if !s.crew.await(ctx, s.crew.balanced) {
		return nil
	}
	s.note("replaced")
	s.event("another member took the place of %s", s.report.Killed)
	if !wait(ctx, calm) {
		return nil
	}
	name, err := s.crew.stopLeader(ctx, lost)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	s.report.LeaderStopped = name
	s.event("stopped server %s, which led the log of partition %d", name, lost)
	return nil
}

// kill kills a member, and returns one of the partitions that it served.
func (s *story) kill() (lost int) {
	claimed := map[int]bool{}
	for p, status := range s.crew.living(s.victim).node.Status().Partitions {
		if status.State == cluster.Open {
			claimed[p], lost = true, p
		}
	}
	m := s.crew.kill(s.victim)
	s.seen.lose(claimed)
	s.report.Killed = m.Name
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
	s.report.Standings = append(s.report.Standings, standing{moment, time.Since(s.began), s.crew.stands()})
}

func (s *story) event(format string, args ...any) { s.events <- fmt.Sprintf(format, args...) }

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
	if err == nil && lost != nil && lost.partitions[cluster.PartitionOf(id, crewPartitions)] {
		w.seen.first.CompareAndSwap(0, int64(time.Since(lost.at)))
	}
	return receipt, err
}
