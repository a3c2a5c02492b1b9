package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// in puts the schema in the place of {}.
func in(opts postgres.Options, sql string) string {
	return strings.ReplaceAll(sql, "{}", pgx.Identifier{opts.Schema}.Sanitize())
}

// behind does something to the tables behind the engine's back.
func behind(t testing.TB, pool *pgxpool.Pool, opts postgres.Options, sql string) {
	t.Helper()
	tag, err := pool.Exec(t.Context(), in(opts, sql))
	require.NoError(t, err)
	if tag.Update() || tag.Delete() || tag.Insert() {
		require.NotZero(t, tag.RowsAffected(), "it has changed nothing")
	}
}

// What was changed behind the engine's back is found, and nothing else is.
func TestDamageIsFound(t *testing.T) {
	pool := poolOf(t)
	for _, damage := range []string{
		`update {}.record set value = 'X' where key = 'b'`,
		`update {}.record set value = '' where key = 'b'`,
		`update {}.record set value = 'before' where key = 'c'`, // a stale one
		`update {}.record set key = 'bb' where key = 'b'`,
		`delete from {}.record where key = 'a'`,
		`delete from {}.record`,
		`insert into {}.record select partition, 'new', '' from {}.record where key = 'a'`,
		`update {}.partition set keys = keys + 1`,
		`update {}.partition set digest = substr(digest, 2) || '\x00'`,
		`update {}.partition set digest = ''`,
		`delete from {}.partition`,
		`delete from {}.format`,
		`insert into {}.format values (1)`,
		`drop table {}.document`,
		`update {}.format set version = 0`,
	} {
		opts := fresh()
		e := postgres.New(pool, opts)
		j := open(t, e, "p", contents{})
		appendTo(t, j, put("a", "1"), put("b", "2"), put("c", "before"))
		appendTo(t, j, put("c", "after"), put("d", ""))
		j = open(t, e, "p", contents{"a": "1", "b": "2", "c": "after", "d": ""})
		require.NoError(t, j.Close(t.Context()))
		behind(t, pool, opts, damage)
		j, _, err := load(t, e, "p")
		require.ErrorIs(t, err, journal.ErrCorrupt, damage)
		require.Nil(t, j)
		var typed *postgres.Error
		require.True(t, errors.As(err, &typed))
		require.Equal(t, postgres.Error{Op: "open", Schema: opts.Schema, Name: "p", Err: typed.Err}, *typed)
	}
}

// A holder does not build on what is not as it left it.
func TestWhatIsChangedUnderAnOwnerEndsIt(t *testing.T) {
	pool := poolOf(t)
	for damage, want := range map[string]error{
		`update {}.partition set idx = idx - 1`: journal.ErrCorrupt, // an older state, put back
		`update {}.partition set idx = idx + 1`: journal.ErrCorrupt,
		`delete from {}.partition`:              journal.ErrCorrupt,
		`update {}.partition set epoch = epoch + 1, previous = owner, began = idx, owner = gen_random_uuid()`: journal.ErrFenced,
	} {
		opts := fresh()
		j := open(t, postgres.New(pool, opts), "p", contents{})
		appendTo(t, j, put("a", "1"))
		behind(t, pool, opts, damage)
		for range 2 {
			_, err := j.Append(t.Context(), batchOf(put("b", "2")))
			require.ErrorIs(t, err, want, damage)
		}
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	e := postgres.New(pool, opts)
	j := open(t, e, "p", contents{})
	appendTo(t, j, put("a", "1"))
	behind(t, pool, opts, `update {}.format set version = 2`)
	_, _, err := load(t, e, "p")
	require.ErrorIs(t, err, journal.ErrNewerFormat)
	appendTo(t, j, put("b", "2")) // nobody was fenced
	_, _, err = postgres.NewDirectory(pool, opts, "d").Read(t.Context())
	require.ErrorIs(t, err, journal.ErrNewerFormat)
	_, err = postgres.NewDirectory(pool, opts, "d").Write(t.Context(), nil, 0)
	require.ErrorIs(t, err, journal.ErrNewerFormat)
}

// Errors show what a server says, and not what it shows of a row.
func TestErrorsHoldNoPayloads(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	j := open(t, postgres.New(pool, opts), "p", contents{})
	behind(t, pool, opts, `alter table {}.record add check (value <> 'secret')`)
	_, err := j.Append(t.Context(), batchOf(put("private", "secret")))
	require.ErrorIs(t, err, journal.ErrRejected)
	require.ErrorContains(t, err, "SQLSTATE 23514")
	for _, hidden := range []string{"secret", "private", fmt.Sprintf("%x", "secret"), fmt.Sprintf("%x", "private")} {
		assert.NotContains(t, fmt.Sprintf("%+v %#v", err, errorChain(err)), hidden)
	}
}

// errorChain is all that an error wraps.
func errorChain(err error) (chain []any) {
	switch e := err.(type) {
	case nil:
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			chain = append(chain, errorChain(err)...)
		}
	default:
		chain = append(errorChain(errors.Unwrap(err)), fmt.Sprintf("%#v", err))
	}
	return chain
}

func TestAPoolThatForgetsWarningsIsRefused(t *testing.T) {
	pool, err := pgxpool.New(context.WithoutCancel(t.Context()), server(t).URL())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, _, err = load(t, postgres.New(pool, fresh()), "p")
	require.ErrorIs(t, err, postgres.ErrPool)
	_, err = postgres.NewDirectory(pool, fresh(), "d").Write(t.Context(), nil, 0)
	require.ErrorIs(t, err, postgres.ErrPool)
}
