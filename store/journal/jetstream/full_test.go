package jetstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// limitedStream makes the stream of partition p, with a limit.
func limitedStream(t testing.TB, client js.JetStream, name string, limit func(*js.StreamConfig)) js.StreamConfig {
	t.Helper()
	c := js.StreamConfig{
		Name: name, Subjects: []string{name + ".record"}, Storage: js.FileStorage, Replicas: 1, AllowDirect: true, AllowAtomicPublish: true,
		Discard: js.DiscardNew, DenyDelete: true,
	}
	limit(&c)
	_, err := client.CreateStream(t.Context(), c)
	require.NoError(t, err)
	return c
}

func stateOf(n int) store.InputState {
	s := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	s.PersistedInput = []byte(`"` + strings.Repeat("z", n) + `"`)
	return s
}

// fillUp writes larger and smaller states until nothing more is taken, for the limit that is
// named.
func fillUp(t testing.TB, l *loopstore.Loop, largest int, named string) {
	t.Helper()
	var err error
	state := stateOf(0)
	for size := largest; size > 0; size /= 4 {
		state.PersistedInput = []byte(`"` + strings.Repeat("z", size) + `"`)
		for n := 0; err == nil; n++ {
			err = l.PersistInputState(t.Context(), "a", state)
			require.Less(t, n, 100_000)
		}
		require.ErrorIs(t, err, journal.ErrRejected)
		full, ok := errors.AsType[*jetstream.FullError](err)
		require.True(t, ok, "%v", err)
		require.Positive(t, full.Missing)
		require.Contains(t, full.Error(), named)
		err = nil
	}
}

// A journal that its limits have filled up is opened, read, exported and deleted from, and
// then there is room again, whether somebody compacts it or nobody.
func TestFullJournal(t *testing.T) {
	_, conn := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true})
	client, err := js.New(conn)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		limit   func(*js.StreamConfig)
		named   string
		largest int
	}{
		"max_bytes":       {func(c *js.StreamConfig) { c.MaxBytes = 8 << 20 }, "max_bytes", 100_000},
		"small max_bytes": {func(c *js.StreamConfig) { c.MaxBytes = 512 << 10 }, "max_bytes", 20_000},
		"max_msgs":        {func(c *js.StreamConfig) { c.MaxMsgs = 500 }, "max_msgs", 1000},
	} {
		for _, compacts := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", compacts=", compacts), func(t *testing.T) {
				e := newEngine(t, conn, jetstream.Options{Replicas: 1})
				limitedStream(t, client, streamOf(t, e, "p"), test.limit)
				l := openLoop(t, e, "p")
				fillUp(t, l, test.largest, test.named)
				require.NoError(t, l.Close())
				l = openLoop(t, e, "p")
				defer func() { require.NoError(t, l.Close()) }()
				var b bytes.Buffer
				require.NoError(t, l.Export(t.Context(), &b))
				require.NotEmpty(t, b.Bytes())
				if err := l.PersistInputState(t.Context(), "a", stateOf(test.largest)); err != nil { // no compaction has made room yet
					require.ErrorIs(t, err, journal.ErrRejected)
					require.ErrorContains(t, err, test.named)
				}
				_, err := l.DeleteRuntime(t.Context(), "a")
				require.NoError(t, err)
				if compacts {
					require.NoError(t, l.Compact(t.Context()))
					require.NoError(t, l.PersistInputState(t.Context(), "b", stateOf(test.largest)))
					return
				}
				require.Eventually(t, func() bool {
					return l.PersistInputState(t.Context(), "b", stateOf(test.largest)) == nil
				}, 20*time.Second, 10*time.Millisecond)
			})
		}
	}
}

// lower makes a stream full to the last byte, as its limit goes down to what it has.
func lower(t testing.TB, client js.JetStream, c js.StreamConfig) js.StreamConfig {
	t.Helper()
	stream, err := client.Stream(t.Context(), c.Name)
	require.NoError(t, err)
	c.MaxBytes = int64(stream.CachedInfo().State.Bytes)
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	return c
}

