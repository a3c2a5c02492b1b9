package postgres_test

import (
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/faultproxy"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// proxyTo starts a proxy in front of a server, until the test ends.
func proxyTo(t testing.TB, addr string) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.Start(addr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// portOf is the port of an address.
func portOf(t testing.TB, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return port
}

// through returns a pool that connects through a proxy.
func through(t testing.TB, s *postgrestest.Server, p *faultproxy.Proxy) *pgxpool.Pool {
	t.Helper()
	return poolAt(t, strings.Replace(s.URL(), portOf(t, s.Addr()), portOf(t, p.Addr()), 1))
}
