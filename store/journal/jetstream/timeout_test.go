package jetstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// A bad line holds answers back for longer than its user waits, or breaks before
// or after a question got through.
type badLine struct {
	after           time.Duration // how long it holds an answer back
	on              atomic.Bool
	held, cut, torn atomic.Int64
}

func (b *badLine) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &badConn{c, b}, nil
}

type badConn struct {
	net.Conn
	line *badLine
}

// one reports true once in n times, while the line is bad.
func (b *badLine) one(n int) bool { return b.on.Load() && rand.IntN(n) == 0 }

func (c *badConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case c.line.one(6):
		c.line.held.Add(1)
		time.Sleep(c.line.after)
	case c.line.one(300): // the answer came, and is lost
		c.line.cut.Add(1)
		_ = c.Close()
		return 0, errors.New("cut")
	}
	return n, err
}

func (c *badConn) Write(p []byte) (int, error) {
	if c.line.one(300) {
		c.line.torn.Add(1)
		n, _ := c.Conn.Write(p[:rand.IntN(len(p)+1)])
		_ = c.Close()
		return n, errors.New("torn")
	}
	return c.Conn.Write(p)
}

// Of thousands of appends over bad lines each is resolved or reported as unknown,
// and what is said of it is true. They wait more than they work, so there are
// several lines at once.
func TestAppendsOverABadLine(t *testing.T) {
	appends := 2000
	if testing.Short() {
		appends = 300
	}
	t.Run("lines", func(t *testing.T) {
		for range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				appendOverABadLine(t, appends/4)
			})
		}
	})
}

func appendOverABadLine(t *testing.T, appends int) {
	line := &badLine{after: 80 * time.Millisecond}
	conn, err := cluster.Connect(nats.SetCustomDialer(line), nats.ReconnectWait(time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	defer conn.Close()
	e := newEngine(t, conn, jetstream.Options{Timeout: 40 * time.Millisecond, Patience: 200 * time.Millisecond})
	sure := newEngine(t, shared, jetstream.Options{Prefix: prefixOf(t, e)})
	h := &hopes{Engine: sure, t: t, standing: map[string]bool{}}
	var j journal.Journal
	for n := range appends {
		for j == nil {
			line.on.Store(false)
			if j, err = e.Open(t.Context(), "p", func(journal.Change) error { return nil }); err != nil {
				require.NotErrorIs(t, err, journal.ErrCorrupt)
			}
			line.on.Store(true)
		}
		if !h.append(j, n) {
			require.NoError(t, j.Close(t.Context()))
			j = nil
			h.settle()
		}
	}
	line.on.Store(false)
	if j != nil { // the last append is known
		require.NoError(t, j.Close(t.Context()))
	}
	h.settle()
	t.Logf("%d appends, %d answers held back, %d lines cut and %d torn: %d unknown, of which %d were stored", appends,
		line.held.Load(), line.cut.Load(), line.torn.Load(), h.unknowns, h.stored)
	assert.Positive(t, line.held.Load()+line.cut.Load()+line.torn.Load())
}

// hopes are what must stand, and may.
type hopes struct {
	journal.Engine
	t        *testing.T
	standing map[string]bool
	open     string // of which it is not known
	unknowns int
	stored   int
}

// append appends a key, some of them in several messages, and reports whether the
// journal goes on.
func (h *hopes) append(j journal.Journal, n int) bool {
	key := fmt.Sprint(n)
	value := []byte(key)
	if n%200 == 0 && !testing.Short() {
		value = bytes.Repeat(value, 1<<20/len(value)*2)
	}
	b := journal.Batch{Changes: []journal.Change{{Key: []byte(key), Value: value}}}
	copy(b.ID[:], key)
	switch _, err := j.Append(h.t.Context(), b); {
	case err == nil:
		h.standing[key] = true
		return true
	case errors.Is(err, journal.ErrAmbiguous):
		h.open = key
		h.unknowns++
	default:
		require.NoError(h.t, err, "there is no other holder, and nothing to reject")
	}
	return false
}

// settle compares what stands with what must, over a line that is good.
func (h *hopes) settle() {
	h.t.Helper()
	found := map[string]bool{}
	j, err := h.Open(h.t.Context(), "p", func(c journal.Change) error {
		found[string(c.Key)] = true
		return nil
	})
	require.NoError(h.t, err)
	require.NoError(h.t, j.Close(h.t.Context()))
	for key := range h.standing {
		require.True(h.t, found[key], "%s was acknowledged, and is lost", key)
	}
	if h.open != "" && found[h.open] {
		h.standing[h.open] = true
		h.stored++
	}
	h.open = ""
	require.Len(h.t, found, len(h.standing), "something is there that was never acknowledged")
}
