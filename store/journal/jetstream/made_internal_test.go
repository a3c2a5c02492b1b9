package jetstream

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A hook does something before a client sends what it waits for.
type hook struct {
	mu   sync.Mutex
	what map[string]func()
}

type hookConn struct {
	net.Conn
	h *hook
}

func (h *hook) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &hookConn{c, h}, err
}

func (c *hookConn) Write(p []byte) (int, error) {
	c.h.mu.Lock()
	var do func()
	for what, f := range c.h.what {
		if bytes.Contains(p, []byte(what)) {
			do = f
			delete(c.h.what, what)
		}
	}
	c.h.mu.Unlock()
	if do != nil {
		do()
	}
	return c.Conn.Write(p)
}

// An engine whose options want more replicas opens a partition at the moment in which
// another one makes it: it deletes a stream that it has not made.
func TestOpenDeletesNoStreamOfAnother(t *testing.T) {
	conn := oneServer(t)
	b := newOne(t, conn, Options{Prefix: "pre"})
	require.NoError(t, b.settle(t.Context()))
	h := &hook{what: map[string]func(){
		"STREAM.INFO.pre-p ": func() { _, _, err := b.create(t.Context(), "pre=p"); require.NoError(t, err) },
		"STREAM.DELETE.":     func() { t.Error("it deletes a stream that it has not made") },
	}}
	hooked, err := nats.Connect(conn.ConnectedUrl(), nats.SetCustomDialer(h), nats.FlusherTimeout(time.Minute))
	require.NoError(t, err)
	defer hooked.Close()
	a, err := New(hooked, Options{Prefix: "pre", Replicas: 3})
	require.NoError(t, err)
	_, err = a.Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.ErrorContains(t, err, "replicas")
}
