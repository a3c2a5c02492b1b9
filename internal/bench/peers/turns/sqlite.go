package turns

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/turn"
)

// An input is a run as well. Its fence goes up whenever somebody takes it. The lines of a
// conversation stand together, and long rows have no place in a table WITHOUT ROWID.
const schema = `
CREATE TABLE IF NOT EXISTS agents (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS inputs (
	id       INTEGER PRIMARY KEY,
	agent    INTEGER NOT NULL REFERENCES agents,
	key      TEXT,
	body     BLOB NOT NULL,
	state    TEXT NOT NULL DEFAULT 'queued', -- staged, applied, consumed
	fence    INTEGER NOT NULL DEFAULT 0,
	accepted INTEGER NOT NULL, -- nanoseconds since 1970
	UNIQUE (agent, key)
);
CREATE INDEX IF NOT EXISTS waiting ON inputs (id) WHERE state = 'queued';
CREATE UNIQUE INDEX IF NOT EXISTS busy ON inputs (agent) WHERE state IN ('staged', 'applied');

CREATE TABLE IF NOT EXISTS messages (
	id   INTEGER PRIMARY KEY, -- the agent's, times 2^32, and the place in its conversation
	line BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS receipts (
	run      INTEGER NOT NULL REFERENCES inputs,
	sequence INTEGER NOT NULL,
	messages INTEGER NOT NULL, -- in the conversation by then
	at       INTEGER NOT NULL,
	PRIMARY KEY (run, sequence)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tool_calls (
	run       INTEGER NOT NULL REFERENCES inputs,
	id        TEXT NOT NULL,
	tool      TEXT NOT NULL,
	arguments BLOB,
	attempts  INTEGER NOT NULL DEFAULT 1,
	result    BLOB,
	UNIQUE (run, id)
);
`

type database struct {
	writer, readers *sql.DB
	wake            chan struct{} // has a token if a worker that waits should look again
	commits         atomic.Uint64

	addAgent, addInput, claim, check, move *sql.Stmt
	addLine, addReceipt                    *sql.Stmt
	addCall, again, result, open, underWay *sql.Stmt
	takeOver, callsOf, conversation        *sql.Stmt
}

