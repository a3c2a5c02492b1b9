package postgres_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// remedy says what to do when a test finds another format.
const remedy = "the format has changed: raise formatVersion, keep what stands readable or carried over, " +
	"and add testdata/tables-v%d.sql.gz, as internal/fixture/testdata/README.md says"

// restore makes the tables of a version, with partition agents/0, as its code has left
// them: in the schema kept, while the test runs.
func restore(t testing.TB, pool *pgxpool.Pool, version int) postgres.Options {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("testdata/tables-v%d.sql.gz", version))
	require.NoError(t, err, "there are no tables of this version: "+remedy, version)
	defer func() { require.NoError(t, file.Close()) }()
	text, err := gzip.NewReader(file)
	require.NoError(t, err)
	sql, err := io.ReadAll(text)
	require.NoError(t, err)
	execute(t, pool, string(sql))
	t.Cleanup(func() { execute(t, pool, `drop schema kept cascade`) })
	return postgres.Options{Schema: "kept"}
}

// execute executes statements, all in one transaction.
func execute(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it is for cleaning up, too
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, sql).ReadAll()
	require.NoError(t, err)
}

// Tables of each version hold all that was acknowledged. A loop goes on from there, and
// all of that is there again.
func TestDurableTablesOfEachVersion(t *testing.T) {
	for version := 1; version <= postgres.FormatVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			pool := poolOf(t)
			e := postgres.New(pool, restore(t, pool, version))
			want := fixture.OnState(t, fixture.All.State(t))
			l := openLoop(t, e, "agents/0")
			fixture.All.Check(t, fixture.OnLoop(t, l))
			fixture.Compare(t, fixture.At(want, fixture.AllPlaces), fixture.At(fixture.OnLoop(t, l), fixture.AllPlaces))
			fixture.GoOn(want, 0)
			fixture.GoOn(fixture.OnLoop(t, l), 0)
			require.NoError(t, l.Close())
			l = openLoop(t, e, "agents/0")
			fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(fixture.OnLoop(t, l), fixture.RuntimePlaces))
			require.NoError(t, l.Close())
		})
	}
}

// The tables that are made now have the columns, and the keys, of those that the version's
// own code has made: so each can be used by all programs of that version.
func TestTablesAreMadeAsTheyWere(t *testing.T) {
	pool := poolOf(t)
	kept, now := restore(t, pool, postgres.FormatVersion), fresh()
	sql, err := postgres.Schema(now.Schema)
	require.NoError(t, err)
	execute(t, pool, sql)
	columns := func(schema string) []string {
		rows, err := pool.Query(t.Context(), `select format('%s.%s %s %s, key %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
				(select string_agg(i.indkey::text, ';') from pg_index i where i.indrelid = c.oid and a.attnum = any(i.indkey)))
			from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = $1 and c.relkind = 'r' and a.attnum > 0 order by c.relname, a.attnum`, schema)
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return all
	}
	want := columns(kept.Schema)
	require.Len(t, want, 18)
	require.Equal(t, want, columns(now.Schema), remedy, postgres.FormatVersion+1)
}
