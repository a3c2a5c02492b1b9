package jetstream_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// statuses are what was found, by setting.
func statuses(t testing.TB, e *jetstream.Engine, system *nats.Conn) map[string]journal.Status {
	t.Helper()
	findings, err := e.Diagnose(t.Context(), system)
	require.NoError(t, err)
	all := map[string]journal.Status{}
	for _, f := range findings {
		require.NotContains(t, all, f.Setting)
		all[f.Setting] = f.Status
		if f.Status != journal.OK {
			assert.NotEmpty(t, f.Advice)
		}
	}
	return all
}

func TestDiagnoseOfGoodServers(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	fill(t, e)
	system, err := cluster.ConnectSystem()
	require.NoError(t, err)
	defer system.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, cluster.WaitReady(ctx))
	all := statuses(t, e, system)
	for setting, status := range all {
		if !strings.HasPrefix(setting, "replicas") { // others' tests have restarted servers
			assert.Equal(t, journal.OK, status, setting)
		}
	}
	for _, setting := range []string{
		"server version", "max_payload", "account's storage", "servers", "stream " + streamOf(t, e, "p"),
		"ping_interval of cluster", "sync_interval of node-0", "sync_interval of node-1", "sync_interval of node-2",
	} {
		assert.Contains(t, all, setting)
	}
	assert.Equal(t, journal.Unknown, statuses(t, e, nil)["sync_interval"])
	_, err = e.Diagnose(t.Context(), shared)
	require.ErrorContains(t, err, "system account")
}

func TestDiagnoseOfBadServers(t *testing.T) {
	c, conn := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true, MaxPayload: 32 << 10})
	client, err := js.New(conn)
	require.NoError(t, err)
	_, err = client.CreateStream(t.Context(), js.StreamConfig{Name: "bad=p", MaxAge: time.Hour, Storage: js.MemoryStorage})
	require.NoError(t, err)
	system, err := c.ConnectSystem()
	require.NoError(t, err)
	defer system.Close()
	all := statuses(t, newEngine(t, conn, jetstream.Options{Prefix: "bad"}), system)
	for setting, status := range map[string]journal.Status{
		"sync_interval of node-0": journal.Risk, "servers": journal.Risk, "max_payload": journal.Risk,
		"storage of stream bad=p": journal.Broken, "max age of stream bad=p": journal.Broken, "replicas of stream bad=p": journal.Broken,
		"allow atomic of stream bad=p": journal.Broken, "server version": journal.OK,
	} {
		assert.Equal(t, status, all[setting], setting)
	}
}

func TestDirectoryIsChangedByCompareAndSet(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	d, err := e.Directory("cluster")
	require.NoError(t, err)
	ctx := t.Context()
	document, revision, err := d.Read(ctx)
	require.NoError(t, err)
	require.Nil(t, document)
	require.Zero(t, revision)
	write := func(document string, revision uint64, want bool) {
		t.Helper()
		ok, err := d.Write(ctx, []byte(document), revision)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	read := func(want string) (revision uint64) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			var document []byte
			document, revision, err = d.Read(ctx)
			require.NoError(c, err)
			require.Equal(c, want, string(document))
		}, 10*time.Second, 5*time.Millisecond)
		return revision
	}
	write("a", 7, false)
	write("a", 0, true)
	write("b", 0, false)
	first := read("a")
	write("b", first, true)
	write("c", first, false)
	second := read("b")
	require.NotEqual(t, first, second)
	other, err := e.Directory("other")
	require.NoError(t, err)
	_, revision, err = other.Read(ctx)
	require.NoError(t, err)
	require.Zero(t, revision)
	_, err = e.Directory("a.b")
	require.Error(t, err)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Write(ended, nil, second)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = d.Read(ended)
	require.ErrorIs(t, err, context.Canceled)
}
