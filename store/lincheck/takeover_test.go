package lincheck_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
)

// An overtaken store is the Routers of a cluster of three members with one
// partition, whose owner changes after every so many calls: it leaves and comes
// back, or it cannot reach the directory for a while, does not know that, and
// goes on. A call that finds no owner was surely not applied, and is made again.
type overtaken struct {
	store.Forward
	t         testing.TB
	memory    *journaltest.Memory
	engine    journal.Engine // memory, but that it notices no fence before an append
	directory cluster.Directory
	calls     atomic.Int64
	owners    *atomic.Int64 // of the partitions of all stores that are closed
	turn      chan struct{} // of who changes the owner
	leaves    bool          // the next one to change

	mu      sync.Mutex
	members [3]*overtakenMember
}

// An overtakenMember is one with its own way to the directory.
type overtakenMember struct {
	*cluster.Node
	way *way
}

// A way to a directory may be cut.
type way struct {
	cluster.Directory
	cut atomic.Bool
}

func (w *way) Read(ctx context.Context) ([]byte, uint64, error) {
	if w.cut.Load() {
		return nil, 0, errors.New("cut")
	}
	return w.Directory.Read(ctx)
}

const (
	callsBetweenChanges = 60
	overtakenLease      = 900 * time.Millisecond
)

func newOvertaken(t testing.TB, owners *atomic.Int64) *overtaken {
	memory := journaltest.NewEngine()
	s := &overtaken{
		t: t, memory: memory, engine: journaltest.NewFaulty(memory), directory: cluster.NewDirectory(), owners: owners, turn: make(chan struct{}, 1),
	}
	s.Forward = s.try
	for i := range s.members {
		s.join(i)
	}
	return s
}

func (s *overtaken) join(i int) {
	w := &way{Directory: s.directory}
	n, err := cluster.Join(context.WithoutCancel(s.t.Context()), cluster.Options{
		Cluster: "c", Partitions: 1, Self: cluster.Member{Name: fmt.Sprint(i)}, Engine: s.engine, Directory: w, Lease: overtakenLease,
	})
	assert.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[i] = &overtakenMember{n, w}
}

func (s *overtaken) member(i int) *overtakenMember {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[i]
}

// change takes the partition away from its owner, unless another call does that.
func (s *overtaken) change() {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return
	}
	s.leaves = !s.leaves
	for i := range s.members {
		m := s.member(i)
		_, owns := m.Local(0)
		m.way.cut.Store(owns && !s.leaves)
		if owns && s.leaves {
			_ = m.Close()
			s.join(i)
		}
	}
}

// try makes a call at one member after another. Time passes with some.
func (s *overtaken) try(_ context.Context, call func(store.RuntimeStore) error) error {
	n := s.calls.Add(1)
	if n%callsBetweenChanges == 0 {
		s.change()
	}
	if n%8 == 0 {
		time.Sleep(rand.N(overtakenLease))
	}
	remote := func(holder cluster.Member) (store.RuntimeStore, error) {
		return s.member(int(holder.Name[0] - '0')).Router(nil), nil
	}
	for ; ; n++ {
		err := call(s.member(int(n % 3)).Router(remote))
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, cluster.ErrNotHolder) {
			return err
		}
		time.Sleep(overtakenLease / 10)
	}
}

func (s *overtaken) Close() error {
	for i := range s.members {
		m := s.member(i)
		m.way.cut.Store(false)
		_ = m.Close()
	}
	s.owners.Add(int64(s.memory.Position("c/0").Epoch))
	return nil
}

// TestLinearizableAcrossTakeOvers checks a cluster whose partition goes from one
// member to another while it is called, loads of an owner that was only thought
// dead among them. Leases take no time in a bubble.
func TestLinearizableAcrossTakeOvers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := lincheck.Config{Histories: histories / 10, Spanning: histories / 10}
		var owners atomic.Int64
		stats := lincheck.Check(t, func() store.RuntimeStore { return newOvertaken(t, &owners) }, cfg)
		require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
		assert.Greater(t, int(owners.Load()), 5*(cfg.Histories+cfg.Spanning))
		t.Logf("%d owners", owners.Load())
		assert.Positive(t, stats.CancelledUnderWay)
		assert.Positive(t, stats.Batches)
		assert.Positive(t, stats.Views)
	})
}
