package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// newDomains starts two servers, each a domain of its own, joined by a leaf node.
func newDomains(t *testing.T) (hub, leaf *nats.Conn) {
	t.Helper()
	c, hub := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true, Domain: "hub"})
	l, leaf := newServers(t, jetstreamtest.Options{Nodes: 1, Lazy: true, Domain: "leaf", Hub: c})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, l.WaitLeaf(ctx))
	return hub, leaf
}

// Two domains that a leaf node joins have partitions and directories of their own,
// whether the engines name them or not.
func TestDomainsDoNotMeet(t *testing.T) {
	hub, leaf := newDomains(t)
	for name, domains := range map[string][2]string{"named": {"hub", "leaf"}, "of the connection": {"", ""}} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix()
			var engines [2]*jetstream.Engine
			var journals [2]journal.Journal
			for n, conn := range []*nats.Conn{hub, leaf} {
				engines[n] = newEngine(t, conn, jetstream.Options{Prefix: prefix, Replicas: 1, Domain: domains[n]})
				var err error
				journals[n], _, err = open(t, engines[n], "p")
				require.NoError(t, err)
			}
			var appending errgroup.Group
			for n, j := range journals {
				appending.Go(func() error {
					for i := range 200 {
						if _, err := j.Append(t.Context(), batchOf(i, change(fmt.Sprint(i), fmt.Sprint("domain ", n)))); err != nil {
							return fmt.Errorf("domain %d, batch %d: %w", n, i, err)
						}
					}
					return nil
				})
			}
			require.NoError(t, appending.Wait())
			for n, e := range engines {
				require.NoError(t, journals[n].Close(t.Context()))
				all, err := standing(t.Context(), e)
				require.NoError(t, err)
				require.Len(t, all, 200)
				for _, value := range all {
					require.Equal(t, fmt.Sprint("domain ", n), value)
				}
				d, err := e.Directory("agents")
				require.NoError(t, err)
				ok, err := d.Write(t.Context(), fmt.Append(nil, n), 0)
				require.NoError(t, err)
				require.True(t, ok, "another domain's directory is in the way")
			}
			for n, e := range engines {
				d, err := e.Directory("agents")
				require.NoError(t, err)
				document, _, err := d.Read(t.Context())
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(n), string(document))
			}
		})
	}
}

// One domain's holder is not fenced by another's, nor does it hear of it.
func TestHolderOfAnotherDomainDoesNotFence(t *testing.T) {
	hub, leaf := newDomains(t)
	o := jetstream.Options{Prefix: newPrefix(), Replicas: 1}
	j, _, err := open(t, newEngine(t, leaf, o), "p")
	require.NoError(t, err)
	for range 3 {
		other, _, err := open(t, newEngine(t, hub, o), "p")
		require.NoError(t, err)
		require.NoError(t, other.Close(t.Context()))
	}
	require.NoError(t, leaf.Flush())
	_, err = j.Append(t.Context(), batchOf(1, change("k", "v")))
	require.NoError(t, err)
	select {
	case <-j.Fenced():
		t.Fatal("it took another domain's announcement for its successor's")
	default:
	}
	require.NoError(t, j.Close(t.Context()))
}

// A domain is reached over the other's servers too, and is the same partition.
func TestDomainIsReachedFromAnother(t *testing.T) {
	hub, leaf := newDomains(t)
	o := jetstream.Options{Prefix: newPrefix(), Replicas: 1, Domain: "hub"}
	far, _, err := open(t, newEngine(t, leaf, o), "p")
	require.NoError(t, err)
	_, err = far.Append(t.Context(), batchOf(1, change("k", "v")))
	require.NoError(t, err)
	large := make([]byte, 3<<20) // a batch of several messages
	_, err = far.Append(t.Context(), batchOf(2, journal.Change{Key: []byte("large"), Value: large}))
	require.NoError(t, err)
	near, all, err := open(t, newEngine(t, hub, o), "p")
	require.NoError(t, err)
	require.Len(t, all, 2)
	_, err = far.Append(t.Context(), batchOf(3, change("k", "late")))
	require.ErrorIs(t, err, journal.ErrFenced)
	require.NoError(t, errors.Join(far.Close(t.Context()), near.Close(t.Context())))
	client, err := js.New(leaf)
	require.NoError(t, err)
	require.Empty(t, streamNames(t, client, o.Prefix), "it made a stream in the wrong domain")
}

// A connection that moves to a server of another domain goes on in its own.
func TestConnectionMovesToAnotherDomain(t *testing.T) {
	hub, leaf := newDomains(t)
	conn, err := nats.Connect(leaf.ConnectedUrl(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
		nats.DontRandomize(), nats.IgnoreDiscoveredServers())
	require.NoError(t, err)
	defer conn.Close()
	o := jetstream.Options{Prefix: newPrefix(), Replicas: 1}
	elsewhere, _, err := open(t, newEngine(t, hub, o), "p")
	require.NoError(t, err)
	for n := range 10 { // what a compaction in the wrong domain would destroy
		_, err = elsewhere.Append(t.Context(), batchOf(n, change("k", "hub")))
		require.NoError(t, err)
	}
	e := newEngine(t, conn, o)
	j, _, err := open(t, e, "p")
	require.NoError(t, err)
	all := rewrite(t, j, 60)
	require.NoError(t, conn.SetServerPool([]string{hub.ConnectedUrl()}))
	require.NoError(t, conn.ForceReconnect())
	require.Eventually(t, func() bool { return conn.IsConnected() && conn.ConnectedUrl() == hub.ConnectedUrl() }, time.Minute, 5*time.Millisecond)
	_, err = j.Append(t.Context(), batchOf(100, change("more", "leaf")))
	require.NoError(t, err)
	all["more"] = "leaf"
	require.NoError(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	j, got, err := open(t, e, "p")
	require.NoError(t, err)
	require.Equal(t, all, got)
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, elsewhere.Close(t.Context()))
	_, got, err = open(t, newEngine(t, hub, o), "p")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "hub"}, got)
}