// OpenSQLite opens a database in a file. There is one connection that writes, and there are
// some that read. Synchronous is FULL, and what is acknowledged survives a power failure,
// or NORMAL, and it may not.
func OpenSQLite(ctx context.Context, file, synchronous string) (_ Storage, err error) {
	d := &database{wake: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	name := "file:" + url.PathEscape(file) + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(" + synchronous + ")"
	if d.writer, err = sql.Open("sqlite", name+"&_txlock=immediate"); err != nil {
		return nil, err
	}
	d.writer.SetMaxOpenConns(1)
	if _, err := d.writer.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	if d.readers, err = sql.Open("sqlite", name+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	d.readers.SetMaxOpenConns(max(4, runtime.NumCPU()))
	d.readers.SetMaxIdleConns(max(4, runtime.NumCPU()))
	return d, d.prepare(ctx)
}

func (d *database) prepare(ctx context.Context) (err error) {
	for _, p := range []struct {
		into **sql.Stmt
		on   *sql.DB
		text string
	}{
		{&d.addAgent, d.writer, `INSERT INTO agents (name) VALUES (?) ON CONFLICT DO NOTHING`},
		{&d.addInput, d.writer, `INSERT INTO inputs (agent, key, body, accepted)
			VALUES ((SELECT id FROM agents WHERE name = ?), ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&d.claim, d.writer, `UPDATE inputs SET state = 'staged', fence = fence + 1
			WHERE id = (SELECT id FROM inputs AS next WHERE state = 'queued'
				AND NOT EXISTS (SELECT 1 FROM inputs WHERE agent = next.agent AND state IN ('staged', 'applied'))
				ORDER BY id LIMIT 1)
			RETURNING id, agent, (SELECT name FROM agents WHERE id = agent), body, fence`},
		{&d.check, d.writer, `SELECT 1 FROM inputs WHERE id = ? AND fence = ? AND state = 'applied'`},
		{&d.move, d.writer, `UPDATE inputs SET state = ? WHERE id = ? AND fence = ? AND state = ? RETURNING 1`},
		{&d.addLine, d.writer, `INSERT INTO messages SELECT coalesce((SELECT id FROM messages
			WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32 ORDER BY id DESC LIMIT 1) + 1, ?1 << 32), ?2`},
		{&d.addReceipt, d.writer, `INSERT INTO receipts SELECT ?1,
			coalesce((SELECT sequence FROM receipts WHERE run = ?1 ORDER BY sequence DESC LIMIT 1) + 1, 0),
			coalesce((SELECT id - (?2 << 32) FROM messages
				WHERE id >= ?2 << 32 AND id < (?2 + 1) << 32 ORDER BY id DESC LIMIT 1) + 1, 0), ?3`},
		{&d.addCall, d.writer, `INSERT INTO tool_calls (run, id, tool, arguments) VALUES (?, ?, ?, ?)`},
		{&d.again, d.writer, `UPDATE tool_calls SET attempts = attempts + 1 WHERE run = ? AND id = ? AND result IS NULL RETURNING 1`},
		{&d.result, d.writer, `UPDATE tool_calls SET result = ?3 WHERE run = ?1 AND id = ?2 AND result IS NULL RETURNING 1`},
		{&d.open, d.writer, `SELECT count(*) FROM tool_calls WHERE run = ? AND result IS NULL`},
		{&d.underWay, d.writer, `SELECT id, agent, (SELECT name FROM agents WHERE id = agent), body, fence, state
			FROM inputs WHERE state IN ('staged', 'applied')`},
		{&d.takeOver, d.writer, `UPDATE inputs SET fence = fence + 1, state = ? WHERE id = ?`},
		{&d.callsOf, d.writer, `SELECT id, tool, arguments FROM tool_calls WHERE run = ? AND result IS NULL`},
		{&d.conversation, d.readers, `SELECT line FROM agents JOIN messages
			ON messages.id >= agents.id << 32 AND messages.id < (agents.id + 1) << 32
			WHERE name = ? ORDER BY messages.id`},
	} {
		if *p.into, err = p.on.PrepareContext(ctx, p.text); err != nil {
			return fmt.Errorf("%s: %w", p.text, err)
		}
	}
	return nil
}

func (d *database) Close() (err error) {
	for _, db := range []*sql.DB{d.readers, d.writer} { // the last one that closes checkpoints
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

func (d *database) Commits() uint64 { return d.commits.Load() }

func (d *database) Compact(ctx context.Context) error {
	_, err := d.writer.ExecContext(ctx, "VACUUM")
	return err
}

// write does all of a transaction or nothing. A call that waits for the connection can be
// given up. Its statements run to their end, so that it is known whether it was done.
func (d *database) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it does nothing after a commit
	if err := do(context.WithoutCancel(ctx), tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	d.commits.Add(1)
	return nil
}

// must runs a statement that has a row if what should stand does.
func must(ctx context.Context, tx *sql.Tx, s *sql.Stmt, args ...any) error {
	var one int
	err := tx.StmtContext(ctx, s).QueryRowContext(ctx, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrConflict
	}
	return err
}

func apply(ctx context.Context, tx *sql.Tx, s *sql.Stmt, args ...any) error {
	_, err := tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	return err
}

// look has one worker that waits look again.
func (d *database) look() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *database) Enqueue(ctx context.Context, agent store.RuntimeID, key string, body json.RawMessage) (repeated bool, err error) {
	err = d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := apply(ctx, tx, d.addAgent, string(agent)); err != nil {
			return err
		}
		name := sql.NullString{String: key, Valid: key != ""}
		done, err := tx.StmtContext(ctx, d.addInput).ExecContext(ctx, string(agent), name, []byte(body), time.Now().UnixNano())
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		repeated = n == 0
		return err
	})
	d.look()
	return repeated, err
}

func (d *database) Next(ctx context.Context) (Turn, error) {
	for {
		t := &sqlTurn{d: d}
		err := d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return tx.StmtContext(ctx, d.claim).QueryRowContext(ctx).Scan(&t.id, &t.agentID, &t.agent, &t.body, &t.fence)
		})
		if err == nil {
			d.look() // there may be more
			return t, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			d.look() // it may have been woken for somebody else
			return nil, err
		}
		select {
		case <-d.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (d *database) Recover(ctx context.Context) (turns []Turn, err error) {
	defer d.look()
	return turns, d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var found []*sqlTurn
		if err := each(ctx, tx.StmtContext(ctx, d.underWay), nil, func(rows *sql.Rows) error {
			t, state := &sqlTurn{d: d}, ""
			found = append(found, t)
			err := rows.Scan(&t.id, &t.agentID, &t.agent, &t.body, &t.fence, &state)
			t.begun = state == "applied"
			return err
		}); err != nil {
			return err
		}
		for _, t := range found {
			if !t.begun {
				if err := apply(ctx, tx, d.takeOver, "queued", t.id); err != nil {
					return err
				}
				continue
			}
			t.fence++
			if err := apply(ctx, tx, d.takeOver, "applied", t.id); err != nil {
				return err
			}
			if err := each(ctx, tx.StmtContext(ctx, d.callsOf), []any{t.id}, func(rows *sql.Rows) error {
				c := turn.Call{Run: t.run()}
				err := rows.Scan(&c.ID, &c.Tool, (*[]byte)(&c.Arguments))
				t.calls = append(t.calls, c)
				return err
			}); err != nil {
				return err
			}
			turns = append(turns, t)
		}
		return nil
	})
}

// each calls do for each row of a query.
func each(ctx context.Context, s *sql.Stmt, args []any, do func(*sql.Rows) error) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has its error
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *database) Conversation(ctx context.Context, agent store.RuntimeID) (lines []byte, err error) {
	err = each(ctx, d.conversation, []any{string(agent)}, func(rows *sql.Rows) error {
		var line sql.RawBytes
		err := rows.Scan(&line)
		lines = append(lines, line...)
		return err
	})
	return lines, err
}

// A sqlTurn is an input that a worker has.
type sqlTurn struct {
	d                  *database
	id, agentID, fence int64
	agent              string
	body               []byte
	begun              bool
	calls              []turn.Call // that have no result, after Recover
}

func (t *sqlTurn) Agent() store.RuntimeID   { return store.RuntimeID(t.agent) }
func (t *sqlTurn) Message() json.RawMessage { return t.body }
func (t *sqlTurn) Begun() bool              { return t.begun }
func (t *sqlTurn) MaybeDone() []turn.Call   { return t.calls }
func (t *sqlTurn) run() store.RunID         { return store.RunIDOf(fmt.Sprint("turn/", t.id)) }

// step stores a step with its lines and its receipt. Do fails if the turn is somebody else's.
func (t *sqlTurn) step(ctx context.Context, lines []byte, do func(context.Context, *sql.Tx) error) error {
	return t.d.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := do(ctx, tx); err != nil {
			return err
		}
		for line := range bytes.Lines(lines) {
			if err := apply(ctx, tx, t.d.addLine, t.agentID, line); err != nil {
				return err
			}
		}
		return apply(ctx, tx, t.d.addReceipt, t.id, t.agentID, time.Now().UnixNano())
	})
}

func (t *sqlTurn) Begin(ctx context.Context, line []byte) error {
	err := t.step(ctx, line, func(ctx context.Context, tx *sql.Tx) error {
		return must(ctx, tx, t.d.move, "applied", t.id, t.fence, "staged")
	})
	t.begun = err == nil
	return err
}

func (t *sqlTurn) Intend(ctx context.Context, c *turn.Call, lines []byte) error {
	c.Run = t.run()
	return t.step(ctx, lines, func(ctx context.Context, tx *sql.Tx) error {
		if err := must(ctx, tx, t.d.check, t.id, t.fence); err != nil {
			return err
		}
		return apply(ctx, tx, t.d.addCall, t.id, c.ID, c.Tool, []byte(c.Arguments))
	})
}

func (t *sqlTurn) Again(ctx context.Context, id string) error {
	return t.step(ctx, nil, func(ctx context.Context, tx *sql.Tx) error {
		if err := must(ctx, tx, t.d.check, t.id, t.fence); err != nil {
			return err
		}
		return must(ctx, tx, t.d.again, t.id, id)
	})
}

func (t *sqlTurn) Result(ctx context.Context, id string, result json.RawMessage, lines []byte) error {
	return t.step(ctx, lines, func(ctx context.Context, tx *sql.Tx) error {
		if err := must(ctx, tx, t.d.check, t.id, t.fence); err != nil {
			return err
		}
		return must(ctx, tx, t.d.result, t.id, id, []byte(result))
	})
}

func (t *sqlTurn) Finish(ctx context.Context, lines []byte) error {
	err := t.step(ctx, lines, func(ctx context.Context, tx *sql.Tx) error {
		var without int
		if err := tx.StmtContext(ctx, t.d.open).QueryRowContext(ctx, t.id).Scan(&without); err != nil {
			return err
		}
		if without > 0 {
			return &turn.CallError{Reason: "one has no result"}
		}
		return must(ctx, tx, t.d.move, "consumed", t.id, t.fence, "applied")
	})
	t.d.look() // at what the agent has next
	return err
}
