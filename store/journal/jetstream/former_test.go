package jetstream_test

import (
	"fmt"
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

func open(t testing.TB, e journal.Engine, partition string) (journal.Journal, map[string]string, error) {
	t.Helper()
	all := map[string]string{}
	j, err := e.Open(t.Context(), partition, func(c journal.Change) error {
		all[string(c.Key)] = string(c.Value)
		return nil
	})
	return j, all, err
}

func clientOf(t testing.TB) js.JetStream {
	t.Helper()
	client, err := js.New(shared)
	require.NoError(t, err)
	return client
}

// streamNames returns the names of all streams that begin so.
func streamNames(t testing.TB, client js.JetStream, prefix string) (all []string) {
	t.Helper()
	names := client.StreamNames(t.Context())
	for name := range names.Name() {
		if strings.HasPrefix(name, prefix) {
			all = append(all, name)
		}
	}
	require.NoError(t, names.Err())
	return all
}

// formerJournal makes a stream as the first format had it, with so many batches, and
// returns what stands.
func formerJournal(t testing.TB, name string, batches int) map[string]string {
	t.Helper()
	client := clientOf(t)
	_, err := client.CreateStream(t.Context(), js.StreamConfig{
		Name: name, Description: "loopstore journal", Subjects: []string{name + ".record"},
		Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: 3,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.DeleteStream(t.Context(), name) })
	entries, standing := jetstream.FormerEntries(batches)
	for n, data := range entries {
		_, err := client.Publish(t.Context(), name+".record", data, js.WithExpectLastSequence(uint64(n)))
		require.NoError(t, err)
	}
	return standing
}

// Prefixes and partitions that gave one name have journals of their own.
func TestPrefixesDoNotMeet(t *testing.T) {
	prefix := newPrefix()
	production := newEngine(t, shared, jetstream.Options{Prefix: prefix})
	staging := newEngine(t, shared, jetstream.Options{Prefix: prefix + "-staging"})
	one, _, err := open(t, production, "staging-agents/0")
	require.NoError(t, err)
	_, err = one.Append(t.Context(), batchOf(1, change("agent", "1")))
	require.NoError(t, err)
	two, all, err := open(t, staging, "agents/0")
	require.NoError(t, err)
	assert.Empty(t, all, "the engine with another prefix holds what the first one stored")
	_, err = one.Append(t.Context(), batchOf(2, change("agent", "2")))
	require.NoError(t, err, "the first holder was thrown out")
	for setting := range statuses(t, production, nil) {
		assert.NotContains(t, setting, prefix+"-staging", "the doctor of one prefix looks at another's")
	}
	require.NoError(t, one.Close(t.Context()))
	require.NoError(t, two.Close(t.Context()))
}

// A journal in the first format is never passed over for a new one.
func TestFormerJournalIsRefused(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	prefix := prefixOf(t, e)
	former := prefix + "-agents=2f0"
	formerJournal(t, former, 3)
	for range 2 {
		_, _, err := open(t, e, "agents/0")
		require.ErrorIs(t, err, jetstream.ErrFormer)
		require.NotErrorIs(t, err, journal.ErrCorrupt)
		require.ErrorContains(t, err, former)
		require.ErrorContains(t, err, `Engine.Carry(ctx, "`+former+`", "agents/0")`)
	}
	assert.Equal(t, []string{former}, streamNames(t, clientOf(t), prefix), "a new stream was left behind")
	assert.Equal(t, journal.Broken, statuses(t, e, nil)["stream "+former])

	// Today it is the name of this one, which is refused too.
	_, _, err := open(t, newEngine(t, shared, jetstream.Options{Prefix: prefix + "-agents"}), "2f0")
	require.ErrorIs(t, err, jetstream.ErrFormer)
	require.ErrorContains(t, err, "another partition's")
	j, _, err := open(t, e, "agents/1")
	require.NoError(t, err, "other partitions have no such journal")
	require.NoError(t, j.Close(t.Context()))
}

// Only journals in the first format count as such.
func TestStreamsThatAreNoFormerJournals(t *testing.T) {
	client := clientOf(t)
	for name, make := range map[string]func(t *testing.T, stream string){
		"another's subjects": func(t *testing.T, stream string) {
			_, err := client.CreateStream(t.Context(), js.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}, Storage: js.MemoryStorage})
			require.NoError(t, err)
			entries, _ := jetstream.FormerEntries(1)
			_, err = client.Publish(t.Context(), stream+".record", entries[0])
			require.NoError(t, err)
		},
		"another's messages": func(t *testing.T, stream string) {
			_, err := client.CreateStream(t.Context(), js.StreamConfig{Name: stream, Subjects: []string{stream + ".record"}, Storage: js.MemoryStorage})
			require.NoError(t, err)
			_, err = client.Publish(t.Context(), stream+".record", []byte("hello"))
			require.NoError(t, err)
		},
		"empty": func(t *testing.T, stream string) {
			_, err := client.CreateStream(t.Context(), js.StreamConfig{Name: stream, Subjects: []string{stream + ".record"}, Storage: js.MemoryStorage})
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, shared, jetstream.Options{})
			former := prefixOf(t, e) + "-p"
			make(t, former)
			openJournal(t, e)
			assert.NotContains(t, statuses(t, e, nil), "stream "+former)
		})
	}
	t.Run("another's new journal", func(t *testing.T) {
		e := newEngine(t, shared, jetstream.Options{})
		other := newEngine(t, shared, jetstream.Options{Prefix: prefixOf(t, e) + "-agents"})
		j, _, err := open(t, other, "2f0") // its stream has the former name of agents/0
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
		require.Equal(t, prefixOf(t, e)+"-agents=2f0", streamOf(t, other, "2f0"))
		j, _, err = open(t, e, "agents/0")
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
	})
}

