package jetstream_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/storetest"
)

var soak = flag.Duration("soak", 10*time.Second, "how long members fight for a partition")

// streamOf returns the name of a partition's stream.
func streamOf(t testing.TB, e *jetstream.Engine, partition string) string {
	t.Helper()
	name, err := e.StreamName(partition)
	require.NoError(t, err)
	return name
}

// killLeader stops the server that leads a stream, and returns which it was.
func killLeader(t testing.TB, stream string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := cluster.WaitLeader(ctx, stream)
	require.NoError(t, err)
	cluster.Kill(n)
	return n
}

// restart starts a server again, and waits until it has joined.
func restart(t testing.TB, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	require.NoError(t, cluster.Restart(n))
	require.NoError(t, cluster.WaitReady(ctx))
}

// When the leader of the log is killed the holder goes on, and no call fails.
func TestLeaderIsKilledUnderLoad(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	l := openLoop(t, e, "p")
	load := startLoad(t, newLedgers(8), func() store.RuntimeStore { return l })
	kills := 3
	if testing.Short() {
		kills = 1
	}
	for range kills {
		load.acknowledged(t, 200)
		n := killLeader(t, streamOf(t, e, "p"))
		load.acknowledged(t, 200)
		restart(t, n)
	}
	load.end()
	sum := load.tallies()
	t.Logf("%d kills, %+v", kills, sum)
	assert.Zero(t, sum.Refused+sum.Unknown, "the holder did not outlive its servers")
	require.NoError(t, l.Close())
	load.check(t, e, "p")
}

// Without a quorum nothing is acknowledged, and callers are told within the
// engine's patience. With one again a new holder goes on.
func TestQuorumIsLostAndRegained(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{Timeout: 500 * time.Millisecond, Patience: 3 * time.Second})
	l := openLoop(t, e, "p")
	ledgers := newLedgers(4)
	load := startLoad(t, ledgers, func() store.RuntimeStore { return l })
	load.acknowledged(t, 100)
	load.end()
	cluster.Kill(0)
	cluster.Kill(1)
	before := load.tallies()
	lost := startLoad(t, ledgers, func() store.RuntimeStore { return l })
	require.Eventually(t, func() bool { return lost.tallies().Unknown > before.Unknown }, time.Minute, time.Millisecond)
	lost.end()
	after := lost.tallies()
	assert.Equal(t, before.Acknowledged, after.Acknowledged, "acknowledged without a quorum")
	assert.LessOrEqual(t, after.Unknown, len(ledgers), "only what was in the round is unknown")
	err := l.PersistRuntimeState(t.Context(), "after", store.RuntimeIdle)
	require.ErrorIs(t, err, journal.ErrAmbiguous, "the loop has ended, because of that")
	require.NotErrorIs(t, err, store.ErrOutcomeUnknown, "but this call was not tried")
	_ = l.Close()
	opening, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	_, err = loopstore.Open(opening, e, "p", loopstore.Options{})
	cancel()
	require.Error(t, err)
	restart(t, 0)
	restart(t, 1)
	patient := newEngine(t, shared, jetstream.Options{Prefix: prefixOf(t, e)})
	load.check(t, patient, "p")
}

// prefixOf returns the prefix of an engine's streams.
func prefixOf(t testing.TB, e *jetstream.Engine) string {
	t.Helper()
	name := streamOf(t, e, "")
	return name[:len(name)-1]
}

// Members fight for one partition, and the log's leaders are killed: epochs are in
// one line, and nothing acknowledged is lost or doubled.
func TestMembersFightForAPartition(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes -soak")
	}
	o := jetstream.Options{Prefix: newPrefix(), Timeout: time.Second}
	fight := &fight{engine: newEngine(t, shared, o)}
	ledgers := newLedgers(9)
	ctx, stop := context.WithTimeout(t.Context(), *soak)
	defer stop()
	var members sync.WaitGroup
	for m := range 3 {
		members.Go(func() { fight.member(ctx, t, ledgers[3*m:3*m+3]) })
	}
	kills := 0
	for ctx.Err() == nil {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		restart(t, killLeader(t, streamOf(t, fight.engine, "p")))
		kills++
	}
	members.Wait()
	all := &load{ledgers: ledgers}
	sum := all.tallies()
	t.Logf("%s: %d take-overs, %d leaders killed, %+v", *soak, fight.takeOvers.Load(), kills, sum)
	assert.Greater(t, fight.takeOvers.Load(), int64(3))
	assert.Positive(t, sum.Acknowledged)
	fight.checkEpochs(t)
	all.check(t, newEngine(t, shared, jetstream.Options{Prefix: o.Prefix}), "p")
}

// A fight is what its members share: an entry of the positions.
type fight struct {
	engine    *jetstream.Engine
	takeOvers atomic.Int64
	mu        sync.Mutex
	indexes   []journal.Position
}

// member opens the partition and commits, until another takes it, and then takes
// it again.
func (f *fight) member(ctx context.Context, t *testing.T, ledgers []*storetest.Ledger) {
	for ctx.Err() == nil {
		l, err := loopstore.Open(context.WithoutCancel(ctx), recording{f.engine, f}, "p", loopstore.Options{})
		if err != nil {
			if !errors.Is(err, journal.ErrFenced) && !errors.Is(err, journal.ErrAmbiguous) {
				assert.NoError(t, err)
			}
			continue
		}
		f.takeOvers.Add(1)
		load := startLoad(t, ledgers, func() store.RuntimeStore { return l })
		for before := load.tallies(); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			now := load.tallies()
			if now.Refused+now.Unknown > before.Refused+before.Unknown {
				break
			}
		}
		load.end()
		_ = l.Close()
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	}
}

// recording notes every position that the engine gives.
type recording struct {
	journal.Engine
	fight *fight
}

type recordingJournal struct {
	journal.Journal
	fight *fight
}

func (r recording) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := r.Engine.Open(ctx, partition, emit)
	if err != nil {
		return nil, err
	}
	return recordingJournal{j, r.fight}, nil
}

func (r recordingJournal) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	at, err := r.Journal.Append(ctx, b)
	if err == nil {
		r.fight.mu.Lock()
		defer r.fight.mu.Unlock()
		r.fight.indexes = append(r.fight.indexes, at)
	}
	return at, err
}

// checkEpochs checks that no index was given twice, and that a later index never
// has an earlier epoch.
func (f *fight) checkEpochs(t *testing.T) {
	t.Helper()
	at := map[uint64]uint64{}
	first, last := map[uint64]uint64{}, map[uint64]uint64{}
	for _, p := range f.indexes {
		epoch, given := at[p.Index]
		require.False(t, given, "index %d was given in epochs %d and %d", p.Index, epoch, p.Epoch)
		at[p.Index] = p.Epoch
		if _, ok := first[p.Epoch]; !ok {
			first[p.Epoch] = p.Index
		}
		first[p.Epoch], last[p.Epoch] = min(first[p.Epoch], p.Index), max(last[p.Epoch], p.Index)
	}
	for a := range first {
		for b := range first {
			if a < b {
				require.Less(t, last[a], first[b], fmt.Sprintf("epochs %d and %d overlap", a, b))
			}
		}
	}
	t.Logf("%d epochs in one line, %d positions", len(first), len(at))
}
