package postgres_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A proxy passes on what goes between a pool and a server, until it is told to
// cut a connection.
type proxy struct {
	listener net.Listener
	server   string
	// cut says of each piece, from the client or to it, how much is passed on
	// before the connection is cut; less than 0 is all, and no cut.
	cut func(fromClient bool, size int) int
	wg  sync.WaitGroup
}

func newProxy(t *testing.T, server string, cut func(fromClient bool, size int) int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, server: server, cut: cut}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.wg.Go(func() { p.pass(server, client, true) })
		p.wg.Go(func() { p.pass(client, server, false) })
	}
}

// pass passes on one direction until it ends, and ends the other with it.
func (p *proxy) pass(to, from net.Conn, fromClient bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if most := p.cut(fromClient, n); most >= 0 {
			_, _ = to.Write(piece[:min(most, n)])
			return
		}
		if _, failed := to.Write(piece[:n]); failed != nil || err != nil && (err == io.EOF || n == 0) {
			return
		}
	}
}
