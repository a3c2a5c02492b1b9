//go:build unix

package jetstream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
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
	urls := []string{n.ServerURL(server), n.ServerURL((server + 1) % 3), n.ServerURL((server + 2) % 3)}
	conn, err := jetstream.Connect(strings.Join(urls, ","), append([]nats.Option{nats.DontRandomize()}, options...)...)
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

// Whatever befalls one server, one holder that is connected to it and another whose
// stream it leads go on while it lasts, and no call fails.
func TestOneServerFails(t *testing.T) {
	if testing.Short() {
		t.Skip("each fault takes an election")
	}
	t.Parallel()
	n := startNetwork(t)
	for _, fault := range network.Faults {
		t.Run(fault.String(), func(t *testing.T) { oneServerFails(t, n, fault) })
	}
}

func oneServerFails(t *testing.T, n *network.Network, fault network.Fault) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := jetstream.Options{Prefix: newPrefix()}
	first := newEngine(t, connectTo(t, n, 0), o)
	require.NoError(t, openLoop(t, first, "led").Close())
	victim, err := n.WaitLeader(ctx, streamOf(t, first, "led"))
	require.NoError(t, err)

	holders := map[string]int{"led": (victim + 1) % 3, "connected": victim}
	loops, loads := map[string]*loopstore.Loop{}, map[string]*load{}
	for partition, server := range holders {
		l := openLoop(t, newEngine(t, connectTo(t, n, server), o), partition)
		loops[partition] = l
		loads[partition] = startLoad(t, newLedgers(4), func() store.RuntimeStore { return l })
		loads[partition].acknowledged(t, 100)
	}
	require.NoError(t, n.Break(victim, fault))
	for _, partition := range []string{"connected", "led"} {
		began := time.Now()
		loads[partition].acknowledged(t, 200)
		t.Logf("%s: 200 commits in %v", partition, time.Since(began).Round(time.Millisecond))
	}
	heal(t, n, victim)
	for partition, load := range loads {
		load.acknowledged(t, 100)
		load.end()
		sum := load.tallies()
		assert.Zero(t, sum.Refused+sum.Unknown, "the holder of %s did not outlive a server: %+v", partition, sum)
		require.NoError(t, loops[partition].Close())
		load.check(t, first, partition)
	}
}

// So it does when that happens in the midst of a batch of many messages, or when all of
// them are sent and only the answer is still to come.
func TestAServerFallsSilentInALargeBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("it is 60 MiB")
	}
	t.Parallel()
	n := startNetwork(t)
	const part, whole = 8 << 20, 60 << 20
	for name, c := range map[string]struct {
		fault network.Fault
		after uint64 // bytes that were sent
	}{
		"stopped": {network.Stopped, part}, "mute": {network.Mute, part}, "deaf": {network.Deaf, part},
		"cut": {network.Cut, part}, "mute at the end": {network.Mute, whole},
	} {
		t.Run(name, func(t *testing.T) {
			conn := connectTo(t, n, 0)
			j := openJournal(t, newEngine(t, conn, jetstream.Options{}))
			before := conn.Stats().OutBytes
			appended := make(chan error)
			go func() {
				_, err := j.Append(t.Context(), batchOf(1, journal.Change{Key: []byte("k"), Value: make([]byte, whole)}))
				appended <- err
			}()
			require.Eventually(t, func() bool { return conn.Stats().OutBytes > before+c.after }, time.Minute, time.Millisecond)
			defer heal(t, n, 0)
			require.NoError(t, n.Break(0, c.fault))
			require.NoError(t, <-appended)
		})
	}
}

// Of two servers that are silent nothing is acknowledged, and callers are told so within
// the engine's patience. The same goes for all three, and then the client does not hurry
// from one to the next.
func TestQuorumIsSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("each fault takes an election")
	}
	t.Parallel()
	n := startNetwork(t)
	for _, c := range []struct {
		servers int
		are     network.Fault
	}{{2, network.Stopped}, {2, network.Mute}, {2, network.Deaf}, {3, network.Stopped}, {3, network.Cut}} {
		t.Run(fmt.Sprint(c.servers, " are ", c.are), func(t *testing.T) { quorumIsSilent(t, n, c.are, c.servers) })
	}
}

func quorumIsSilent(t *testing.T, n *network.Network, fault network.Fault, broken int) {
	conn, prefix := connectTo(t, n, 0), newPrefix()
	patient := newEngine(t, conn, jetstream.Options{Prefix: prefix})
	require.NoError(t, openLoop(t, patient, "p").Close()) // the servers may not know all others yet
	e := newEngine(t, conn, jetstream.Options{Prefix: prefix, Timeout: 500 * time.Millisecond, Patience: 3 * time.Second})
	l := openLoop(t, e, "p")
	ledgers := newLedgers(4)
	load := startLoad(t, ledgers, func() store.RuntimeStore { return l })
	load.acknowledged(t, 100)
	load.end()
	for server := range broken {
		require.NoError(t, n.Break(server, fault))
	}
	before := load.tallies()
	lost := startLoad(t, ledgers, func() store.RuntimeStore { return l })
	require.Eventually(t, func() bool { return lost.tallies().Unknown > before.Unknown }, time.Minute, time.Millisecond)
	lost.end()
	assert.LessOrEqual(t, lost.tallies().Acknowledged, before.Acknowledged+len(ledgers), "acknowledged without a quorum")
	_ = l.Close()
	assert.Less(t, conn.Stats().Reconnects, uint64(100), "the client hurries")
	for server := range broken {
		require.NoError(t, n.Heal(server))
	}
	heal(t, n, 0)
	load.check(t, patient, "p")
}

// Members fight for one partition while the leaders of its log fall silent, one after
// another: epochs are in one line, and nothing acknowledged is lost or doubled.
func TestMembersFightBesideSilentServers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes -soak")
	}
	t.Parallel()
	n := startNetwork(t)
	o := jetstream.Options{Prefix: newPrefix(), Timeout: time.Second}
	fight := &fight{engine: newEngine(t, connectTo(t, n, 0), o)}
	ledgers := newLedgers(9)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	all := &load{ledgers: ledgers}
	var members sync.WaitGroup
	for m := range 3 {
		members.Go(func() { fight.member(ctx, t, ledgers[3*m:3*m+3]) })
	}
	faults := 0
	for began := time.Now(); time.Since(began) < *soak || all.tallies().Acknowledged == 0; {
		require.Less(t, time.Since(began), *soak+5*time.Minute, "nothing is acknowledged")
		finding, cancel := context.WithTimeout(t.Context(), time.Minute)
		leader, err := n.WaitLeader(finding, streamOf(t, fight.engine, "p"))
		cancel()
		require.NoError(t, err)
		require.NoError(t, n.Break(leader, network.Faults[faults%len(network.Faults)]))
		time.Sleep(time.Duration(500+rand.IntN(5000)) * time.Millisecond)
		heal(t, n, leader)
		faults++
	}
	stop()
	members.Wait()
	sum := all.tallies()
	t.Logf("%s: %d take-overs, %d faults, %+v", *soak, fight.takeOvers.Load(), faults, sum)
	fight.checkEpochs(t)
	all.check(t, newEngine(t, connectTo(t, n, 0), jetstream.Options{Prefix: o.Prefix}), "p")
}