// A domain that is not there is no reason to use another one.
func TestUnknownDomain(t *testing.T) {
	hub, _ := newDomains(t)
	e := newEngine(t, hub, jetstream.Options{Replicas: 1, Domain: "nowhere", Timeout: 50 * time.Millisecond, Patience: 200 * time.Millisecond})
	_, _, err := open(t, e, "p")
	require.ErrorContains(t, err, "domain")
	client, err := js.New(hub)
	require.NoError(t, err)
	require.Empty(t, streamNames(t, client, prefixOf(t, e)))
}

// Another domain's stream captures the same subjects, and may answer first.
func TestAnotherStreamOnTheSameSubject(t *testing.T) {
	hub, leaf := newDomains(t)
	e := newEngine(t, leaf, jetstream.Options{Replicas: 1})
	name := streamOf(t, e, "p")
	client, err := js.New(hub)
	require.NoError(t, err)
	_, err = client.CreateStream(t.Context(), js.StreamConfig{Name: "everything", Subjects: []string{name + ".>"}, AllowAtomicPublish: true})
	require.NoError(t, err)
	appendBesideAnotherAnswer(t, e)
}

// appendBesideAnotherAnswer appends 20 batches, some of several messages.
func appendBesideAnotherAnswer(t *testing.T, e *jetstream.Engine) {
	j, _, err := open(t, e, "p")
	require.NoError(t, err)
	large := make([]byte, 3<<20)
	for n := range 20 {
		value := []byte("small")
		if n%5 == 0 {
			value = large
		}
		at, err := j.Append(t.Context(), batchOf(n, journal.Change{Key: fmt.Append(nil, n), Value: value}))
		require.NoError(t, err)
		require.EqualValues(t, n+1, at.Index)
	}
	require.NoError(t, j.Close(t.Context()))
	all, err := standing(t.Context(), e)
	require.NoError(t, err)
	assert.Len(t, all, 20)
}

// An acknowledgement that is not the own stream's, for the own place, says nothing: what
// it speaks of was looked for.
func TestAcknowledgementOfAnotherStream(t *testing.T) {
	conn := shared
	for name, answer := range map[string]string{
		"stream": `{"stream":"other %[2]s","seq":%[1]d}`, "domain": `{"stream":"%[2]s","domain":"hub","seq":%[1]d}`, "sequence": `{"stream":"%[2]s","seq":1%[1]d}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, conn, jetstream.Options{Timeout: 200 * time.Millisecond, Patience: time.Second})
			stream := streamOf(t, e, "p")
			quick, err := cluster.Connect()
			require.NoError(t, err)
			defer quick.Close()
			next := 0
			_, err = quick.Subscribe(stream+".record", func(m *nats.Msg) {
				next++
				_ = m.Respond(fmt.Appendf(nil, answer, next, stream))
			})
			require.NoError(t, err)
			require.NoError(t, quick.Flush())
			j, _, err := open(t, e, "p")
			require.NoError(t, err)
			_, err = j.Append(t.Context(), batchOf(1, change("k", "stored")))
			require.NoError(t, err, "it is there, so the answer does not matter")
			require.NoError(t, clientOf(t).DeleteStream(t.Context(), stream))
			_, err = j.Append(t.Context(), batchOf(2, change("k", "lost")))
			require.ErrorIs(t, err, journal.ErrAmbiguous, "another acknowledged what was not stored")
			require.ErrorContains(t, err, "acknowledges")
			require.NoError(t, j.Close(t.Context()))
		})
	}
}

// The same of a directory: what another acknowledges may not be stored.
func TestAcknowledgementOfAnotherBucket(t *testing.T) {
	e := newEngine(t, shared, jetstream.Options{})
	d, err := e.Directory("agents")
	require.NoError(t, err)
	_, _, err = d.Read(t.Context())
	require.NoError(t, err)
	quick, err := cluster.Connect()
	require.NoError(t, err)
	defer quick.Close()
	_, err = quick.Subscribe("$KV."+prefixOf(t, e)+".>", func(m *nats.Msg) { _ = m.Respond([]byte(`{"stream":"other","seq":1}`)) })
	require.NoError(t, err)
	require.NoError(t, quick.Flush())
	ok, err := d.Write(t.Context(), []byte("document"), 0)
	require.ErrorContains(t, err, "unknown")
	require.False(t, ok)
	require.NoError(t, clientOf(t).DeleteKeyValue(t.Context(), prefixOf(t, e)))
}
