package jetstream_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"
)

// startNetwork starts servers that fail in every way.
func startNetwork(t *testing.T) *network.Network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := network.Start(ctx, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Stop()) })
	return n
}

// connectTo connects to one of the servers, and to others only after that.
func connectTo(t *testing.T, n *network.Network, server int, options ...nats.Option) *nats.Conn {
	t.Helper()
	url := n.ServerURL(server)
	for s := range 3 {
		if s != server {
			url += "," + n.ServerURL(s)
		}
	}
	conn, err := nats.Connect(url, append([]nats.Option{nats.MaxReconnects(-1), nats.DontRandomize()}, options...)...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// heal ends a fault, and waits until all is well.
func heal(t *testing.T, n *network.Network, server int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	require.NoError(t, n.Heal(server))
	require.NoError(t, n.WaitReady(ctx))
}

// Whatever befalls one server, the one that the holder is connected to or the one that
// leads its stream, the holder goes on while it lasts, and no call fails.
func TestOneServerFails(t *testing.T) {
	if testing.Short() {
		t.Skip("each fault takes an election")
	}
	n := startNetwork(t)
	for _, fault := range network.Faults {
		for _, leader := range []bool{false, true} {
			name := "the holder's server is " + fault.String()
			if leader {
				name = "the leader is " + fault.String()
			}
			t.Run(name, func(t *testing.T) { oneServerFails(t, n, fault, leader) })
		}
	}
}

func oneServerFails(t *testing.T, n *network.Network, fault network.Fault, leads bool) {
	o := jetstream.Options{Prefix: newPrefix()}
	first := newEngine(t, connectTo(t, n, 0), o)
	require.NoError(t, openLoop(t, first, "p").Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	victim, err := n.WaitLeader(ctx, streamOf(t, first, "p"))
	require.NoError(t, err)
	server := (victim + 1) % 3
	if !leads {
		victim = server
	}
	l := openLoop(t, newEngine(t, connectTo(t, n, server), o), "p")
	load := startLoad(t, newLedgers(4), func() store.RuntimeStore { return l })
	load.acknowledged(t, 100)
	require.NoError(t, n.Break(victim, fault))
	began := time.Now()
	load.acknowledged(t, 200)
	t.Logf("200 commits in %v", time.Since(began).Round(time.Millisecond))
	heal(t, n, victim)
	load.acknowledged(t, 100)
	load.end()
	sum := load.tallies()
	assert.Zero(t, sum.Refused+sum.Unknown, "the holder did not outlive its servers: %+v", sum)
	require.NoError(t, l.Close())
	load.check(t, newEngine(t, connectTo(t, n, server), o), "p")
}

// So it does in the midst of a batch of many messages.
func TestAServerFallsSilentInALargeBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("it is 32 MiB")
	}
	n := startNetwork(t)
	for _, fault := range []network.Fault{network.Stopped, network.Mute, network.Deaf, network.Cut} {
		t.Run(fault.String(), func(t *testing.T) {
			conn := connectTo(t, n, 0)
			j := openJournal(t, newEngine(t, conn, jetstream.Options{}))
			before := conn.Stats().OutBytes
			appended := make(chan error)
			go func() {
				value := bytes.Repeat([]byte("large"), 32<<20/5)
				_, err := j.Append(t.Context(), batchOf(1, journal.Change{Key: []byte("k"), Value: value}))
				appended <- err
			}()
			require.Eventually(t, func() bool { return conn.Stats().OutBytes > before+8<<20 }, time.Minute, time.Millisecond)
			require.NoError(t, n.Break(0, fault))
			require.NoError(t, <-appended)
			heal(t, n, 0)
		})
	}
}
