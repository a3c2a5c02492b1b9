package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// schema has the tables. Runtime ids are blobs, because they may hold a zero byte.
// Sequences and numbers of messages are blobs too, of 8 bytes in big-endian order, because
// SQLite's integers end at 2^63-1. The order of the rows is the order of the inputs.
const schema = `
CREATE TABLE IF NOT EXISTS states (
	runtime BLOB NOT NULL PRIMARY KEY,
	state   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sessions (
	runtime  BLOB NOT NULL PRIMARY KEY,
	snapshot BLOB NOT NULL,
	format   INTEGER NOT NULL,
	messages BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS inputs (
	place   INTEGER PRIMARY KEY,
	runtime BLOB NOT NULL,
	input   BLOB NOT NULL,
	state   BLOB NOT NULL, -- JSON without the payload
	payload BLOB,          -- the input itself, NULL if it is absent
	UNIQUE (runtime, input)
);
CREATE INDEX IF NOT EXISTS inputs_in_order ON inputs (runtime, place);

CREATE TABLE IF NOT EXISTS receipts (
	runtime  BLOB NOT NULL,
	run      BLOB NOT NULL,
	sequence BLOB NOT NULL,
	receipt  BLOB NOT NULL, -- JSON
	PRIMARY KEY (runtime, run, sequence)
) WITHOUT ROWID;
`

// statements are the prepared statements.
type statements struct {
	begin, commit, rollback                    *sql.Stmt
	putState, putSession, putInput, putReceipt *sql.Stmt
	state, session, whole                      *sql.Stmt
	input, inputs, receipt, highestOf          *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) (err error) {
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.begin, `BEGIN IMMEDIATE`},
		{&s.commit, `COMMIT`},
		{&s.rollback, `ROLLBACK`},
		{&s.putState, `INSERT INTO states VALUES (?, ?)
			ON CONFLICT DO UPDATE SET state = excluded.state`},
		{&s.putSession, `INSERT INTO sessions VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET snapshot = excluded.snapshot, format = excluded.format, messages = excluded.messages`},
		{&s.putInput, `INSERT INTO inputs (runtime, input, state, payload) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET state = excluded.state, payload = excluded.payload`},
		{&s.putReceipt, `INSERT INTO receipts VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET receipt = excluded.receipt`},
		{&s.state, `SELECT state FROM states WHERE runtime = ?`},
		{&s.whole, `SELECT snapshot, format, messages FROM sessions WHERE runtime = ?`},
		{&s.session, `SELECT snapshot FROM sessions WHERE runtime = ?`},
		{&s.input, `SELECT state, payload FROM inputs WHERE runtime = ? AND input = ?`},
		{&s.inputs, `SELECT state, payload FROM inputs WHERE runtime = ? ORDER BY place`},
		{&s.receipt, `SELECT receipt FROM receipts WHERE runtime = ? AND run = ? AND sequence = ?`},
		{&s.highestOf, `SELECT sequence FROM receipts WHERE runtime = ? AND run = ? ORDER BY sequence DESC LIMIT 1`},
	} {
		if *p.into, err = conn.PrepareContext(ctx, p.text); err != nil {
			return fmt.Errorf("%s: %w", p.text, err)
		}
	}
	return nil
}

// A row is an input's row.
type row struct {
	input          store.InputID
	state, payload []byte
}

// rowOf returns the row of a valid state. The payload has a column of its own, because JSON
// that is written inside JSON would lose its white space.
func rowOf(state store.InputState) (r row, err error) {
	r.input, r.payload = state.InputID, state.PersistedInput
	state.PersistedInput = nil
	r.state, err = state.MarshalJSON()
	return r, err
}

func rowsOf(states []store.InputState) ([]row, error) {
	all := make([]row, len(states))
	for i := range states {
		var err error
		if all[i], err = rowOf(states[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r *row) value() (state store.InputState, err error) {
	err = state.UnmarshalJSON(r.state)
	state.PersistedInput = r.payload
	return state, err
}
