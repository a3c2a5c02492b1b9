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

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
)

// An overtaken store is a cluster of three members with one partition, which is called
// through their Routers. After every so many calls the partition gets another holder.
// Its holder leaves and comes back, or it is cut off from the directory for a while and
// continues without knowing that. A call that finds no holder was not applied, and is
// made again.
type overtaken struct {
	ops.Forward
	t         testing.TB
	memory    *journaltest.Memory
	engine    journal.Engine // memory, except that it notices a fence only when it appends
	directory cluster.Directory
	calls     atomic.Int64
	opts      loopstore.Options
	holders   *atomic.Int64 // of the partition, in all stores that are closed
	turn      chan struct{} // held by the call that changes the holder
	leaves    bool          // how the holder changed last: it left, or was cut off

	mu      sync.Mutex
	members [3]*overtakenMember
}

// An overtakenMember is a member with its own way to the directory.
type overtakenMember struct {
	*cluster.Node
	way *way
}

// A way is access to a directory that can be cut.
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

func newOvertaken(t testing.TB, holders *atomic.Int64, cfg lincheck.Config) *overtaken {
	memory := journaltest.NewEngine()
	s := &overtaken{
		t: t, memory: memory, engine: journaltest.NewFaulty(memory), directory: cluster.NewDirectory(), opts: optionsOf(cfg), holders: holders, turn: make(chan struct{}, 1),
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
		Loop: s.opts,
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

// change takes the partition away from its holder, unless another call does so.
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
		_, holds := m.Local(0)
		m.way.cut.Store(holds && !s.leaves)
		if holds && s.leaves {
			_ = m.Close()
			s.join(i)
		}
	}
}

// try makes a call at one member after the other. Some calls let time pass first.
func (s *overtaken) try(ctx context.Context, call ops.Call) error {
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
		err := call.On(ctx, s.member(int(n%3)).Router(remote))
		if !errors.Is(err, cluster.ErrNotHolder) {
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
	s.holders.Add(int64(s.memory.Position("c/0").Epoch))
	return nil
}

// TestLinearizableAcrossTakeOvers checks a cluster whose partition goes from one member
// to another while it is called. Among the calls are loads from a holder that lost its
// lease without knowing it. In a bubble, leases take no time.
func TestLinearizableAcrossTakeOvers(t *testing.T) {
	for name, cfg := range map[string]lincheck.Config{"plain": {Versions: restartingVersions}, "with unique keys and tombstones": keepingAll} {
		t.Run(name, func(t *testing.T) { checkTakeOvers(t, cfg) })
	}
}

func checkTakeOvers(t *testing.T, cfg lincheck.Config) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Histories, cfg.Spanning = histories/20, histories/20
		var holders atomic.Int64
		stats := lincheck.Check(t, func() store.RuntimeStore { return newOvertaken(t, &holders, cfg) }, cfg)
		require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
		assert.Greater(t, int(holders.Load()), 5*(cfg.Histories+cfg.Spanning))
		t.Logf("%d holders", holders.Load())
		assert.Positive(t, stats.CancelledUnderWay)
		assert.Positive(t, stats.Batches)
		assert.Positive(t, stats.Views)
	})
}
