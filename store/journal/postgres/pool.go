package postgres

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NewPool returns a pool for engines and directories. config comes from
// pgxpool.ParseConfig. NewPool makes each connection remember the server's warnings,
// looks who answers on it, and shares the time for connecting among the servers that
// config names, so that a silent one does not use up the others'. It keeps what the
// hooks of config do. The caller closes the pool when nothing uses it any more.
//
// A program may use the pool for other things too. An engine that finds a silent or a
// broken connection has the pool's idle ones closed, and makes new ones.
func NewPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	config = config.Copy()
	before, after := config.BeforeConnect, config.AfterConnect
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error {
		if before != nil {
			if err := before(ctx, c); err != nil {
				return err
			}
		}
		notice := c.OnNotice // the hook may have set one
		c.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
			if s := sessionOf(conn); s != nil && n.SeverityUnlocalized == "WARNING" {
				s.warning = n.Message
			}
			if notice != nil {
				notice(conn, n)
			}
		}
		boundConnect(ctx, c)
		return nil
	}
	should := config.ShouldPing
	config.ShouldPing = func(ctx context.Context, p pgxpool.ShouldPingParams) bool {
		ping := should == nil && p.IdleDuration > time.Second || should != nil && should(ctx, p)
		if w := waiterOf(ctx); w != nil && ping {
			w.asked = sessionOf(p.Conn.PgConn())
		}
		return ping
	}
	last := new(reset)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := greet(ctx, conn, last); err != nil || after == nil {
			return err
		}
		return after(ctx, conn)
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// A waiter is an engine or a directory that asks the pool for a connection.
type waiter struct {
	patience time.Duration // for how long
	asked    *session      // of an idle connection that has not answered yet
}

type waiterKey struct{}

// waiterOf returns nil if somebody else asks.
func waiterOf(ctx context.Context) *waiter {
	w, _ := ctx.Value(waiterKey{}).(*waiter)
	return w
}

// boundConnect gives each server its share of that time, but a second at least: the
// connecting goes on when nobody waits any more, and who asks next has its result. It
// does not know how many addresses a name has.
func boundConnect(ctx context.Context, c *pgx.ConnConfig) {
	patience := defaultTimeout
	if w := waiterOf(ctx); w != nil {
		patience = w.patience
	}
	servers := map[string]bool{serverName(c.Host, c.Port): true}
	for _, f := range c.Fallbacks { // one server may be there twice, with TLS and without
		servers[serverName(f.Host, f.Port)] = true
	}
	share := max(patience/time.Duration(len(servers)), time.Second)
	if c.ConnectTimeout <= 0 || c.ConnectTimeout > share {
		c.ConnectTimeout = share
	}
}

func serverName(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// A session is what is known of a connection of NewPool.
type session struct {
	// warning is the last one of the server. When the wait for a standby is called
	// off, the commit succeeds with a mere warning. Its text is in the server's
	// language, and its code is that of any warning. So every warning counts.
	warning string

	pooled bool // a pooler is in between

	// named means that statements can be prepared under names: the mode asks for it,
	// and there is no pooler, whose connections would not share them.
	named bool

	standby bool // when the connection was made
	made    time.Time
	reset   *reset
}

// A reset is the last time at which a pool's connections were given up.
type reset struct {
	mu sync.Mutex
	at time.Time
}

// lost gives up the pool's connections, because this one is lost. Those that are in
// use, or being made, are closed afterwards. If this one is older than the last time,
// its loss says nothing of those that have come since.
func (s *session) lost(pool *pgxpool.Pool) {
	s.reset.mu.Lock()
	defer s.reset.mu.Unlock()
	if s.made.After(s.reset.at) {
		s.reset.at = time.Now()
		pool.Reset()
	}
}

const sessionKey = "github.com/loopstore/loopstore/store/journal/postgres"

// sessionOf returns nil if the connection is of no pool of NewPool.
func sessionOf(conn *pgconn.PgConn) *session {
	s, _ := conn.CustomData()[sessionKey].(*session)
	return s
}

// greet asks who answers on a new connection. A pooler has told the number of no
// process of the server, but one of its own.
func greet(ctx context.Context, conn *pgx.Conn, last *reset) error {
	config := conn.Config()
	ctx, cancel := context.WithTimeout(ctx, config.ConnectTimeout)
	defer cancel()
	var pid int64
	s := &session{made: time.Now(), reset: last}
	b := &pgx.Batch{}
	b.Queue(`select pg_catalog.pg_backend_pid()::pg_catalog.int8, pg_catalog.pg_is_in_recovery()`).
		QueryRow(func(row pgx.Row) error { return row.Scan(&pid, &s.standby) })
	if err := sendUnnamed(ctx, conn, b); err != nil {
		return err
	}
	s.pooled = pid != int64(conn.PgConn().PID())
	s.named = !s.pooled && config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement && config.StatementCacheCapacity > 0
	conn.PgConn().CustomData()[sessionKey] = s
	return nil
}
