package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// sendUnnamed sends a batch with statements that have no names and whose types are
// told, so that it takes one round trip and relies on nothing that the server was told
// before. Behind a pooler the round trip before may have gone to another connection.
func sendUnnamed(ctx context.Context, conn *pgx.Conn, b *pgx.Batch) error {
	raw := new(pgconn.Batch)
	for _, q := range b.QueuedQueries {
		values, types, formats, err := encode(conn.TypeMap(), q.Arguments)
		if err != nil {
			return err
		}
		raw.ExecParams(q.SQL, values, types, formats, []int16{pgx.BinaryFormatCode})
	}
	r := &results{nil, conn.TypeMap(), conn.PgConn().ExecBatch(ctx, raw)}
	for _, q := range b.QueuedQueries {
		read := q.Fn
		if read == nil {
			read = discard
		}
		if err := read(r); err != nil {
			_ = r.Close() // the first cause counts
			return err
		}
	}
	return r.Close()
}

func discard(r pgx.BatchResults) error {
	_, err := r.Exec()
	return err
}

// encode encodes a statement's arguments.
func encode(types *pgtype.Map, args []any) (values [][]byte, oids []uint32, formats []int16, err error) {
	for _, arg := range args {
		oid := oidOf(arg)
		value, err := types.Encode(oid, pgx.BinaryFormatCode, arg, []byte{}) // with nil, what is empty would be NULL
		if err != nil {
			return nil, nil, nil, err
		}
		values, oids, formats = append(values, value), append(oids, oid), append(formats, pgx.BinaryFormatCode)
	}
	return values, oids, formats, nil
}

func oidOf(arg any) uint32 {
	switch arg.(type) {
	case [16]byte:
		return pgtype.UUIDOID
	case uint64:
		return pgtype.Int8OID
	case string:
		return pgtype.TextOID
	case []byte:
		return pgtype.ByteaOID
	case [][]byte:
		return pgtype.ByteaArrayOID
	}
	panic(fmt.Sprintf("an argument of type %T", arg))
}

// results are those of a batch, read in its order.
type results struct {
	pgx.BatchResults // for what no statement of this package calls
	types            *pgtype.Map
	reader           *pgconn.MultiResultReader
}

// errCut means that an answer ended early, without an error of the server.
var errCut = errors.New("the answer ended before the last result")

func (r *results) next() (*pgconn.ResultReader, error) {
	if r.reader.NextResult() {
		return r.reader.ResultReader(), nil
	}
	if err := r.reader.Close(); err != nil {
		return nil, err
	}
	return nil, errCut
}

func (r *results) Exec() (pgconn.CommandTag, error) {
	reader, err := r.next()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return reader.Close()
}

func (r *results) Query() (pgx.Rows, error) {
	reader, err := r.next()
	if err != nil {
		return failed{err: err}, err
	}
	return pgx.RowsFromResultReader(r.types, reader), nil
}

func (r *results) QueryRow() pgx.Row {
	rows, err := r.Query()
	if err != nil {
		return failed{err: err}
	}
	return single{rows}
}

func (r *results) Close() error { return r.reader.Close() }

// A single is the only row of a result.
type single struct{ rows pgx.Rows }

func (s single) Scan(into ...any) error {
	defer s.rows.Close()
	if !s.rows.Next() {
		s.rows.Close()
		if err := s.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := s.rows.Scan(into...); err != nil {
		return err
	}
	s.rows.Close()
	return s.rows.Err()
}

// A failed result has no rows, because of err.
type failed struct {
	pgx.Rows
	err error
}

func (f failed) Close()            {}
func (f failed) Err() error        { return f.err }
func (f failed) Next() bool        { return false }
func (f failed) Scan(...any) error { return f.err }
