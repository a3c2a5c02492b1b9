package jetstream_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// restore makes the stream of a version, as its code has left it.
func restore(t testing.TB, version int) (name string) {
	t.Helper()
	s := jetstream.ReadStream(t, version)
	client := clientOf(t)
	config := js.StreamConfig{
		Name: s.Name, Description: s.Description, Subjects: s.Subjects, Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: 3,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	}
	stream, err := client.CreateStream(t.Context(), config)
	require.NoError(t, err)
	for range s.First - 1 { // what a compaction has removed
		_, err := client.Publish(t.Context(), s.Subjects[0], nil)
		require.NoError(t, err)
	}
	require.NoError(t, stream.Purge(t.Context()))
	for _, m := range s.Messages {
		ack, err := client.Publish(t.Context(), m.Subject, m.Data)
		require.NoError(t, err)
		require.Equal(t, m.Sequence, ack.Sequence)
	}
	return s.Name
}

// A stream of each version holds all that was acknowledged: that of the first is refused
// until it is carried over. It goes on from there, and all of that is there again.
func TestDurableStreamsOfEachVersion(t *testing.T) {
	for version := 1; version <= jetstream.FormatVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			const partition = "agents/0"
			e := newEngine(t, shared, jetstream.Options{Prefix: "fixture"})
			if stream := restore(t, version); version == 1 {
				_, _, err := open(t, e, partition)
				require.ErrorIs(t, err, jetstream.ErrFormer)
				require.NoError(t, e.Carry(t.Context(), stream, partition))
			} else {
				require.Equal(t, stream, streamOf(t, e, partition))
			}
			openLoop := func() *loopstore.Loop {
				l, err := loopstore.Open(context.WithoutCancel(t.Context()), e, partition, loopstore.Options{})
				require.NoError(t, err)
				return l
			}
			want := fixture.OnState(t, fixture.All.State(t))
			l := openLoop()
			fixture.All.Check(t, fixture.OnLoop(t, l))
			fixture.Compare(t, fixture.At(want, fixture.AllPlaces), fixture.At(fixture.OnLoop(t, l), fixture.AllPlaces))
			fixture.GoOn(want, 0)
			fixture.GoOn(fixture.OnLoop(t, l), 0)
			require.NoError(t, l.Close())
			l = openLoop()
			fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(fixture.OnLoop(t, l), fixture.RuntimePlaces))
			require.NoError(t, l.Close())
		})
	}
}

// A stream that ends with an entry of a newer format is refused, and nothing is written to
// it.
func TestANewerFormatIsRefused(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{Prefix: "fixture"})
	name := restore(t, jetstream.FormatVersion)
	stream, err := clientOf(t).Stream(t.Context(), name)
	require.NoError(t, err)
	last, err := stream.GetMsg(t.Context(), stream.CachedInfo().State.LastSeq)
	require.NoError(t, err)
	newer := last.Data[:len(last.Data)-4]
	newer[3]++ // the version
	newer = binary.BigEndian.AppendUint32(newer, crc32.Checksum(newer, crc32.MakeTable(crc32.Castagnoli)))
	ack, err := clientOf(t).Publish(t.Context(), name+".record", newer)
	require.NoError(t, err)
	_, _, err = open(t, e, "agents/0")
	require.ErrorIs(t, err, journal.ErrNewerFormat)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, ack.Sequence, info.State.LastSeq)
}
