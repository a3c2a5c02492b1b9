package jetstream_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// subject are three servers in a process of their own, on one disk, that sync every
// write. A client without the loop publishes the keys and values of each call as
// one message, or, where they are too large, as an atomic batch.
var subject = journalbench.Subject{
	Engine: func(b *testing.B) journal.Engine { return newEngine(b, elsewhere(b), jetstream.Options{}) },
	Raw: func(b *testing.B) func(context.Context, []journal.Change) error {
		client, err := js.New(elsewhere(b))
		require.NoError(b, err)
		_, err = client.CreateStream(b.Context(), js.StreamConfig{
			Name: "raw", Subjects: []string{"raw"}, Storage: js.FileStorage, Replicas: 3, AllowAtomicPublish: true,
		})
		require.NoError(b, err)
		return func(ctx context.Context, changes []journal.Change) error {
			var data []byte
			for _, c := range changes {
				data = append(append(data, c.Key...), c.Value...)
			}
			return publish(ctx, client, data)
		}
	},
}

func publish(ctx context.Context, client js.JetStream, data []byte) error {
	const most = 1<<20 - 1024
	if len(data) <= most {
		_, err := client.Publish(ctx, "raw", data)
		return err
	}
	var parts []*nats.Msg
	for len(data) > 0 {
		n := min(most, len(data))
		parts = append(parts, &nats.Msg{Subject: "raw", Data: data[:n], Header: nats.Header{}})
		data = data[n:]
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, client, parts)
	return err
}

func BenchmarkInputs(b *testing.B)   { journalbench.Inputs(b, subject) }
func BenchmarkSessions(b *testing.B) { journalbench.Sessions(b, subject) }
func BenchmarkOpen(b *testing.B)     { journalbench.Open(b, subject) }
