package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// schemasOf are the names of all schemas.
func schemasOf(t testing.TB, pool *pgxpool.Pool) (names []string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `select array_agg(nspname::text order by nspname) from pg_namespace`).Scan(&names))
	return names
}

// What the server would cut, clean, refuse or take for its own is refused, by all who
// take a schema's name, and nothing is created.
func TestASchemasNameIsCheckedBeforeItIsUsed(t *testing.T) {
	s := postgrestest.Start(t, "fsync=off")
	pool := poolAt(t, s.URL())
	before := schemasOf(t, pool)
	for _, name := range []string{
		strings.Repeat("s", 64), strings.Repeat("s", 63) + "-production", strings.Repeat("ä", 32), strings.Repeat("s", 62) + "ä",
		"a\x00b", "\x00", "a\xff", "pg_loopstore", "pg_catalog", "information_schema",
	} {
		opts := postgres.Options{Schema: name}
		_, _, err := load(t, postgres.New(pool, opts), "p")
		require.ErrorIs(t, err, postgres.ErrName, "%q", name)
		_, _, err = postgres.NewDirectory(pool, opts, "d").Read(t.Context())
		require.ErrorIs(t, err, postgres.ErrName, "%q", name)
		ok, err := postgres.NewDirectory(pool, opts, "d").Write(t.Context(), nil, 0)
		require.ErrorIs(t, err, postgres.ErrName, "%q", name)
		require.False(t, ok)
		_, err = postgres.Schema(name)
		require.ErrorIs(t, err, postgres.ErrName, "%q", name)
	}
	require.Equal(t, before, schemasOf(t, pool))
}

// Each of these is a schema of its own, of exactly this name.
func TestASchemasNameIsTakenAsItIs(t *testing.T) {
	pool := poolOf(t)
	names := []string{
		strings.Repeat("s", 63), strings.Repeat("s", 62) + "t", strings.Repeat("s", 61) + "ä", "A", "a", " a", "a ", " ",
		`a"b`, `a""b`, `"a"`, "a.b", "a;b", "{}", "$1", "%s", "a'b", `a\b`, "select", "é", "e\u0301", "Pg_", "a\nb", "--", "/*",
	}
	for _, name := range names {
		j := open(t, postgres.New(pool, postgres.Options{Schema: name}), "p", contents{})
		appendTo(t, j, put("name", name))
	}
	there := schemasOf(t, pool)
	for _, name := range names {
		open(t, postgres.New(pool, postgres.Options{Schema: name}), "p", contents{"name": name})
		assert.Contains(t, there, name)
	}
}

// Where names are converted on their way, only ASCII is taken.
func TestASchemasNameInAnotherEncoding(t *testing.T) {
	s := server(t)
	_, err := poolOf(t).Exec(t.Context(), `create database latin encoding 'LATIN1' locale 'C' template template0`)
	require.NoError(t, err)
	for _, url := range []string{
		strings.Replace(s.URL(), "dbname=postgres", "dbname=latin", 1), s.URL() + " client_encoding=LATIN1",
	} {
		pool := poolAt(t, url)
		schemas := func() (n int) {
			require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from pg_namespace`).Scan(&n))
			return n
		}
		before := schemas()
		_, _, err := load(t, postgres.New(pool, postgres.Options{Schema: "schön"}), "p")
		require.ErrorIs(t, err, postgres.ErrName)
		require.ErrorContains(t, err, "UTF8")
		require.Equal(t, before, schemas())
		open(t, postgres.New(pool, fresh()), "schön\x00", contents{})
	}
}

// Tables and functions of other schemas do not stand in for those that are meant.
func TestASearchPathChangesNothing(t *testing.T) {
	s, opts := postgrestest.Start(t, "fsync=off"), fresh()
	pool := poolAt(t, s.URL())
	open(t, postgres.New(pool, opts), "p", contents{})
	for _, sql := range []string{
		`create schema evil`,
		`create table evil.record (partition uuid, key bytea, value bytea)`,
		`create function evil.set_config(text, text, boolean) returns text language sql as 'select null::text'`,
		`create function evil.never(uuid, uuid) returns boolean language sql as 'select false'`,
		`create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.never)`,
		`create operator evil.= (leftarg = bigint, rightarg = bigint, function = pg_catalog.int8ne)`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	e := postgres.New(poolAt(t, s.URL()+" options='-c search_path=evil,pg_catalog'"), opts)
	j := open(t, e, "p", contents{})
	appendTo(t, j, put("a", "1"))
	appendTo(t, j, put("a", "2"), put("b", "1"))
	open(t, e, "p", contents{"a": "2", "b": "1"})
}

// A schema that holds tables of these names already is somebody else's.
func TestSomebodyElsesTablesAreLeftAlone(t *testing.T) {
	pool := poolOf(t)
	for _, sql := range []string{
		`create table {}.document (id bigint)`,
		`create table {}.format (name text)`,
		`create table {}.format (version bigint)`,
		`create view {}.record as select 1`,
	} {
		opts := fresh()
		for _, sql := range []string{`create schema {}`, sql} {
			behind(t, pool, opts, sql)
		}
		_, _, err := load(t, postgres.New(pool, opts), "p")
		require.ErrorContains(t, err, "somebody else's", sql)
		require.NotErrorIs(t, err, journal.ErrCorrupt)
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from pg_class where relnamespace = $1::regnamespace`, in(opts, "{}")).Scan(&n))
		require.Equal(t, 1, n, "nothing was created")
	}
}

// A row says whose it is: one that another name has is no partition or document of
// this one.
func TestARowOfAnotherNameIsNotTaken(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	e, d := postgres.New(pool, opts), postgres.NewDirectory(pool, opts, "d")
	j := open(t, e, "p", contents{})
	appendTo(t, j, put("a", "1"))
	ok, err := d.Write(t.Context(), []byte("1"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	_, revision, err := d.Read(t.Context())
	require.NoError(t, err)
	behind(t, pool, opts, `update {}.partition set name = 'q'`)
	behind(t, pool, opts, `update {}.document set name = 'e'`)
	_, _, err = load(t, e, "p")
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "name")
	appendTo(t, j, put("b", "2")) // nobody was fenced
	_, _, err = d.Read(t.Context())
	require.ErrorIs(t, err, journal.ErrCorrupt)
	ok, err = d.Write(t.Context(), []byte("2"), revision)
	require.NoError(t, err)
	require.False(t, ok)
}
