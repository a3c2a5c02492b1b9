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

// fillUp writes larger and smaller states until nothing more is taken.
func fillUp(t testing.TB, l *loopstore.Loop, largest int) {
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
				fillUp(t, l, test.largest)
				require.NoError(t, l.Close())
				l = openLoop(t, e, "p")
				defer func() { require.NoError(t, l.Close()) }()
				var b bytes.Buffer
				require.NoError(t, l.Export(t.Context(), &b))
				require.NotEmpty(t, b.Bytes())
				err := l.PersistInputState(t.Context(), "a", stateOf(test.largest))
				require.ErrorIs(t, err, journal.ErrRejected)
				require.ErrorContains(t, err, test.named)
				_, err = l.DeleteRuntime(t.Context(), "a")
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
