package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// role makes one that may only log in, and a pool of it.
func role(t testing.TB, admin *pgxpool.Pool) (name string, pool *pgxpool.Pool) {
	t.Helper()
	name = fmt.Sprint("role_", schemas.Add(1))
	_, err := admin.Exec(t.Context(), `create role `+name+` login`)
	require.NoError(t, err)
	return name, poolAt(t, strings.Replace(server(t).URL(), "user=loopstore", "user="+name, 1))
}

// everything does all that an engine and a directory do.
func everything(t testing.TB, pool *pgxpool.Pool, opts postgres.Options) {
	t.Helper()
	e := postgres.New(pool, opts)
	j := open(t, e, "p", contents{})
	appendTo(t, j, put("a", "1"), put("b", "2"))
	appendTo(t, j, put("a", "2"))
	fenced := j
	j = open(t, e, "p", contents{"a": "2", "b": "2"})
	_, err := fenced.Append(t.Context(), batchOf(put("a", "3")))
	require.Error(t, err)
	changes, _, _ := large()
	appendTo(t, j, changes...)
	d := postgres.NewDirectory(pool, opts, "d")
	for n := range 3 {
		document, revision, err := d.Read(t.Context())
		require.NoError(t, err)
		require.Len(t, document, n)
		ok, err := d.Write(t.Context(), append(document, '1'), revision)
		require.NoError(t, err)
		require.True(t, ok)
	}
}

// refused opens and reads without a right, and finds out which one is missing.
func refused(t testing.TB, pool *pgxpool.Pool, opts postgres.Options, right string) {
	t.Helper()
	_, _, err := load(t, postgres.New(pool, opts), "p")
	require.ErrorIs(t, err, postgres.ErrRights, right)
	require.ErrorContains(t, err, right)
	_, _, err = postgres.NewDirectory(pool, opts, "d").Read(t.Context())
	require.ErrorIs(t, err, postgres.ErrRights, right)
}

// An administrator made the schema. The role may make tables there, but no schemas.
func TestASchemaMadeByAnAdministrator(t *testing.T) {
	admin, opts := poolOf(t), fresh()
	app, pool := role(t, admin)
	refused(t, pool, opts, "create a schema")
	behind(t, admin, opts, `create schema {}`)
	refused(t, pool, opts, "use the schema")
	behind(t, admin, opts, `grant usage on schema {} to `+app)
	refused(t, pool, opts, "create tables")
	behind(t, admin, opts, `grant create on schema {} to `+app)
	everything(t, pool, opts)
	behind(t, admin, opts, `revoke create on schema {} from `+app)
	open(t, postgres.New(pool, opts), "q", contents{})
}

// The role may make schemas in the database, and nothing else.
func TestASchemaMadeByTheFirstUse(t *testing.T) {
	admin, opts := poolOf(t), fresh()
	app, pool := role(t, admin)
	_, err := admin.Exec(t.Context(), `grant create on database postgres to `+app)
	require.NoError(t, err)
	everything(t, pool, opts)
}

// The SQL of Schema makes what the first use makes. What it grants is enough, and
// without any one of it Open says what is missing.
func TestTheLeastRights(t *testing.T) {
	admin, opts := poolOf(t), fresh()
	app, pool := role(t, admin)
	sql, err := postgres.Schema(opts.Schema, app)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), sql)
	require.NoError(t, err)
	everything(t, pool, opts)
	behind(t, admin, opts, `revoke usage on schema {} from `+app)
	refused(t, pool, opts, "use the schema")
	behind(t, admin, opts, `grant usage on schema {} to `+app)
	for table, rights := range map[string][]string{
		"format": {"select"}, "partition": {"select", "insert", "update"},
		"record": {"select", "insert", "update", "delete"}, "document": {"select", "insert", "update"},
	} {
		for _, right := range rights {
			behind(t, admin, opts, `revoke `+right+` on {}.`+table+` from `+app)
			refused(t, pool, opts, right+" on the table "+table)
			behind(t, admin, opts, `grant `+right+` on {}.`+table+` to `+app)
		}
	}
	open(t, postgres.New(pool, opts), "q", contents{})
	var grants int
	require.NoError(t, admin.QueryRow(t.Context(), `select count(*) from information_schema.table_privileges where grantee = $1`, app).Scan(&grants))
	require.Equal(t, 11, grants, "no more than these")
}

// shape is how the tables of a schema are made.
func shape(t testing.TB, pool *pgxpool.Pool, opts postgres.Options) (shape string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `select string_agg(format('%s %s %s %s %s %s', c.relname, c.reloptions, t.reloptions,
			a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), E'\n' order by c.relname, a.attnum)
		from pg_class c left join pg_class t on t.oid = c.reltoastrelid join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
		where c.relnamespace = $1::regnamespace`, in(opts, "{}")).Scan(&shape))
	return shape
}

func TestSchemaMakesWhatTheFirstUseMakes(t *testing.T) {
	pool, first, second := poolOf(t), fresh(), fresh()
	open(t, postgres.New(pool, first), "p", contents{})
	sql, err := postgres.Schema(second.Schema)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.Equal(t, shape(t, pool, first), shape(t, pool, second))
}

// Names in the SQL of Schema are quoted.
func TestSchemaQuotes(t *testing.T) {
	admin := poolOf(t)
	for i, name := range []string{`a role "{}"`, "Ä; --"} {
		_, err := admin.Exec(t.Context(), `create role "`+strings.ReplaceAll(name, `"`, `""`)+`"`)
		require.NoError(t, err)
		sql, err := postgres.Schema(fmt.Sprint(`a schema "{}" `, i), name)
		require.NoError(t, err)
		_, err = admin.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}

// Tables that a crash would empty, and rows that a policy hides or a trigger takes away,
// are found before anything is built on them, and by the doctor.
func TestTablesThatHideOrForgetAreRefused(t *testing.T) {
	admin := poolOf(t)
	for sql, want := range map[string]string{
		`alter table {}.record set unlogged`:                                                                             "unlogged",
		`alter table {}.partition enable row level security`:                                                             "row-level security",
		`alter table {}.record enable row level security`:                                                                "row-level security",
		`alter table {}.record rename to r; create view {}.record as select 'a'`:                                         "not a table",
		`create trigger t before insert on {}.record for each row execute function suppress_redundant_updates_trigger()`: "the trigger t",
		`create rule r as on update to {}.document do instead nothing`:                                                   "the rule r",
		`alter table {}.record drop constraint record_pkey`:                                                              "no primary key",
	} {
		opts := fresh()
		app, pool := role(t, admin)
		ddl, err := postgres.Schema(opts.Schema, app)
		require.NoError(t, err)
		_, err = admin.Exec(t.Context(), ddl)
		require.NoError(t, err)
		appendTo(t, open(t, postgres.New(pool, opts), "p", contents{}), put("a", "1"))
		for sql := range strings.SplitSeq(sql, "; ") {
			behind(t, admin, opts, sql)
		}
		_, _, err = load(t, postgres.New(pool, opts), "p")
		require.ErrorContains(t, err, want, sql)
		findings, err := postgres.New(pool, opts).Diagnose(t.Context())
		require.NoError(t, err)
		schema := findings[slices.IndexFunc(findings, func(f journal.Finding) bool { return f.Setting == "schema" })]
		require.Equal(t, journal.Broken, schema.Status, sql)
		require.Contains(t, schema.Value, want)
	}
}
