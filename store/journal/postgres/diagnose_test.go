package postgres_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// found are the findings on a server: what is not OK.
func found(t *testing.T, pool *pgxpool.Pool, opts postgres.Options) map[string]journal.Status {
	t.Helper()
	findings, err := postgres.New(pool, opts).Diagnose(t.Context())
	require.NoError(t, err)
	wrong := map[string]journal.Status{}
	for _, f := range findings {
		require.NotEmpty(t, f.Setting)
		if f.Status != journal.OK {
			require.NotEmpty(t, f.Advice)
			wrong[f.Setting] = f.Status
		}
	}
	delete(wrong, "data_checksums") // as the version has it
	return wrong
}

// usual are the findings on a server for tests.
var usual = map[string]journal.Status{"fsync": journal.Risk, "synchronous_standby_names": journal.Risk}

// with adds to the usual findings.
func with(more map[string]journal.Status) map[string]journal.Status {
	more = maps.Clone(more)
	maps.Copy(more, usual)
	return more
}

func TestDiagnose(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	require.Equal(t, usual, found(t, pool, opts))
	open(t, postgres.New(pool, opts), "p", contents{})
	require.Equal(t, usual, found(t, pool, opts))
	plain, err := pgxpool.New(t.Context(), server(t).URL())
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	require.Equal(t, with(map[string]journal.Status{"pool": journal.Broken}), found(t, plain, opts))
	behind(t, pool, opts, `drop table {}.record`)
	require.Equal(t, with(map[string]journal.Status{"schema": journal.Broken}), found(t, pool, opts))
	require.Equal(t, with(map[string]journal.Status{"schema": journal.Broken}), found(t, pool, postgres.Options{Schema: "pg_x"}))
}

func TestDiagnoseAStandby(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs two servers")
	}
	s := postgrestest.Start(t, "fsync=off", "full_page_writes=off", "autovacuum=off", "track_counts=off",
		"ignore_checksum_failure=on", "zero_damaged_pages=on", "synchronous_commit=off")
	require.Equal(t, with(map[string]journal.Status{
		"in_recovery": journal.Broken, "full_page_writes": journal.Risk, "autovacuum": journal.Risk, "track_counts": journal.Risk,
		"ignore_checksum_failure": journal.Risk, "zero_damaged_pages": journal.Risk, "replaced rows": journal.Unknown,
	}), found(t, poolAt(t, s.Standby(t, "b").URL()), fresh()))
}

// Names of standbys help only if one of them is there.
func TestDiagnoseFindsThatNoStandbyIsThere(t *testing.T) {
	s := postgrestest.Start(t, "fsync=off", "synchronous_standby_names=b")
	admin := poolAt(t, s.URL()+" options='-c synchronous_commit=local'") // waits for nobody
	require.Equal(t, map[string]journal.Status{"fsync": journal.Risk, "synchronous standbys": journal.Broken}, found(t, admin, fresh()))
	_, err := admin.Exec(t.Context(), `create role app login`)
	require.NoError(t, err)
	wrong := found(t, poolAt(t, strings.Replace(s.URL(), "user=loopstore", "user=app", 1)), fresh())
	require.Equal(t, journal.Unknown, wrong["synchronous standbys"], "it may not see them")
}

// What keeps replaced rows from being removed is named.
func TestDiagnoseNamesWhatKeepsReplacedRows(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a minute")
	}
	t.Parallel()
	s := postgrestest.Start(t, "fsync=off", "max_prepared_transactions=2")
	pool, opts := poolAt(t, s.URL()), fresh()
	open(t, postgres.New(pool, opts), "p", contents{})
	require.Equal(t, usual, found(t, pool, opts))
	held := poolAt(t, s.URL())
	tx, err := held.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select 1`)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) })
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for _, sql := range []string{`begin`, `create table prepared ()`, `prepare transaction 'forgotten'`} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	_, err = pool.Exec(t.Context(), `select pg_create_physical_replication_slot('abandoned')`)
	require.NoError(t, err)
	want := with(map[string]journal.Status{
		"long transactions": journal.Risk, "prepared transactions": journal.Risk, "replication slots": journal.Risk,
	})
	require.Eventually(t, func() bool { return maps.Equal(want, found(t, pool, opts)) }, 3*time.Minute, time.Second)
}

// A role that may not see what others do says so. It never says that all is well.
func TestDiagnoseIsNotSureOfWhatItMayNotSee(t *testing.T) {
	admin, opts := poolOf(t), fresh()
	app, pool := role(t, admin)
	require.Equal(t, with(map[string]journal.Status{"schema": journal.Broken, "long transactions": journal.Unknown}), found(t, pool, opts))
	sql, err := postgres.Schema(opts.Schema, app)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.Equal(t, with(map[string]journal.Status{"long transactions": journal.Unknown}), found(t, pool, opts))
	_, err = admin.Exec(t.Context(), `grant pg_monitor to `+app)
	require.NoError(t, err)
	require.Equal(t, usual, found(t, pool, opts))
	behind(t, admin, opts, `revoke delete on {}.record from `+app)
	require.Equal(t, with(map[string]journal.Status{"schema": journal.Broken}), found(t, pool, opts))
}
