package jetstream_test

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// A gate holds a question back, once, until it is opened.
type gate struct {
	what    []byte
	once    sync.Once
	reached chan struct{}
	open    chan struct{}
}

func newGate(what string) *gate {
	return &gate{what: []byte(what), reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &gateConn{c, g}, nil
}

type gateConn struct {
	net.Conn
	g *gate
}

func (c *gateConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, c.g.what) {
		c.g.once.Do(func() { close(c.g.reached); <-c.g.open })
	}
	return c.Conn.Write(p)
}

func fillLarge(t *testing.T, j journal.Journal) {
	for n := range 4 {
		b := batchOf(n, journal.Change{Key: []byte("k"), Value: bytes.Repeat([]byte{byte(n)}, 900<<10)})
		_, err := j.Append(t.Context(), b)
		require.NoError(t, err)
	}
}

func compactLarge(t *testing.T, j journal.Journal) {
	require.NoError(t, j.Compact(t.Context(), nil))
}

// openLate opens a partition over a connection that holds one of its questions back
// until what comes between has happened.
func openLate(t *testing.T, prefix, question string, between func()) error {
	g := newGate(question)
	conn, err := cluster.Connect(nats.SetCustomDialer(g))
	require.NoError(t, err)
	defer conn.Close()
	late := newEngine(t, conn, jetstream.Options{Prefix: prefix})
	result := make(chan error, 1)
	go func() {
		_, err := late.Open(t.Context(), "p", func(journal.Change) error { return nil })
		result <- err
	}()
	<-g.reached
	between()
	close(g.open)
	return <-result
}

// The entry that was the last is compacted away before a new holder reads it.
func TestTakeOverBesideACompaction(t *testing.T) {
	prefix := newPrefix()
	j := openJournal(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}))
	fillLarge(t, j)
	require.NoError(t, openLate(t, prefix, "STREAM.MSG.GET.", func() { compactLarge(t, j) }))
}

// A later holder comes, and compacts, while one replays.
func TestReplayBesideALaterOwnersCompaction(t *testing.T) {
	prefix := newPrefix()
	j := openJournal(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}))
	fillLarge(t, j)
	err := openLate(t, prefix, "DIRECT.GET.", func() {
		compactLarge(t, openJournal(t, newEngine(t, shared, jetstream.Options{Prefix: prefix})))
	})
	require.ErrorIs(t, err, journal.ErrFenced)
}