// A stream that has the right name and the first format is no corrupt one.
func TestFormerJournalUnderANewName(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	formerJournal(t, streamOf(t, e, "p"), 3)
	_, _, err := open(t, e, "p")
	require.ErrorIs(t, err, jetstream.ErrFormer)
	require.NotErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorIs(t, e.Carry(t.Context(), streamOf(t, e, "p"), "p"), jetstream.ErrFormer, "it would be copied onto itself")
}

// The remedy: all that stands is in the new journal, and nobody appends to the old one.
func TestCarryBringsAFormerJournalOver(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	former := prefixOf(t, e) + "-agents=2f0"
	want := formerJournal(t, former, 50)
	require.NoError(t, e.Carry(t.Context(), former, "agents/0"))
	j, all, err := open(t, e, "agents/0")
	require.NoError(t, err)
	require.Equal(t, want, all)
	_, err = j.Append(t.Context(), batchOf(1, change("more", "1")))
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	_, err = clientOf(t).Publish(t.Context(), former+".record", []byte("late"))
	require.Error(t, err, "the old stream still takes entries")
	assert.Equal(t, journal.OK, statuses(t, e, nil)["stream "+former])
	require.ErrorContains(t, e.Carry(t.Context(), former, "agents/0"), "has a journal already")
	require.ErrorContains(t, e.Carry(t.Context(), former, "other"), "carried over to stream "+streamOf(t, e, "agents/0")+" already")
	require.NotContains(t, streamNames(t, clientOf(t), prefixOf(t, e)), streamOf(t, e, "other"))
	require.NoError(t, clientOf(t).DeleteStream(t.Context(), former))
	_, all, err = open(t, e, "agents/0")
	require.NoError(t, err)
	want["more"] = "1"
	require.Equal(t, want, all)
}