// A stream that somebody has filled to the last byte is not opened, since no earlier holder
// could be fenced. The error says by how much the limit must be raised, and that is enough.
func TestStreamFullToTheLastByte(t *testing.T) {
	_, conn := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true})
	client, err := js.New(conn)
	require.NoError(t, err)
	e := newEngine(t, conn, jetstream.Options{Replicas: 1})
	c := limitedStream(t, client, streamOf(t, e, "p"), func(*js.StreamConfig) {})
	j := openJournal(t, e)
	all := rewrite(t, j, 30)
	require.NoError(t, j.Close(t.Context()))
	c = lower(t, client, c)
	_, err = standing(t.Context(), e)
	full, ok := errors.AsType[*jetstream.FullError](err)
	require.True(t, ok, "%v", err)
	require.ErrorContains(t, err, c.Name+" is full, nothing was stored: ")
	require.ErrorContains(t, err, fmt.Sprintf("raise its max_bytes by %d bytes", full.Missing))
	c.MaxBytes += full.Missing
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	got, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, all, got)
	j = openJournal(t, e)
	_, err = j.Append(t.Context(), batchOf(50, change("key 1", "small")))
	require.NoError(t, err, "it takes less than it gives back")
	require.NoError(t, j.Compact(t.Context(), nil))
	_, err = j.Append(t.Context(), batchOf(51, change("more", strings.Repeat("x", 50_000))))
	require.NoError(t, err)
}

// A limit that is set, lowered or raised while the journal is open is kept to.
func TestLimitsThatChange(t *testing.T) {
	_, conn := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true})
	client, err := js.New(conn)
	require.NoError(t, err)
	e := newEngine(t, conn, jetstream.Options{Replicas: 1})
	c := limitedStream(t, client, streamOf(t, e, "p"), func(c *js.StreamConfig) { c.MaxBytes = 16 << 20 })
	j := openJournal(t, e)
	_ = rewrite(t, j, 30)
	c = lower(t, client, c)
	_, err = j.Append(t.Context(), batchOf(40, change("more", "1")))
	require.ErrorIs(t, err, journal.ErrRejected, "the servers refuse it")
	_, err = j.Append(t.Context(), batchOf(41, change("more", "1")))
	full, ok := errors.AsType[*jetstream.FullError](err)
	require.True(t, ok, "and now it is known: %v", err)
	require.Equal(t, "max_bytes", full.Limit)
	c.MaxBytes = 16 << 20
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	_, err = j.Append(t.Context(), batchOf(42, change("more", "1")))
	require.NoError(t, err)
}

// What the account may store is kept to as well, and what is kept free of it serves all
// streams.
func TestFullAccount(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", nodes), func(t *testing.T) {
			_, conn := newServers(t, jetstreamtest.Options{Nodes: nodes, Lazy: true, MaxStore: int64(nodes) * 32 << 20})
			e := newEngine(t, conn, jetstream.Options{Replicas: nodes})
			other := openLoop(t, e, "other")
			defer func() { require.NoError(t, other.Close()) }()
			require.NoError(t, other.PersistInputState(t.Context(), "o", stateOf(2<<20)))
			l := openLoop(t, e, "p")
			var err error
			n := 0
			for ; err == nil && n < 1000; n++ {
				err = l.PersistInputState(t.Context(), store.RuntimeID(fmt.Sprint(n)), stateOf(400_000))
			}
			require.ErrorIs(t, err, journal.ErrRejected)
			require.ErrorContains(t, err, "account's storage")
			require.ErrorIs(t, other.PersistInputState(t.Context(), "more", stateOf(400_000)), journal.ErrRejected)
			require.NoError(t, l.Close())
			l = openLoop(t, e, "p")
			defer func() { require.NoError(t, l.Close()) }()
			for n := range n - 1 {
				_, err := l.DeleteRuntime(t.Context(), store.RuntimeID(fmt.Sprint(n)))
				require.NoError(t, err)
			}
			require.NoError(t, l.Compact(t.Context()))
			require.Eventually(t, func() bool { // the servers tell each other after a moment
				return other.PersistInputState(t.Context(), "more", stateOf(400_000)) == nil
			}, 20*time.Second, 50*time.Millisecond)
		})
	}
}
