// Package sqlite is a store in SQLite without C: modernc.org/sqlite v1.62.0. The database
// is in memory, so that nothing waits for a disk, or in a file.
//
// There is one connection, because a database in memory belongs to its connection. Its
// statements are prepared once. Each operation is a transaction, or a single statement,
// which is one by itself. Values are JSON, beside the columns that are looked up. Sessions
// are read, and values encoded, before the transaction; only the updates of a boundary
// commit are encoded within it, because they need the sequence.
//
// A call that waits for the connection can be given up. Once it has the connection, its
// statements run without its context. With a context, the driver starts a goroutine for
// each statement, and may return the context's error for a statement that was applied.
// SQLite refuses values of more than a billion bytes.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"net/url"

	_ "modernc.org/sqlite" // the driver

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// A Store keeps its data in a database. Open and OpenFile make one.
type Store struct {
	gate rules.Gate
	turn chan struct{} // has room for one; the call that has sent has the connection
	db   *sql.DB
	conn *sql.Conn
	statements
}

var _ store.RuntimeStore = (*Store)(nil)

// Open returns an empty store, in memory.
func Open() (*Store, error) { return connect(":memory:") }

// OpenFile returns a store in a file. What it acknowledges survives a power failure: there
// is a write-ahead log, and a sync for each transaction.
func OpenFile(path string) (*Store, error) {
	return connect("file:" + url.PathEscape(path) + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
}

func connect(name string) (*Store, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	s := &Store{turn: make(chan struct{}, 1), db: db}
	if s.conn, err = db.Conn(ctx); err == nil {
		_, err = s.conn.ExecContext(ctx, schema)
	}
	if err == nil {
		err = s.prepare(ctx, s.conn)
	}
	if err != nil {
		return nil, cmp.Or(err, s.Close())
	}
	return s, nil
}

// Close waits for the call that has the connection. Later ones get
// store.ErrClosed.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer s.leave()
	if !s.gate.Shut() {
		return nil
	}
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	return cmp.Or(s.db.Close(), err)
}

// enter waits for the connection. The caller must call leave unless enter returns an error,
// and must use the context that enter returns, which does not end.
func (s *Store) enter(ctx context.Context) (context.Context, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.gate.Pass(); err != nil {
		s.leave()
		return nil, err
	}
	return context.WithoutCancel(ctx), nil
}

func (s *Store) leave() { <-s.turn }

// exec runs one statement. Outside of a transaction, it is one by itself.
func exec(ctx context.Context, statement *sql.Stmt, args ...any) error {
	_, err := statement.ExecContext(ctx, args...)
	return err
}

// update applies all of a write or nothing.
func (s *Store) update(ctx context.Context, do func(context.Context) error) (err error) {
	if ctx, err = s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := exec(ctx, s.begin); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // also if do has panicked
			err = cmp.Or(err, exec(ctx, s.rollback))
		}
	}()
	if err := do(ctx); err != nil {
		return err
	}
	err = exec(ctx, s.commit)
	done = err == nil
	return err
}

// put stores inputs.
func (s *Store) put(ctx context.Context, id store.RuntimeID, rows ...row) error {
	for i := range rows {
		r := &rows[i]
		if err := exec(ctx, s.putInput, []byte(id), r.input[:], r.state, r.payload); err != nil {
			return err
		}
	}
	return nil
}

// mint stores the receipt of a boundary, with the next sequence, and the updates.
func (s *Store) mint(ctx context.Context, id store.RuntimeID, receipt *store.RunBoundaryReceipt, updates []store.InputState) error {
	highest, found, err := s.highest(ctx, id, receipt.RunID)
	if err != nil {
		return err
	}
	if receipt.Sequence, err = rules.Next(receipt.RunID, highest, found); err != nil {
		return err
	}
	rules.Stamp(updates, receipt.RunID, receipt.Sequence)
	rows, err := rowsOf(updates)
	if err != nil {
		return err
	}
	text, err := receipt.MarshalJSON()
	if err != nil {
		return err
	}
	if err := exec(ctx, s.putReceipt, []byte(id), receipt.RunID[:], number(receipt.Sequence), text); err != nil {
		return err
	}
	return s.put(ctx, id, rows...)
}

// CommitSessionBoundary reads the session. Then it mints the receipt, and stores the
// session, the receipt and the updates in one transaction.
func (s *Store) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	var none store.RunBoundaryReceipt
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckCommit(id, &commit)); err != nil {
		return none, err
	}
	session, err := rules.ReadAhead(&commit.Session, store.FormatMeerkat)
	if err != nil {
		return none, err
	}
	var receipt store.RunBoundaryReceipt
	updates := append([]store.InputState(nil), commit.InputUpdates...)
	if err := s.update(ctx, func(ctx context.Context) (err error) {
		if session == nil {
			if session, err = s.readAppended(ctx, id, &commit.Session); err != nil {
				return err
			}
		}
		receipt = rules.Mint(&commit, session, 0)
		if err := s.mint(ctx, id, &receipt, updates); err != nil {
			return err
		}
		return s.store(ctx, id, &commit.Session, session)
	}); err != nil {
		return none, err
	}
	return receipt, nil
}

// AtomicApply stores the caller's receipt, with any snapshot and input updates.
func (s *Store) AtomicApply(ctx context.Context, id store.RuntimeID, apply store.BoundaryApply) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckApply(id, &apply)); err != nil {
		return err
	}
	updates, err := rowsOf(apply.InputUpdates)
	if err != nil {
		return err
	}
	receipt := &apply.Receipt
	text, err := receipt.MarshalJSON()
	if err != nil {
		return err
	}
	var session *rules.Session
	if apply.Session != nil {
		if session, err = rules.ReadAhead(apply.Session, store.FormatUnset); err != nil {
			return err
		}
	}
	return s.update(ctx, func(ctx context.Context) (err error) {
		if apply.Session != nil && session == nil {
			if session, err = s.readAppended(ctx, id, apply.Session); err != nil {
				return err
			}
		}
		if session != nil {
			if err := s.store(ctx, id, apply.Session, session); err != nil {
				return err
			}
		}
		if err := exec(ctx, s.putReceipt, []byte(id), receipt.RunID[:], number(receipt.Sequence), text); err != nil {
			return err
		}
		return s.put(ctx, id, updates...)
	})
}

// PersistInputState stores an input's state.
func (s *Store) PersistInputState(ctx context.Context, id store.RuntimeID, state store.InputState) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckInput(id, &state)); err != nil {
		return err
	}
	r, err := rowOf(state)
	if err != nil {
		return err
	}
	if ctx, err = s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.put(ctx, id, r)
}

// PersistRuntimeState stores the runtime's state.
func (s *Store) PersistRuntimeState(ctx context.Context, id store.RuntimeID, state store.RuntimeState) (err error) {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckState(id, state)); err != nil {
		return err
	}
	if ctx, err = s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return exec(ctx, s.putState, []byte(id), string(state))
}

// AtomicLifecycleCommit stores the runtime's state and input states in one step.
func (s *Store) AtomicLifecycleCommit(ctx context.Context, id store.RuntimeID, commit store.LifecycleCommit) error {
	if err := cmp.Or(s.gate.Enter(ctx), rules.CheckLifecycle(id, &commit)); err != nil {
		return err
	}
	rows, err := rowsOf(commit.InputStates)
	if err != nil {
		return err
	}
	return s.update(ctx, func(ctx context.Context) error {
		if err := exec(ctx, s.putState, []byte(id), string(commit.RuntimeState)); err != nil {
			return err
		}
		return s.put(ctx, id, rows...)
	})
}
