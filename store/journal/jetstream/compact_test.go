package jetstream_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// live are all that stands, in order.
func live(all map[string]string) iter.Seq[journal.Change] {
	return func(yield func(journal.Change) bool) {
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if !yield(change(key, all[key])) {
				return
			}
		}
	}
}

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
	require.NoError(t, j.Compact(t.Context(), live(all)))
	after := bytesOf(t, e)
	require.Less(t, after, before/3)
	require.NoError(t, j.Compact(t.Context(), live(all)))
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
	_ = rewrite(t, second, 100)
	require.NoError(t, second.Compact(t.Context(), live(nil)), "then nothing stands")
	got, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Empty(t, got)
}

// However far a compaction came, everything stands.
func TestCompactThatEndsEarly(t *testing.T) {
	for _, copies := range []int{0, 1, 3, 9} {
		e := newEngine(t, shared, jetstream.Options{})
		j := openJournal(t, e)
		all := rewrite(t, j, 60)
		large := strings.Repeat("large", 1<<20) // so that there is more than one copy
		all["z"] = large
		for n := range 5 {
			_, err := j.Append(t.Context(), batchOf(100+n, change("z", large)))
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		passes := 0
		err := j.Compact(ctx, func(yield func(journal.Change) bool) {
			passes++
			n := 0
			for c := range live(all) {
				if passes == 2 && n == copies {
					cancel()
				}
				n++
				if !yield(c) {
					return
				}
			}
		})
		cancel()
		require.Error(t, err)
		got, err := standing(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, all, got)
	}
}
