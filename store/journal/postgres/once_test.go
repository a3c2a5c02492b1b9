package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// What is empty is not NULL, with unnamed statements neither.
func TestWhatIsEmptyIsNotNull(t *testing.T) {
	for _, mode := range []string{"cache_statement", "exec"} {
		pool, opts := at(t, server(t).URL(), mode), fresh()
		_, _, err := load(t, postgres.New(pool, opts), "")
		assert.NoError(t, err, "%s: a partition without a name", mode)
		d := postgres.NewDirectory(pool, opts, "d")
		ok, err := d.Write(t.Context(), nil, 0)
		assert.NoError(t, err, "%s: an empty document", mode)
		assert.True(t, ok)
		d = postgres.NewDirectory(pool, opts, "")
		ok, err = d.Write(t.Context(), []byte("x"), 0)
		assert.NoError(t, err, "%s: a directory without a name", mode)
		assert.True(t, ok)
		_, revision, err := d.Read(t.Context())
		assert.NoError(t, err)
		ok, err = d.Write(t.Context(), []byte("y"), revision)
		assert.NoError(t, err)
		assert.True(t, ok, "%s: replaced", mode)
	}
}

// A document that was read before its write was durable, and is lost with the server,
// has a revision that another document gets afterwards.
func TestARevisionThatIsLostDoesNotComeAgain(t *testing.T) {
	primary, standby := pair(t)
	opts := fresh()
	opts.Timeout = time.Second
	d := postgres.NewDirectory(poolAt(t, primary.URL()), opts, "d")
	ok, err := d.Write(t.Context(), []byte("1"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	_, first, err := d.Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, standby.Stop())
	_, err = d.Write(t.Context(), []byte("lost"), first) // its outcome is unknown
	require.Error(t, err)
	var seen []byte
	var revision uint64
	require.Eventually(t, func() bool {
		seen, revision, err = d.Read(t.Context())
		return err == nil && revision > first
	}, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, "lost", string(seen))

	require.NoError(t, primary.Kill())
	require.NoError(t, standby.Run())
	require.NoError(t, standby.Promote())
	d = postgres.NewDirectory(poolAt(t, standby.URL()), opts, "d")
	now, at, err := d.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", string(now))
	require.Equal(t, first, at)
	ok, err = d.Write(t.Context(), []byte("acknowledged"), first)
	require.NoError(t, err)
	require.True(t, ok)
	ok, err = d.Write(t.Context(), []byte("built on lost"), revision)
	require.NoError(t, err)
	assert.False(t, ok, "it has replaced what it never saw")
}

// A hook of the user's that takes notices itself hides no warning from the engine.
func TestAHookHidesNoWarning(t *testing.T) {
	for _, when := range []string{"config", "BeforeConnect"} {
		config, err := pgxpool.ParseConfig(server(t).URL())
		require.NoError(t, err)
		mine := func(*pgconn.PgConn, *pgconn.Notice) {}
		if when == "config" {
			config.ConnConfig.OnNotice = mine
		} else {
			config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { c.OnNotice = mine; return nil }
		}
		pool, opts := poolWith(t, config), fresh()
		opts.Patience = time.Second / 2
		j := open(t, postgres.New(pool, opts), "p", contents{})
		_, err = pool.Exec(t.Context(), `create function warned() returns trigger language plpgsql as $$ begin raise warning 'as if the wait was called off'; return new; end $$`)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), `create trigger w before update on "`+opts.Schema+`".partition for each row execute function warned()`)
		require.NoError(t, err)
		_, err = j.Append(t.Context(), batchOf(put("a", "1")))
		assert.ErrorIs(t, err, journal.ErrAmbiguous, when)
		_, err = pool.Exec(t.Context(), `drop function warned() cascade`)
		require.NoError(t, err)
	}
}
