package faultproxy_test

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveEcho starts a server that returns what it is sent, and a proxy in front.
func serveEcho(t *testing.T) *faultproxy.Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	p, err := faultproxy.Start(l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		require.NoError(t, l.Close())
		wg.Wait()
	})
	return p
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, what string) {
	t.Helper()
	_, err := io.WriteString(c, what)
	require.NoError(t, err)
}

// hear reads as much as is expected.
func hear(t *testing.T, c net.Conn, what string) {
	t.Helper()
	got := make([]byte, len(what))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, what, string(got))
}

// hearNothing waits a moment, in which nothing may come, nor the connection end.
func hearNothing(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// hearEnd reads the rest, up to the end.
func hearEnd(t *testing.T, c net.Conn) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	rest, err := io.ReadAll(c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	return string(rest)
}

func TestPasses(t *testing.T) {
	c := dial(t, serveEcho(t))
	say(t, c, "hello")
	hear(t, c, "hello")
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	require.Empty(t, hearEnd(t, c))
}

func TestRefuses(t *testing.T) {
	p := serveEcho(t)
	c := dial(t, p)
	say(t, c, "hello")
	hear(t, c, "hello")
	p.Refuse()
	hearEnd(t, c)
	hearEnd(t, dial(t, p))
	p.Pass()
	c = dial(t, p)
	say(t, c, "again")
	hear(t, c, "again")
}

// What is sent in the silence comes once it ends, over old connections and new.
func TestSilence(t *testing.T) {
	for name, silence := range map[string]func(*faultproxy.Proxy){
		"both":   (*faultproxy.Proxy).Hang,
		"client": func(p *faultproxy.Proxy) { p.Silence(faultproxy.Client) },
		"server": func(p *faultproxy.Proxy) { p.Silence(faultproxy.Server) },
	} {
		t.Run(name, func(t *testing.T) {
			p := serveEcho(t)
			before := dial(t, p)
			say(t, before, "1")
			hear(t, before, "1")
			silence(p)
			meanwhile := dial(t, p)
			for _, c := range []net.Conn{before, meanwhile} {
				say(t, c, "2")
				hearNothing(t, c)
			}
			p.Pass()
			for _, c := range []net.Conn{before, meanwhile} {
				say(t, c, "3")
				hear(t, c, "23")
			}
		})
	}
}

// The other side does not learn that a silent one has gone.
func TestSilenceHidesTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	p, err := faultproxy.Start(l.Addr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	client := dial(t, p)
	server, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	say(t, client, "hello")
	hear(t, server, "hello")
	p.Silence(faultproxy.Client)
	require.NoError(t, client.Close())
	say(t, server, "to nobody")
	say(t, server, "as the answer of the client's system would tell")
	hearNothing(t, server)
	p.Pass()
	hearEnd(t, server)
}

func TestSlow(t *testing.T) {
	p := serveEcho(t)
	p.Slow(20 * time.Millisecond)
	c, begin := dial(t, p), time.Now()
	say(t, c, "hello")
	hear(t, c, "hello")
	require.GreaterOrEqual(t, time.Since(begin), 40*time.Millisecond, "there and back")
}

func TestCuts(t *testing.T) {
	for _, side := range []faultproxy.Side{faultproxy.Client, faultproxy.Server} {
		p := serveEcho(t)
		c := dial(t, p)
		p.CutAfter(side, 7)
		say(t, c, "hello")
		hear(t, c, "hello")
		say(t, c, "hello")
		// What came from the client before the cut gets to the server, but its
		// answer may not get back.
		if rest := hearEnd(t, c); side == faultproxy.Server {
			require.Equal(t, "he", rest)
		}
		c = dial(t, p)
		say(t, c, "cut once")
		hear(t, c, "cut once")
	}
}

// Close leaves nothing, whatever the proxy is at, as TestMain checks in the end.
func TestCloseLeavesNothing(t *testing.T) {
	for _, fault := range []func(*faultproxy.Proxy){
		(*faultproxy.Proxy).Pass, (*faultproxy.Proxy).Refuse, (*faultproxy.Proxy).Hang,
		func(p *faultproxy.Proxy) { p.Slow(time.Hour) },
	} {
		p := serveEcho(t)
		c := dial(t, p)
		say(t, c, "hello")
		hear(t, c, "hello")
		fault(p)
		_, _ = io.WriteString(c, "more")
		require.NoError(t, p.Close())
		hearEnd(t, c)
	}
}
