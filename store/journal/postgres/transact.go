package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const defaultTimeout = 15 * time.Second

// A database is a schema of a database: what an Engine and a Directory use.
type database struct {
	pool    *pgxpool.Pool
	schema  string
	timeout time.Duration
	sql     statements
}

func newDatabase(pool *pgxpool.Pool, opts Options) database {
	opts.Schema = schemaOr(opts.Schema)
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
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
// committed, and as durable as the server makes it. After any error but a refusal and
// one of a batch's own callbacks it may be committed all the same, now or later.
func (d *database) transact(ctx context.Context, batches ...*pgx.Batch) error {
	return d.within(ctx, func(tx *transaction) error {
		batches[len(batches)-1].Queue("commit")
		for _, b := range batches {
			if err := tx.send(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
}

// within runs a transaction, from begin to commit, on one connection.
func (d *database) within(ctx context.Context, do func(*transaction) error) error {
	tx, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer tx.release(ctx)
	tx.session.warning = ""
	if err := do(tx); err != nil {
		return err
	}
	if w := tx.session.warning; w != "" {
		return fmt.Errorf("the transaction came with a warning: %s", w)
	}
	return nil
}

// A transaction has a connection for itself.
type transaction struct {
	db      *database
	conn    *pgxpool.Conn
	session *session
}

// acquire returns a connection, but none to a server that was a standby when it was
// made: by now its address may be another server's.
func (d *database) acquire(ctx context.Context) (*transaction, error) {
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	end, _ := limited.Deadline()
	waiting := &waiter{patience: time.Until(end)}
	limited = context.WithValue(limited, waiterKey{}, waiting)
	unsent := errUnsent
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := d.pool.Acquire(limited)
		if err != nil {
			if waiting.asked != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
				waiting.asked.lost(d.pool)
			}
			return nil, fmt.Errorf("%w: %w", unsent, d.late(ctx, limited, "none", err))
		}
		tx := &transaction{d, conn, sessionOf(conn.Conn().PgConn())}
		switch {
		case tx.session == nil:
			conn.Release()
			return nil, ErrPool
		case !tx.session.standby:
			return tx, nil
		}
		tx.drop(ctx)
		unsent = errOnlyStandby
		wait(limited, pause)
	}
}

// late says of an error whether it is due to this package's own deadline.
func (d *database) late(ctx, limited context.Context, what string, err error) error {
	if limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%s within %s: %w", what, d.timeout, err)
}

// release gives the connection back, which closes it if a transaction is open. When it
// was lost, so may the others be that are idle. The pool would keep its place until the
// client has said goodbye, for which it waits 15 seconds for a silent server: so it is
// taken out.
func (tx *transaction) release(ctx context.Context) {
	if !tx.conn.Conn().IsClosed() {
		tx.conn.Release()
		return
	}
	tx.conn.Hijack()
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		tx.session.lost(tx.db.pool)
	}
}

// drop closes the connection, and those that are idle.
func (tx *transaction) drop(ctx context.Context) {
	_ = tx.conn.Conn().Close(ctx)
	tx.release(ctx)
}

// send sends a batch, and reads its results.
func (tx *transaction) send(ctx context.Context, b *pgx.Batch) error {
	if !tx.session.named {
		return tx.sendUnnamed(ctx, b)
	}
	return tx.bounded(ctx, func(ctx context.Context) error { return tx.conn.SendBatch(ctx, b).Close() })
}

// sendUnbounded is send without a deadline of its own.
func (tx *transaction) sendUnbounded(ctx context.Context, b *pgx.Batch) error {
	if tx.session.named {
		return tx.judged(ctx, tx.conn.SendBatch(ctx, b).Close())
	}
	return tx.judged(ctx, sendUnnamed(ctx, tx.conn.Conn(), b))
}

func (tx *transaction) sendUnnamed(ctx context.Context, b *pgx.Batch) error {
	return tx.bounded(ctx, func(ctx context.Context) error { return sendUnnamed(ctx, tx.conn.Conn(), b) })
}

// bounded runs one round trip.
func (tx *transaction) bounded(ctx context.Context, send func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, tx.db.timeout)
	defer cancel()
	return tx.judged(ctx, tx.db.late(ctx, limited, "no answer", send(limited)))
}

// judged marks what the server has refused. It closes the connection if that shows
// that its server takes no writes, and does without names if they mean something else
// there.
func (tx *transaction) judged(ctx context.Context, err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if _, emitted := errors.AsType[emitError](err); emitted || !ok {
		return err
	}
	switch conn := tx.conn.Conn(); {
	case conn.IsClosed() || e.SeverityUnlocalized != "ERROR": // it has ended the session, perhaps in a commit
		return cleaned(err)
	case slices.Contains(readOnly, e.Code):
		_ = conn.Close(ctx)
	case slices.Contains(forgotten, e.Code):
		tx.session.named = false
	}
	return refusal{cleaned(err)}
}

// readOnly are the codes of a server that takes no writes: a standby, or one that
// became read-only.
var readOnly = []string{"25006", "0A000"}

// forgotten are the codes of a server that knows other statements by their names than
// it was told: somebody has dropped them, or there is a pooler that looks like none.
var forgotten = []string{"26000", "42P05"}

// A refusal is an error of a server that goes on: the transaction has changed nothing,
// and never will.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// lasting reports whether the server is likely to refuse the same again, for want of
// room or because of what the transaction brings.
func (r refusal) lasting() bool {
	e, ok := errors.AsType[*pgconn.PgError](r.error)
	return ok && (e.Code == "53100" || slices.Contains([]string{"22", "23", "54"}, e.Code[:2]))
}

// These mean that nothing was sent.
var (
	errUnsent      = errors.New("no connection")
	errOnlyStandby = fmt.Errorf("%w but to a standby, which takes no writes", errUnsent)
)
