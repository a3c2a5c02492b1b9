package jetstream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

func change(key, value string) journal.Change {
	return journal.Change{Key: []byte(key), Value: []byte(value)}
}

// batchOf is a batch with an ID that is its number.
func batchOf(n int, changes ...journal.Change) journal.Batch {
	b := journal.Batch{Changes: changes}
	copy(b.ID[:], fmt.Sprint(n))
	return b
}

func openJournal(t testing.TB, e journal.Engine) journal.Journal {
	t.Helper()
	j, err := e.Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close(context.WithoutCancel(t.Context()))) })
	return j
}

// What a stream holds that is not a journal's, or was purged, is corrupt.
func TestStreamOfSomethingElse(t *testing.T) {
	client, err := js.New(shared)
	require.NoError(t, err)
	for name, spoil := range map[string]func(t *testing.T, stream js.Stream, name string){
		"another's message": func(t *testing.T, _ js.Stream, name string) {
			_, err := client.Publish(t.Context(), name+".record", []byte("hello"))
			require.NoError(t, err)
		},
		"purged": func(t *testing.T, stream js.Stream, _ string) {
			require.NoError(t, stream.Purge(t.Context()))
		},
		"the beginning purged": func(t *testing.T, stream js.Stream, _ string) {
			require.NoError(t, stream.Purge(t.Context(), js.WithPurgeSequence(3)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, shared, jetstream.Options{})
			j := openJournal(t, e)
			for n := range 5 {
				_, err := j.Append(t.Context(), batchOf(n, change("k", "v")))
				require.NoError(t, err)
			}
			stream, err := client.Stream(t.Context(), streamOf(t, e, "p"))
			require.NoError(t, err)
			spoil(t, stream, streamOf(t, e, "p"))
			_, err = e.Open(t.Context(), "p", func(journal.Change) error { return nil })
			require.ErrorIs(t, err, journal.ErrCorrupt)
			require.ErrorContains(t, err, "sequence")
		})
	}
}

// Another's message in between is no reason to go on, nor is one's own loss.
func TestForeignMessageFencesTheOwner(t *testing.T) {
	client, err := js.New(shared)
	require.NoError(t, err)
	e := newEngine(t, shared, jetstream.Options{Timeout: 200 * time.Millisecond, Patience: time.Second})
	j := openJournal(t, e)
	_, err = client.Publish(t.Context(), streamOf(t, e, "p")+".record", []byte("hello"))
	require.NoError(t, err)
	_, err = j.Append(t.Context(), batchOf(1, change("k", "v")))
	require.ErrorIs(t, err, journal.ErrAmbiguous, "nobody can tell what that was")
	_, again := j.Append(t.Context(), batchOf(2, change("k", "v")))
	require.Equal(t, err, again)
}

// When the entries at a holder's place are compacted away it is fenced all the
// same, and knows that nothing of its own was stored.
func TestFencedLongAgo(t *testing.T) {
	o := jetstream.Options{Prefix: newPrefix()}
	old := openJournal(t, newEngine(t, shared, o))
	j := openJournal(t, newEngine(t, shared, o))
	replaced := strings.Repeat("x", 512<<10)
	for n := range 6 {
		_, err := j.Append(t.Context(), batchOf(n, change("k", replaced)))
		require.NoError(t, err)
	}
	require.NoError(t, j.Compact(t.Context(), nil))
	_, err := old.Append(t.Context(), batchOf(9, change("k", "old")))
	require.ErrorIs(t, err, journal.ErrFenced)
}

// What no server takes, for want of room, is rejected: nothing is stored, and the
// journal goes on.
func TestFullStorage(t *testing.T) {
	client, err := js.New(shared)
	require.NoError(t, err)
	e := newEngine(t, shared, jetstream.Options{})
	name := streamOf(t, e, "p")
	c := js.StreamConfig{
		Name: name, Subjects: []string{name + ".record"}, Replicas: 3, AllowDirect: true, AllowAtomicPublish: true,
		MaxBytes: 64 << 10, Discard: js.DiscardNew,
	}
	_, err = client.CreateStream(t.Context(), c)
	require.NoError(t, err)
	j := openJournal(t, e)
	stored := 0
	for ; stored < 10; stored++ {
		if _, err = j.Append(t.Context(), batchOf(stored, change(fmt.Sprint(stored), strings.Repeat("x", 16<<10)))); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, journal.ErrRejected)
	c.MaxBytes = 1 << 20
	_, err = client.UpdateStream(t.Context(), c)
	require.NoError(t, err)
	at, err := j.Append(t.Context(), batchOf(20, change("more", "room")))
	require.NoError(t, err)
	require.EqualValues(t, stored+1, at.Index)
	all, err := standing(t.Context(), e)
	require.NoError(t, err)
	require.Len(t, all, stored+1)
}

// Servers that take only small messages take large batches, and refuse those that
// would need more than a thousand of them.
func TestSmallMessages(t *testing.T) {
	_, conn := newServers(t, jetstreamtest.Options{Nodes: 1, MaxPayload: 4 << 10})
	e := newEngine(t, conn, jetstream.Options{Replicas: 1})
	j := openJournal(t, e)
	limit := j.Limits().BatchBytes
	require.Less(t, limit, int64(4<<20))
	large := strings.Repeat("0123456789abcdef", int(limit)/16-1)
	_, err := j.Append(t.Context(), batchOf(1, change("k", large)))
	require.NoError(t, err)
	_, err = j.Append(t.Context(), batchOf(2, change("k", large+large)))
	require.ErrorIs(t, err, journal.ErrRejected)
	var many []journal.Change
	for n := range int(limit) / 8 {
		many = append(many, change(fmt.Sprintf("%06d", n), ""))
	}
	_, err = j.Append(t.Context(), batchOf(3, many...))
	if err != nil {
		require.ErrorIs(t, err, journal.ErrRejected)
	}
	_, err = j.Append(t.Context(), batchOf(4, change("l", "after")))
	require.NoError(t, err)
	all, err := standing(t.Context(), e)
	require.NoError(t, err)
	assert.True(t, all["k"] == large)
	assert.Equal(t, "after", all["l"])
}

func TestEngineOptions(t *testing.T) {
	_, err := jetstream.New(shared, jetstream.Options{Prefix: "a.b"})
	require.Error(t, err)
	e, err := jetstream.New(shared, jetstream.Options{Prefix: newPrefix(), Domain: "nowhere", Timeout: 50 * time.Millisecond, Patience: 100 * time.Millisecond})
	require.NoError(t, err)
	_, err = e.Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.Error(t, err)
	_, conn := newServers(t, jetstreamtest.Options{Nodes: 1})
	_, err = newEngine(t, conn, jetstream.Options{}).Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.ErrorContains(t, err, "replicas > 1")
}
