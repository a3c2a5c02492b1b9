package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A Directory is one document with a revision. Only a caller who has seen the last
// revision can replace it. Any number of goroutines and processes may use it. It does
// not keep the slices that it is given, and those that it returns are the caller's.
type Directory struct {
	database
	name string
}

// NewDirectory returns the document of that name, which is any text, on a pool of
// NewPool. It does not use the database.
func NewDirectory(pool *pgxpool.Pool, opts Options, name string) *Directory {
	return &Directory{newDatabase(pool, opts), name}
}

// Read returns the document and its revision, nil and 0 if there is none yet. Its
// Write may not have returned yet, or may have failed, and it may be lost with the
// server: a Write that builds on it finds that out.
func (d *Directory) Read(ctx context.Context) (document []byte, revision uint64, err error) {
	if err := d.ready(ctx); err != nil {
		return nil, 0, d.wrap("read", err)
	}
	var there bool
	var name []byte
	b := d.begin()
	b.Queue(d.sql.readDocument, idOf(d.name)).QueryRow(found(&there, &name, &revision, &document))
	err = d.transact(ctx, b)
	if err == nil && there && string(name) != d.name {
		err = errOtherName
	}
	if err != nil {
		return nil, 0, d.wrap("read", err)
	}
	return document, revision, nil
}

// Write replaces the document if it still has the given revision, 0 for none yet, and
// reports whether it did. The new revision is a larger number. When Write returns nil
// the document is durable. After an error whether it was replaced is unknown. A
// document that the server cannot take, of close to a gigabyte, is an error too.
func (d *Directory) Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error) {
	if int64(revision) < 0 {
		return false, nil // no document has it, and the server cannot spell it
	}
	if err := d.ready(ctx); err != nil {
		return false, d.wrap("write", err)
	}
	sql, args := d.sql.replace, []any{idOf(d.name), revision, notNil(document), []byte(d.name)}
	if revision == 0 {
		sql, args = d.sql.newDocument, []any{idOf(d.name), []byte(d.name), notNil(document)}
	}
	b := d.begin()
	b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		ok = tag.RowsAffected() == 1
		return nil
	})
	if err := d.transact(ctx, b); err != nil {
		return false, d.wrap("write", err)
	}
	return ok, nil
}

func (d *Directory) wrap(op string, err error) error { return &Error{op, d.schema, d.name, err} }