// However far a Carry came, the partition is opened only when all has been carried over.
func TestCarryThatEndsEarlyIsBegunAgain(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	former := prefixOf(t, e) + "-p"
	want := formerJournal(t, former, 5)
	client := clientOf(t)
	name := streamOf(t, e, "p")
	for step, prepare := range []func(){
		func() {}, // it has sealed the old stream
		func() { // it has made the new one
			_, err := client.CreateStream(t.Context(), js.StreamConfig{Name: name, Subjects: []string{name + ".record"}, Discard: js.DiscardNew,
				Storage: js.FileStorage, Replicas: 3, DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true})
			require.NoError(t, err)
		},
		func() { // it has appended something
			_, err := client.Publish(t.Context(), name+".record", jetstream.HalfCarried(prefixOf(t, e), "p"))
			require.NoError(t, err)
		},
	} {
		prepare()
		_, _, err := open(t, e, "p")
		require.ErrorIs(t, err, jetstream.ErrFormer, "step %d", step)
		require.ErrorContains(t, err, "Engine.Carry")
	}
	require.NoError(t, e.Carry(t.Context(), former, "p"))
	_, all, err := open(t, e, "p")
	require.NoError(t, err)
	require.Equal(t, want, all)
}

// A stream that somebody gave a further subject holds a journal all the same.
func TestFormerJournalWithAFurtherSubject(t *testing.T) {
	e, client := newEngine(t, shared, jetstream.Options{}), clientOf(t)
	former := prefixOf(t, e) + "-p"
	want := formerJournal(t, former, 5)
	stream, err := client.Stream(t.Context(), former)
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.Subjects = append(config.Subjects, former+".more")
	_, err = client.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	_, _, err = open(t, e, "p")
	require.ErrorIs(t, err, jetstream.ErrFormer)
	require.NoError(t, e.Carry(t.Context(), former, "p"))
	_, all, err := open(t, e, "p")
	require.NoError(t, err)
	require.Equal(t, want, all)
}

func TestCarryOfSomethingElse(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	require.ErrorContains(t, e.Carry(t.Context(), prefixOf(t, e)+"-p", "p"), "no such stream")
	other := newEngine(t, shared, jetstream.Options{})
	openJournal(t, other)
	require.ErrorContains(t, e.Carry(t.Context(), streamOf(t, other, "p"), "p"), "no journal in the first format")
	require.Empty(t, streamNames(t, clientOf(t), prefixOf(t, e)))
}

// A journal under the name of another partition, as of a backup restored in the wrong
// place, is refused with both names, and nothing is written to it.
func TestAnothersJournalIsRefused(t *testing.T) {
	client := clientOf(t)
	e := newEngine(t, shared, jetstream.Options{})
	j, _, err := open(t, e, "one")
	require.NoError(t, err)
	for n := range 5 {
		_, err := j.Append(t.Context(), batchOf(n, change("k", fmt.Sprint(n))))
		require.NoError(t, err)
	}
	from, err := client.Stream(t.Context(), streamOf(t, e, "one"))
	require.NoError(t, err)
	name := streamOf(t, e, "two")
	c := from.CachedInfo().Config
	c.Name, c.Subjects, c.Metadata = name, []string{name + ".record"}, nil
	to, err := client.CreateStream(t.Context(), c)
	require.NoError(t, err)
	for n := uint64(1); n <= 6; n++ {
		m, err := from.GetMsg(t.Context(), n)
		require.NoError(t, err)
		_, err = client.Publish(t.Context(), name+".record", m.Data)
		require.NoError(t, err)
	}
	_, _, err = open(t, e, "two")
	require.ErrorIs(t, err, jetstream.ErrForeign)
	require.NotErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, `partition "one" of prefix "`+prefixOf(t, e)+`"`)
	require.ErrorContains(t, err, `partition "two" of prefix "`+prefixOf(t, e)+`"`)
	info, err := to.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 6, info.State.LastSeq, "something was written")
	_, err = j.Append(t.Context(), batchOf(9, change("k", "9")))
	require.NoError(t, err, "the holder was fenced")
	require.NoError(t, j.Close(t.Context()))
	assert.Equal(t, journal.Broken, statuses(t, e, nil)["last entry of stream "+name])

	require.NoError(t, e.Carry(t.Context(), name, "two"))
	for range 2 {
		two, all, err := open(t, e, "two")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"k": "4"}, all)
		require.NoError(t, two.Close(t.Context()))
	}
	one, all, err := open(t, e, "one")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "9"}, all)
	require.NoError(t, one.Close(t.Context()))
}
