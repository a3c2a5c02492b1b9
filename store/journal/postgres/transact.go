package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A database is a schema of a database: what an Engine and a Directory use.
type database struct {
	pool    *pgxpool.Pool
	schema  string
	timeout time.Duration
	sql     statements
}

func newDatabase(pool *pgxpool.Pool, opts Options) database {
	if opts.Schema == "" {
		opts.Schema = "loopstore"
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 15 * time.Second
	}
	return database{pool, opts.Schema, opts.Timeout, statementsOf(opts.Schema, opts.Timeout)}
}

// begin returns the begin of a transaction that writes.
func (d *database) begin() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(beginWriting)
	b.Queue(d.sql.settings)
	return b
}

// transact runs a transaction: each batch in one round trip, with a deadline of its
// own. The first batch is from begin. transact returns nil once the transaction is
// committed, and as durable as the server makes it. After any error but one of a
// batch's own callbacks it may be committed all the same, now or later.
func (d *database) transact(ctx context.Context, batches ...*pgx.Batch) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes the connection if a transaction is open
	w := warningsOf(conn.Conn().PgConn())
	if w == nil {
		return ErrPool
	}
	*w = ""
	batches[len(batches)-1].Queue("commit")
	for _, b := range batches {
		if err := d.send(ctx, conn, b); err != nil {
			return err
		}
	}
	if *w != "" {
		return fmt.Errorf("the commit came with a warning: %s", *w)
	}
	return nil
}

func (d *database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.pool.Acquire(ctx)
}

func (d *database) send(ctx context.Context, conn *pgxpool.Conn, b *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return cleaned(conn.SendBatch(ctx, b).Close())
}
