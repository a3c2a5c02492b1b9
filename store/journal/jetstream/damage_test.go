package jetstream_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// standing returns what stands in a partition, or why it is not opened.
func standing(ctx context.Context, e journal.Engine) (map[string]string, error) {
	all := map[string]string{}
	j, err := e.Open(ctx, "p", func(c journal.Change) error {
		all[string(c.Key)] = string(c.Value)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, j.Close(ctx)
}

// fill writes 200 batches, whose values have a mark that is found in the files.
func fill(t testing.TB, e journal.Engine) map[string]string {
	t.Helper()
	j, err := e.Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	for n := range 200 {
		b := journal.Batch{Changes: []journal.Change{{Key: fmt.Append(nil, n%150), Value: fmt.Appendf(nil, "%s%d", mark, n)}}}
		copy(b.ID[:], fmt.Sprint(n))
		_, err := j.Append(t.Context(), b)
		require.NoError(t, err)
	}
	require.NoError(t, j.Close(t.Context()))
	want, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Len(t, want, 150)
	return want
}

const mark = "a mark in the value of batch "

// flip flips one bit of one of the values in the files of a server.
func flip(t testing.TB, dir string, r *rand.Rand) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		places := bytes.Count(content, []byte(mark))
		if places == 0 {
			continue
		}
		at := 0
		for range 1 + r.IntN(places) {
			at += bytes.Index(content[at:], []byte(mark)) + len(mark)
		}
		content[at-1-r.IntN(len(mark))] ^= 1 << r.IntN(8)
		require.NoError(t, os.WriteFile(file, content, 0o600))
		return
	}
	t.Fatal("no file holds the records")
}

// newServers starts servers that no other test uses.
func newServers(t testing.TB, o jetstreamtest.Options) (*jetstreamtest.Cluster, *nats.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := jetstreamtest.Start(ctx, t.TempDir(), o)
	require.NoError(t, err)
	t.Cleanup(c.Stop)
	conn, err := c.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return c, conn
}

// A bit that flips on the only server is found.
func TestFlippedBitOnTheOnlyServer(t *testing.T) {
	c, conn := newServers(t, jetstreamtest.Options{Nodes: 1})
	o := jetstream.Options{Replicas: 1, Prefix: "flipped", Patience: 5 * time.Second}
	fill(t, newEngine(t, conn, o))
	c.Kill(0)
	flip(t, c.Dir(0), rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, c.Restart(0))
	_, err := standing(t.Context(), newEngine(t, conn, o))
	require.ErrorIs(t, err, journal.ErrCorrupt)
}

// A bit that flips on one of three servers is found, and what it hit is taken from
// the leader, also by who is connected to that server alone. If that is the leader
// the others are asked, but they may not be the ones to answer.
func TestFlippedBitOnOneReplica(t *testing.T) {
	c, conn := newServers(t, jetstreamtest.Options{})
	o := jetstream.Options{Prefix: "flipped"}
	e := newEngine(t, conn, o)
	want := fill(t, e)
	r := rand.New(rand.NewPCG(1, 2))
	repaired, refused := 0, 0
	const n = 0
	for range 4 {
		c.Kill(n)
		flip(t, c.Dir(n), r)
		require.NoError(t, c.Restart(n))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, c.WaitReady(ctx))
		damaged, err := nats.Connect(c.NodeURL(n), nats.DontRandomize(), nats.IgnoreDiscoveredServers())
		require.NoError(t, err)
		for leads := range 2 {
			moveLeader(ctx, t, c, conn, streamOf(t, e, "p"), n, leads == 1)
			got, err := standing(ctx, newEngine(t, damaged, o))
			if leads == 1 && err != nil {
				require.ErrorIs(t, err, journal.ErrCorrupt)
				refused++
				continue
			}
			require.NoError(t, err)
			require.Equal(t, want, got)
			repaired++
		}
		damaged.Close()
		cancel()
	}
	t.Logf("opened %d times with all that stands, refused %d times", repaired, refused)
}

// moveLeader makes a server the leader of a stream, or not.
func moveLeader(ctx context.Context, t testing.TB, c *jetstreamtest.Cluster, conn *nats.Conn, stream string, n int, leads bool) {
	t.Helper()
	for {
		leader, err := c.WaitLeader(ctx, stream)
		require.NoError(t, err)
		if (leader == n) == leads {
			return
		}
		require.NoError(t, c.StepDown(conn, stream))
		time.Sleep(20 * time.Millisecond)
	}
}
