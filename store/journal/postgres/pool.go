package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// NewPool makes a pool for engines and directories, of a config that
// pgxpool.ParseConfig has made. It adds to the config that each connection
// remembers warnings; what AfterConnect and OnNotice do besides, they still do.
// Close it when all that uses it has ended.
func NewPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	config = config.Copy()
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[warningsKey] = &warnings{}
		if after == nil {
			return nil
		}
		return after(ctx, conn)
	}
	notice := config.ConnConfig.OnNotice
	config.ConnConfig.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if w := warningsOf(conn); w != nil && n.SeverityUnlocalized == "WARNING" {
			w.message = n.Message
		}
		if notice != nil {
			notice(conn, n)
		}
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// warnings are those that came on a connection. A commit that was not waited for
// to the end succeeds with no more than a warning; its text is in the language
// of the server, and its code that of any other. So each counts.
type warnings struct{ message string }

const warningsKey = "github.com/loopstore/loopstore/store/journal/postgres"

func warningsOf(conn *pgconn.PgConn) *warnings {
	w, _ := conn.CustomData()[warningsKey].(*warnings)
	return w
}
