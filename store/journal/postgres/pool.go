package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NewPool returns a pool for engines and directories. config comes from
// pgxpool.ParseConfig. NewPool makes each connection remember the server's warnings,
// and keeps what AfterConnect and OnNotice do. The caller closes the pool when nothing
// uses it any more.
func NewPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	config = config.Copy()
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[warningsKey] = new(string)
		if after == nil {
			return nil
		}
		return after(ctx, conn)
	}
	notice := config.ConnConfig.OnNotice
	config.ConnConfig.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if w := warningsOf(conn); w != nil && n.SeverityUnlocalized == "WARNING" {
			*w = n.Message
		}
		if notice != nil {
			notice(conn, n)
		}
	}
	return pgxpool.NewWithConfig(ctx, config)
}

const warningsKey = "github.com/loopstore/loopstore/store/journal/postgres"

// warningsOf returns the place of a connection's last warning, nil if the connection
// is of no pool of NewPool. When the wait for a standby is called off, the commit
// succeeds with a mere warning. Its text is in the server's language, and its code is
// that of any warning. So every warning counts.
func warningsOf(conn *pgconn.PgConn) *string {
	w, _ := conn.CustomData()[warningsKey].(*string)
	return w
}
