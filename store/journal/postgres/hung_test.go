package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/faultproxy"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// faults are how a server can be away, to those who reach it through a proxy.
var faults = map[string]func(*faultproxy.Proxy){
	"refuses":     (*faultproxy.Proxy).Refuse,
	"hangs":       (*faultproxy.Proxy).Hang,
	"hears not":   func(p *faultproxy.Proxy) { p.Silence(faultproxy.Client) },
	"answers not": func(p *faultproxy.Proxy) { p.Silence(faultproxy.Server) },
}

// twoWays is a pool that reaches a server on either of two addresses, with idle
// connections on the first one, which it asks whether they are well before it uses
// them.
func twoWays(t testing.TB, s *postgrestest.Server) (pool *pgxpool.Pool, first *faultproxy.Proxy) {
	t.Helper()
	first = proxyTo(t, s.Addr())
	url := fmt.Sprintf("postgres://loopstore@%s,%s/postgres?target_session_attrs=read-write&pool_max_conns=6", first.Addr(), proxyTo(t, s.Addr()).Addr())
	pool = poolAt(t, url)
	begun := time.Now()
	warm(t, pool)
	require.Eventually(t, func() bool { return pool.Stat().IdleConns() == 6 && time.Since(begun) > 1100*time.Millisecond }, time.Minute, 10*time.Millisecond)
	return pool, first
}

// warm makes all connections that a pool may have.
func warm(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	var conns []*pgxpool.Conn
	for range pool.Config().MaxConns {
		c, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		conns = append(conns, c)
	}
	for _, c := range conns {
		c.Release()
	}
}

// When a server falls silent, an append goes on with another one within its patience.
func TestAnAppendLeavesASilentServer(t *testing.T) {
	s := server(t)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, first := twoWays(t, s)
			opts := fresh()
			opts.Timeout = 2 * time.Second
			j := open(t, postgres.New(pool, opts), "p", contents{})
			var c chain
			require.NoError(t, c.append(t, j))
			fault(first)
			for range 3 {
				require.NoError(t, c.append(t, j))
			}
			_, got, err := load(t, postgres.New(pool, opts), "p")
			require.NoError(t, err)
			c.stands(t, got, nil)
			first.Pass()
		})
	}
}

// A directory and an Open do not try again by themselves. One call finds out that a
// server is silent, and then all idle connections to it are gone.
func TestOneCallFindsOutAboutASilentServer(t *testing.T) {
	s := server(t)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, first := twoWays(t, s)
			opts := fresh()
			opts.Timeout = 2 * time.Second
			e, d := postgres.New(pool, opts), postgres.NewDirectory(pool, opts, "d")
			open(t, e, "p", contents{})
			fault(first)
			_, _, err := d.Read(t.Context())
			require.Error(t, err)
			ok, err := d.Write(t.Context(), nil, 0)
			require.NoError(t, err)
			require.True(t, ok)
			_, _, err = load(t, e, "p")
			require.NoError(t, err)
			first.Pass()
		})
	}
}

// A connection that is lost gives its place in the pool to a new one at once.
func TestALostConnectionKeepsNoPlace(t *testing.T) {
	s, opts := server(t), fresh()
	first := proxyTo(t, s.Addr())
	pool := poolAt(t, fmt.Sprintf("postgres://loopstore@%s,%s/postgres?pool_max_conns=2", first.Addr(), proxyTo(t, s.Addr()).Addr()))
	opts.Timeout, opts.Patience = 2*time.Second, 10*time.Second
	e := postgres.New(pool, opts)
	var journals [2]journal.Journal
	for i := range journals {
		journals[i] = open(t, e, fmt.Sprint(i), contents{})
	}
	warm(t, pool)
	first.Hang()
	errs := make(chan error)
	for _, j := range journals {
		go func() {
			_, err := j.Append(t.Context(), batchOf(put("a", "1")))
			errs <- err
		}()
	}
	for range journals {
		assert.NoError(t, <-errs)
	}
	first.Pass()
}

// After a silence all goes on, on a server that has no other.
func TestASilenceEnds(t *testing.T) {
	s := server(t)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxyTo(t, s.Addr())
			opts := fresh()
			opts.Timeout = time.Second
			e := postgres.New(through(t, s, p), opts)
			j := open(t, e, "p", contents{})
			var c chain
			require.NoError(t, c.append(t, j))
			fault(p)
			time.AfterFunc(3*time.Second, p.Pass)
			for range 3 {
				require.NoError(t, c.append(t, j))
			}
			_, got, err := load(t, e, "p")
			require.NoError(t, err)
			c.stands(t, got, nil)
		})
	}
}

