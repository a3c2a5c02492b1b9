//go:build unix

package network_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"
)

func TestMain(m *testing.M) {
	network.Serve()
	goleak.VerifyTestMain(m)
}

func start(t *testing.T) *network.Network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := network.Start(ctx, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Stop()) })
	return n
}

// answers reports whether a server takes a new client.
func answers(t *testing.T, n *network.Network, server int) bool {
	t.Helper()
	conn, err := nats.Connect(n.ServerURL(server), nats.Timeout(300*time.Millisecond), nats.NoReconnect())
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// A fault is its server's alone, and over when it is healed.
func TestFaults(t *testing.T) {
	n := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, f := range network.Faults {
		conn, err := nats.Connect(n.ServerURL(1), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		require.NoError(t, err)
		require.NoError(t, conn.FlushTimeout(time.Minute))
		require.NoError(t, n.Break(1, f))
		require.Eventually(t, func() bool { return conn.FlushTimeout(200*time.Millisecond) != nil }, time.Minute, time.Millisecond, f)
		require.False(t, answers(t, n, 1), f)
		require.True(t, answers(t, n, 0) && answers(t, n, 2), f)
		require.NoError(t, n.Heal(1))
		require.NoError(t, n.WaitReady(ctx))
		require.True(t, answers(t, n, 1), f)
		conn.Close()
	}
}

// The other servers miss one that is gone or silent. (To one that is deaf they connect
// again and again: they hear its greeting.)
func TestRoutesFailToo(t *testing.T) {
	n := start(t)
	for _, f := range []network.Fault{network.Killed, network.Stopped, network.Mute} {
		require.NoError(t, n.Break(2, f))
		require.Eventually(t, func() bool { return n.Peers(0) < 2 }, time.Minute, 10*time.Millisecond, f)
		require.NoError(t, n.Heal(2))
		require.Eventually(t, func() bool { return n.Peers(0) == 2 }, time.Minute, 10*time.Millisecond, f)
	}
}

// A process that nobody asks to be a server goes on.
func TestServeReturns(t *testing.T) {
	require.Empty(t, os.Getenv("LOOPSTORE_NETWORK_SERVE"))
	network.Serve()
}
