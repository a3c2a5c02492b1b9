package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A database is what an engine and a directory have: a schema of a database.
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

// begin returns what begins a transaction that writes.
func (d *database) begin() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(beginWriting)
	b.Queue(d.sql.settings)
	return b
}

// transact runs a transaction: each batch in one round trip, with a deadline of
// its own, the first one from begin. It returns nil when the transaction is
// committed and as durable as the server makes it. After any error but one of a
// batch's own callbacks it may be committed all the same, or be later.
func (d *database) transact(ctx context.Context, batches ...*pgx.Batch) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one that is in a transaction
	w := warningsOf(conn.Conn().PgConn())
	if w == nil {
		return ErrPool
	}
	*w = warnings{}
	batches[len(batches)-1].Queue("commit")
	for _, b := range batches {
		if err := d.send(ctx, conn, b); err != nil {
			return err
		}
	}
	if w.message != "" {
		return fmt.Errorf("the commit came with a warning: %s", w.message)
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