// A server that answers nobody who connects does not use up the time of the others,
// whatever connect_timeout is.
func TestASilentServerLeavesTimeForTheOthers(t *testing.T) {
	s := server(t)
	for _, more := range []string{"", "&connect_timeout=3600", "&connect_timeout=1"} {
		first, second := proxyTo(t, s.Addr()), proxyTo(t, s.Addr())
		first.Hang()
		second.Hang()
		url := fmt.Sprintf("postgres://loopstore@%s,%s,%s/postgres?sslmode=prefer%s", first.Addr(), second.Addr(), s.Addr(), more)
		opts := fresh()
		opts.Timeout = 6 * time.Second
		open(t, postgres.New(poolAt(t, url), opts), "p", contents{})
		first.Pass()
		second.Pass()
	}
}

// The calls of a directory may be much shorter than the timeout. They reach the next
// server all the same.
func TestShortCallsLeaveASilentServer(t *testing.T) {
	s, opts := server(t), fresh()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			pool, first := twoWays(t, s)
			d := postgres.NewDirectory(pool, opts, name)
			_, err := d.Write(t.Context(), []byte("1"), 0)
			require.NoError(t, err)
			fault(first)
			calls := 0
			for err = errors.New("none yet"); err != nil; calls++ {
				require.Less(t, calls, 10)
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				_, _, err = d.Read(ctx)
				cancel()
			}
			first.Pass()
		})
	}
}

// An address that leads to a standby for a moment, as a virtual one may, is asked
// again: no connection to the standby is kept.
func TestAStandbyIsNotUsedForEver(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs two servers")
	}
	primary := postgrestest.Start(t, "fsync=off")
	standby := primary.Standby(t, "b")
	opts := fresh()
	open(t, postgres.New(poolAt(t, primary.URL()), opts), "p", contents{})
	for _, mode := range []string{"cache_statement", "exec"} {
		var at atomic.Pointer[postgrestest.Server]
		at.Store(standby)
		config, err := pgxpool.ParseConfig(primary.URL() + " default_query_exec_mode=" + mode)
		require.NoError(t, err)
		config.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at.Load().Addr())
		}
		pool := poolWith(t, config)
		require.NoError(t, pool.Ping(t.Context()))
		short := opts
		short.Timeout = 2 * time.Second
		_, _, err = load(t, postgres.New(pool, short), "p")
		require.ErrorContains(t, err, "standby")
		_, _, err = postgres.NewDirectory(pool, short, "d").Read(t.Context())
		require.ErrorContains(t, err, "standby", "what it would read may be old")

		time.AfterFunc(500*time.Millisecond, func() { at.Store(primary) })
		j, _, err := load(t, postgres.New(pool, opts), "p")
		require.NoError(t, err)
		appendTo(t, j, put("a", "1"))
	}
}

// away makes a server fail, and says how to undo that.
type away struct {
	fail, undo func(*postgrestest.Server, *faultproxy.Proxy) error
}

func nothing(*postgrestest.Server, *faultproxy.Proxy) error { return nil }

func pass(_ *postgrestest.Server, p *faultproxy.Proxy) error { p.Pass(); return nil }

var aways = map[string]away{
	"killed": {func(s *postgrestest.Server, _ *faultproxy.Proxy) error { return s.Kill() }, nothing},
	"hung": {func(s *postgrestest.Server, _ *faultproxy.Proxy) error { return s.Hang() },
		func(s *postgrestest.Server, _ *faultproxy.Proxy) error { return s.Resume() }},
	"hears not":   {func(_ *postgrestest.Server, p *faultproxy.Proxy) error { p.Silence(faultproxy.Client); return nil }, pass},
	"answers not": {func(_ *postgrestest.Server, p *faultproxy.Proxy) error { p.Silence(faultproxy.Server); return nil }, pass},
}

// A holder that knows of both servers goes on with the one that writes, however the
// other one failed.
func TestAnOwnerOutlivesAFailover(t *testing.T) {
	for name, away := range aways {
		t.Run(name, func(t *testing.T) {
			primary, standby := pair(t)
			proxy := proxyTo(t, primary.Addr())
			url := fmt.Sprintf("postgres://loopstore@%s,%s/postgres?target_session_attrs=read-write", proxy.Addr(), standby.Addr())
			opts := fresh()
			opts.Timeout = 2 * time.Second
			j := open(t, postgres.New(poolAt(t, url), opts), "p", contents{})
			var c chain
			for range 100 {
				require.NoError(t, c.append(t, j))
			}
			failed := make(chan error, 1)
			go func() { failed <- errors.Join(away.fail(primary, proxy), standby.Promote()) }()
			var over error
			for done := false; !done; {
				require.NoError(t, c.append(t, j))
				select {
				case over = <-failed:
					done = true
				default:
				}
			}
			require.NoError(t, over)
			for range 100 {
				require.NoError(t, c.append(t, j))
			}
			_, got, err := load(t, postgres.New(poolAt(t, standby.URL()), opts), "p")
			require.NoError(t, err)
			c.stands(t, got, nil)
			require.NoError(t, away.undo(primary, proxy))
		})
	}
}
