//go:build unix

package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/storetest"
)

// A load is callers that commit through any member, and look for what was
// acknowledged through any other, until they are told to stop. Each of them has a
// runtime of its own.
type load struct {
	callers []*caller
	http    *http.Client
	members func() string // returns one's address
	gaps    *gaps
	stop    chan struct{}
	wg      sync.WaitGroup

	loads      atomic.Int64
	violations violations
}

// violations are what a load saw that must not be.
type violations struct {
	mu  sync.Mutex
	all []string
}

func (v *violations) add(format string, a ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, fmt.Sprintf(format, a...))
}

type caller struct {
	runtime   store.RuntimeID
	partition int
	ledger    *storetest.Ledger
}

const (
	callersOfAPartition = 3
	patience            = 2 * time.Second       // of a call
	think               = 20 * time.Millisecond // between two calls
)

func newLoad(g *gaps, members func() string) *load {
	l := &load{
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, members: members,
		gaps: g, stop: make(chan struct{}),
	}
	of := map[int]int{}
	for n := 0; len(l.callers) < partitions*callersOfAPartition; n++ {
		id := store.RuntimeID(fmt.Sprintf("runtime-%d", n))
		p := cluster.PartitionOf(id, partitions)
		if of[p]++; of[p] <= callersOfAPartition {
			l.callers = append(l.callers, &caller{id, p, storetest.NewLedger(id)})
		}
	}
	return l
}

func (l *load) start() {
	for _, c := range l.callers {
		l.wg.Go(func() {
			for l.pause() {
				l.once(c)
			}
		})
	}
}

// pause reports whether the load goes on.
func (l *load) pause() bool {
	timer := time.NewTimer(think/2 + rand.N(think))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.stop:
		return false
	}
}

// end stops the callers, and returns how many of their calls had which answer.
func (l *load) end() (sum storetest.Tallies) {
	close(l.stop)
	l.wg.Wait()
	l.http.CloseIdleConnections()
	for _, c := range l.callers {
		t := c.ledger.Tallies()
		sum.Acknowledged += t.Acknowledged
		sum.Refused += t.Refused
		sum.Unknown += t.Unknown
	}
	return sum
}

// once commits, and looks for the commit if it was acknowledged.
func (l *load) once(c *caller) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	store := &noting{client: client{http: l.http, url: "http://" + l.members() + "/"}}
	committing, done := context.WithTimeout(ctx, patience)
	err := c.ledger.Commit(committing, store)
	done()
	if err != nil {
		l.gaps.refused(err)
		return
	}
	l.gaps.served(c.partition)
	want := store.receipt
	got, ok, err := client{http: l.http, url: "http://" + l.members() + "/"}.LoadBoundaryReceipt(ctx, c.runtime, want.RunID, want.Sequence)
	switch {
	case err != nil:
		return
	case !ok:
		l.violations.add("%s, partition %d: sequence %d was acknowledged, and a load did not find it", c.runtime, c.partition, want.Sequence)
	case got.ContributingInputIDs[0] != want.ContributingInputIDs[0]:
		l.violations.add("%s, partition %d: sequence %d is another commit than the one acknowledged", c.runtime, c.partition, want.Sequence)
	}
	l.loads.Add(1)
}

// noting is a client that notes the receipt of a commit.
type noting struct {
	client
	receipt store.RunBoundaryReceipt
}

func (n *noting) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (r store.RunBoundaryReceipt, err error) {
	r, err = n.client.CommitSessionBoundary(ctx, id, commit)
	n.receipt = r
	return r, err
}
