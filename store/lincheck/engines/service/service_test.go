//go:build unix

package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"
)

// A service is three members on three servers.
type service struct {
	t       *testing.T
	network *network.Network
	chance  *rand.Rand

	mu      sync.Mutex
	members []*member
	stopped *member // nil if none is
}

func startService(t *testing.T) *service {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := network.Start(ctx, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Stop()) })
	s := &service{t: t, network: n, chance: rand.New(rand.NewPCG(*seed, 0))}
	for range 3 {
		s.members = append(s.members, s.newMember())
	}
	t.Cleanup(func() {
		for _, m := range s.members {
			m.kill()
		}
	})
	return s
}

// newMember starts a member, again if it cannot join.
func (s *service) newMember() *member {
	for began := time.Now(); ; {
		m, err := startMember(s.network.URL())
		if err == nil {
			return m
		}
		require.Less(s.t, time.Since(began), time.Minute, err)
	}
}

// any returns the address of one of the members. Most callers avoid one that is stopped,
// as they would with something in front of the members that notices.
func (s *service) any() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if m := s.members[rand.IntN(len(s.members))]; m != s.stopped || rand.IntN(200) == 0 {
			return m.address
		}
	}
}

// stop stops a member, or none, and lets the one before go on.
func (s *service) stop(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != nil {
		require.NoError(s.t, m.Process.Signal(syscall.SIGSTOP))
	} else {
		require.NoError(s.t, s.stopped.Process.Signal(syscall.SIGCONT))
	}
	s.stopped = m
}

// replace puts a new member in the place of one that has gone.
func (s *service) replace(n int) {
	m := s.newMember()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[n] = m
}

// A fault befalls the service, and is over when it returns.
type fault struct {
	name  string
	short bool // it belongs to the short run
	run   func(s *service, last time.Duration)
}

var faults = []fault{
	{"a member is killed", true, func(s *service, last time.Duration) {
		n := s.chance.IntN(3)
		s.members[n].kill()
		s.wait(last)
		s.replace(n)
	}},
	{"a member is stopped", false, func(s *service, last time.Duration) {
		s.stop(s.members[s.chance.IntN(3)])
		s.wait(last)
		s.stop(nil)
	}},
	{"a member leaves", true, func(s *service, last time.Duration) {
		n := s.chance.IntN(3)
		assert.NoError(s.t, s.members[n].leave())
		s.wait(last)
		s.replace(n)
	}},
	server(network.Killed, false),
	server(network.Stopped, true),
	server(network.Mute, true),
	server(network.Deaf, false),
	server(network.Cut, false),
	{"all servers are killed, and start again", false, func(s *service, last time.Duration) {
		for n := range 3 {
			s.network.Kill(n)
		}
		for n := range 3 {
			s.heal(n)
		}
		s.wait(last)
	}},
}

func server(f network.Fault, short bool) fault {
	return fault{"a server is " + f.String(), short, func(s *service, last time.Duration) {
		n := s.chance.IntN(3)
		require.NoError(s.t, s.network.Break(n, f))
		s.wait(last)
		s.heal(n)
	}}
}

func (s *service) heal(server int) { require.NoError(s.t, s.network.Heal(server)) }

func (s *service) wait(d time.Duration) { time.Sleep(d) }

// Whatever fails, one thing after another, no acknowledged write is lost or doubled, none
// that was refused is there, and no load is stale. How long partitions are without
// service is printed, and not judged.
func TestServiceUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes most of a minute")
	}
	s, g := startService(t), newGaps()
	l := newLoad(g, s.any)
	l.start()
	g.befalls("a start")
	s.wait(3 * time.Second)
	lasting, between := 15*time.Second, 12*time.Second
	if *minutes == 0 {
		lasting, between = 6*time.Second, 4*time.Second
	}
	began := time.Now()
	for n := 0; ; n++ {
		f := faults[n%len(faults)]
		if *minutes == 0 && n == len(faults) || *minutes > 0 && time.Since(began).Minutes() >= *minutes {
			break
		}
		if *minutes == 0 && !f.short {
			continue
		}
		t.Logf("%6.1f s: %s", time.Since(began).Seconds(), f.name)
		g.befalls(f.name)
		f.run(s, lasting)
		s.wait(between)
	}
	took := time.Since(began)
	tallies := l.end()
	t.Logf("%v, %d loads, %.0f s\n%s\n%s", tallies, l.loads.Load(), took.Seconds(), g.refusals(), g.table())
	for _, m := range s.members {
		assert.NoError(t, m.leave())
	}
	assert.Empty(t, l.violations.all)
	assert.Positive(t, tallies.Acknowledged)
	s.check(l)
}

// check compares the ledgers with what a new holder of each partition finds.
func (s *service) check(l *load) {
	conn, err := jetstream.Connect(s.network.URL())
	require.NoError(s.t, err)
	defer conn.Close()
	engine, err := jetstream.New(conn, jetstream.Options{})
	require.NoError(s.t, err)
	for p := range partitions {
		loop, err := loopstore.Open(s.t.Context(), engine, cluster.PartitionName(clusterOf, p), loopstore.Options{})
		require.NoError(s.t, err)
		for _, c := range l.callers {
			if c.partition == p {
				assert.NoError(s.t, c.ledger.Check(s.t.Context(), loop), fmt.Sprint("partition ", p))
			}
		}
		require.NoError(s.t, loop.Close())
	}
}
