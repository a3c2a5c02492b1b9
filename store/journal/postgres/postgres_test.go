package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// shared is the server of all tests that leave it running. What they keep is in
// a schema each.
var shared = sync.OnceValues(func() (s *postgrestest.Server, err error) {
	s, err = postgrestest.New("fsync=off")
	running = s
	return s, err
})

var running *postgrestest.Server // nil if no test needed it

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if running != nil {
			if err := running.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}))
}

func server(t testing.TB) *postgrestest.Server {
	t.Helper()
	s, err := shared()
	if errors.Is(err, postgrestest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return s
}

var schemas atomic.Int64

// fresh are options with a schema that nobody has used.
func fresh() postgres.Options { return postgres.Options{Schema: fmt.Sprint("test ", schemas.Add(1))} }

// poolAt makes a pool that is closed with the test.
func poolAt(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	return poolWith(t, config)
}

func poolWith(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.NewPool(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func poolOf(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return poolAt(t, server(t).URL())
}

// modes are those of pgx.
var modes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

// at is a pool of several connections with a mode of pgx.
func at(t testing.TB, url, mode string) *pgxpool.Pool {
	t.Helper()
	return poolAt(t, url+" pool_max_conns=8 default_query_exec_mode="+mode)
}

// The pool is there before the suite looks for goroutines. A crash leaves the
// server as it is, and the old holder alive.
func TestConformance(t *testing.T) {
	pool := poolOf(t)
	options := map[journal.Engine]postgres.Options{}
	with := func(opts postgres.Options) journal.Engine {
		e := postgres.New(pool, opts)
		options[e] = opts
		return e
	}
	again := func(_ testing.TB, e journal.Engine) journal.Engine { return with(options[e]) }
	journaltest.Run(t, journaltest.Factory{
		Open:   func(testing.TB) journal.Engine { return with(fresh()) },
		Reopen: again,
		Crash:  again,
	})
}

// contents are what stands, values by keys.
type contents map[string]string

// load opens a partition and returns what stands in it.
func load(t testing.TB, e journal.Engine, partition string) (journal.Journal, contents, error) {
	t.Helper()
	all := contents{}
	j, err := e.Open(t.Context(), partition, func(c journal.Change) error {
		all[string(c.Key)] = string(c.Value)
		return nil
	})
	return j, all, err
}

// open opens a partition in which want stands.
func open(t testing.TB, e journal.Engine, partition string, want contents) journal.Journal {
	t.Helper()
	j, got, err := load(t, e, partition)
	require.NoError(t, err)
	require.Equal(t, want, got)
	return j
}

func put(key, value string) journal.Change {
	return journal.Change{Key: []byte(key), Value: []byte(value)}
}

// batchOf returns one with an ID of its own.
func batchOf(changes ...journal.Change) journal.Batch {
	b := journal.Batch{Changes: changes}
	_, _ = rand.Read(b.ID[:])
	return b
}

func appendTo(t testing.TB, j journal.Journal, changes ...journal.Change) journal.Position {
	t.Helper()
	at, err := j.Append(t.Context(), batchOf(changes...))
	require.NoError(t, err)
	return at
}

// The modes of pgx without a pooler.
func TestEachModeOfTheClient(t *testing.T) {
	for _, mode := range modes {
		for _, cache := range []string{"", " statement_cache_capacity=0"} {
			everything(t, at(t, server(t).URL()+cache, mode), fresh())
		}
	}
}

// Statements that somebody has dropped on a connection are done without.
func TestStatementsThatTheServerForgot(t *testing.T) {
	pool, opts := poolAt(t, server(t).URL()+" pool_max_conns=1"), fresh()
	j := open(t, postgres.New(pool, opts), "p", contents{})
	appendTo(t, j, put("a", "1"))
	_, err := pool.Exec(t.Context(), `deallocate all`)
	require.NoError(t, err)
	appendTo(t, j, put("b", "2"))
	appendTo(t, j, put("c", "3"))
	open(t, postgres.New(pool, opts), "p", contents{"a": "1", "b": "2", "c": "3"})
}
