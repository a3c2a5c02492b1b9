package jetstream_test

import (
	"fmt"
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

func bytesOf(t testing.TB, e *jetstream.Engine) uint64 {
	t.Helper()
	client, err := js.New(shared)
	require.NoError(t, err)
	stream, err := client.Stream(t.Context(), streamOf(t, e, "p"))
	require.NoError(t, err)
	return stream.CachedInfo().State.Bytes
}

// rewrite appends so often what replaces the same keys.
func rewrite(t testing.TB, j journal.Journal, times int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for n := range times {
		key := fmt.Sprint("key ", n%10)
		all[key] = strings.Repeat(fmt.Sprint(n), 30_000)
		_, err := j.Append(t.Context(), batchOf(n, change(key, all[key])))
		require.NoError(t, err)
	}
	return all
}

func TestCompactGivesRoomBack(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	j := openJournal(t, e)
	all := rewrite(t, j, 100)
	before := bytesOf(t, e)
	require.NoError(t, j.Compact(t.Context(), nil))
	after := bytesOf(t, e)
	require.Less(t, after, before/3)
	require.NoError(t, j.Compact(t.Context(), nil))
	require.Equal(t, after, bytesOf(t, e), "there is nothing to give back")
	at, err := j.Append(t.Context(), batchOf(200, change("more", "1")))
	require.NoError(t, err)
	require.EqualValues(t, 101, at.Index)
	all["more"] = "1"
	for range 2 {
		got, err := standing(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, all, got)
	}
	second := openJournal(t, e)
	for key := range all {
		_, err := second.Append(t.Context(), batchOf(300, journal.Change{Key: []byte(key), Delete: true}))
		require.NoError(t, err)
	}
	require.NoError(t, second.Compact(t.Context(), nil), "then nothing stands")
	require.Less(t, bytesOf(t, e), uint64(4<<10))
	got, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Empty(t, got)
}
