package jetstream_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	loopcluster "github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/cluster/clustertest"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// A directory keeps the promises of one, also to members on different servers.
func TestDirectoryKeepsThePromisesOfOne(t *testing.T) {
	conns := make([]*nats.Conn, 3)
	for n := range conns {
		conn, err := nats.Connect(cluster.NodeURL(n), nats.MaxReconnects(-1))
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		conns[n] = conn
	}
	clustertest.Run(t, clustertest.Factory{
		Open: func(t testing.TB) func(name string) (loopcluster.Directory, error) {
			prefix, engines := newPrefix(), make([]*jetstream.Engine, len(conns))
			for n, conn := range conns {
				engines[n] = newEngine(t, conn, jetstream.Options{Prefix: prefix, Timeout: jetstreamTimeout})
			}
			first, err := engines[0].Directory("first")
			require.NoError(t, err)
			_, _, err = first.Read(t.Context()) // makes the bucket
			require.NoError(t, err)
			handles := 0
			return func(name string) (loopcluster.Directory, error) {
				handles++
				return engines[handles%len(engines)].Directory(name)
			}
		},
	})
}

// A document that was deleted by other means is absent, and is created anew.
func TestDirectoryWhoseDocumentWasDeleted(t *testing.T) {
	prefix := newPrefix()
	e := newEngine(t, shared, jetstream.Options{Prefix: prefix, Timeout: jetstreamTimeout})
	d, err := e.Directory("agents")
	require.NoError(t, err)
	ok, err := d.Write(t.Context(), []byte("one"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	_, before, err := d.Read(t.Context())
	require.NoError(t, err)

	client, err := js.New(shared)
	require.NoError(t, err)
	bucket, err := client.KeyValue(t.Context(), prefix)
	require.NoError(t, err)
	for name, remove := range map[string]func() error{
		"deleted": func() error { return bucket.Delete(t.Context(), "agents") },
		"purged":  func() error { return bucket.Purge(t.Context(), "agents") },
	} {
		require.NoError(t, remove(), name)
		document, revision, err := d.Read(t.Context())
		require.NoError(t, err)
		require.Nil(t, document, name)
		require.Zero(t, revision, name)
		ok, err = d.Write(t.Context(), []byte("two"), before)
		require.NoError(t, err)
		require.False(t, ok, name)
		ok, err = d.Write(t.Context(), []byte("two"), 0)
		require.NoError(t, err)
		require.True(t, ok, name)
	}
}
