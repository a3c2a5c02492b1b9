package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/faultproxy"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// A chain appends batches each of which replaces what the one before has put: so
// what stands tells which batch is the last one, and that none is half.
type chain struct {
	acknowledged uint64 // index of the last
	tried        uint64
}

func (c *chain) next() journal.Batch {
	c.tried = c.acknowledged + 1
	return batchOf(put("index", fmt.Sprint(c.tried)), put("twin", fmt.Sprint(c.tried)),
		put(fmt.Sprint("key ", c.tried), strings.Repeat("x", int(c.tried%7)*1000)),
		journal.Change{Key: fmt.Append(nil, "key ", c.acknowledged), Delete: true})
}

// append appends the next batch. The index of the first one of a holder shows
// that none before was counted twice.
func (c *chain) append(t testing.TB, j journal.Journal) (err error) {
	t.Helper()
	at, err := j.Append(t.Context(), c.next())
	if err == nil {
		assert.Equal(t, c.tried, at.Index)
		c.acknowledged = c.tried
	}
	return err
}

// stands checks what stands after an append that ended with err, if it did.
func (c *chain) stands(t testing.TB, got contents, err error) {
	t.Helper()
	last := uint64(0)
	if len(got) > 0 {
		_, scanErr := fmt.Sscan(got["index"], &last)
		require.NoError(t, scanErr)
		require.Equal(t, contents{
			"index": fmt.Sprint(last), "twin": fmt.Sprint(last),
			fmt.Sprint("key ", last): strings.Repeat("x", int(last%7)*1000),
		}, got)
	}
	switch {
	case err == nil || errors.Is(err, journal.ErrFenced):
		require.Equal(t, c.acknowledged, last)
	default:
		require.ErrorIs(t, err, journal.ErrAmbiguous)
		require.Contains(t, []uint64{c.acknowledged, c.tried}, last)
	}
	c.acknowledged = last
}

// many is how often a test that tries moments at random does so.
func many(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// cutting is a proxy that cuts a connection now and then, while it is told to.
func cutting(t *testing.T, s *postgrestest.Server, one int) (p *faultproxy.Proxy, cuts *atomic.Int64, on *atomic.Bool) {
	p, cuts, on = proxyTo(t, s.Addr()), new(atomic.Int64), new(atomic.Bool)
	p.Cut(func(_ faultproxy.Side, size int) int {
		if !on.Load() || rand.IntN(one) > 0 {
			return -1
		}
		cuts.Add(1)
		if rand.IntN(2) == 0 {
			return 0 // an answer that never comes
		}
		return rand.IntN(size + 1)
	})
	return p, cuts, on
}

// Connections that are cut at any byte, before a request or its answer, leave no
// append unknown: the engine finds out.
func TestCutConnections(t *testing.T) {
	s := server(t)
	p, cuts, on := cutting(t, s, 25)
	e := postgres.New(through(t, s, p), fresh())
	j := open(t, e, "p", contents{})
	on.Store(true)
	var c chain
	for range many(600) {
		require.NoError(t, c.append(t, j))
	}
	on.Store(false)
	require.Greater(t, cuts.Load(), int64(many(20)))
	j, got, err := load(t, e, "p")
	require.NoError(t, err)
	c.stands(t, got, nil)
	require.NoError(t, c.append(t, j))
}

// The same while other holders come: an append is stored, or fenced and not
// stored, or unknown because more have come since.
func TestOwnersRaceOverCutConnections(t *testing.T) {
	s := server(t)
	p, cuts, on := cutting(t, s, 25)
	e := postgres.New(through(t, s, p), fresh())
	on.Store(true)
	var mu sync.Mutex
	var outcome struct{ stored, fenced, ambiguous int }
	ever := map[string]bool{} // the batches, by name, and whether they were acknowledged
	var wg sync.WaitGroup
	for holder := range 3 {
		wg.Go(func() {
			for n := range many(60) {
				j, _, err := load(t, e, "p")
				if err != nil {
					continue // it was cut
				}
				for i := 0; ; i++ {
					name := fmt.Sprintf("%d/%d/%d", holder, n, i)
					_, err := j.Append(t.Context(), batchOf(put(name, "1"), put("last", name)))
					mu.Lock()
					switch {
					case err == nil:
						ever[name] = true
						outcome.stored++
					case errors.Is(err, journal.ErrFenced):
						ever[name] = false
						outcome.fenced++
					case assert.ErrorIs(t, err, journal.ErrAmbiguous):
						outcome.ambiguous++
					}
					mu.Unlock()
					if err != nil || i == 10 {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	on.Store(false)
	_, got, err := load(t, e, "p")
	require.NoError(t, err)
	for name, stored := range ever {
		_, stands := got[name]
		require.Equal(t, stored, stands, name)
	}
	t.Logf("%d cuts: %+v", cuts.Load(), outcome)
	require.NotZero(t, outcome.stored)
	require.NotZero(t, outcome.fenced)
}

// terminate ends the other connections of the server as a script of an operator
// would.
func terminate(t testing.TB, pool *pgxpool.Pool, application string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`, application)
	require.NoError(t, err)
}

func TestTerminatedConnections(t *testing.T) {
	s := server(t)
	opts, killer := fresh(), poolOf(t)
	j := open(t, postgres.New(poolAt(t, s.URL()+" application_name=victim"), opts), "p", contents{})
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				terminate(t, killer, "victim")
				time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			}
		}
	}()
	var c chain
	var err error
	for n := 0; n < many(1000) && err == nil; n++ {
		err = c.append(t, j)
	}
	close(stop)
	<-ended
	require.NoError(t, err)
	j, got, err := load(t, postgres.New(killer, opts), "p")
	require.NoError(t, err)
	c.stands(t, got, nil)
	require.NoError(t, c.append(t, j))
}

// hold locks a partition, as a transaction of somebody else would.
func hold(t testing.TB, pool *pgxpool.Pool, opts postgres.Options) (release func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), in(opts, `select from {}.partition for update`))
	require.NoError(t, err)
	release = sync.OnceFunc(func() { assert.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) })
	t.Cleanup(release)
	return release
}

// What a server's own timeouts end is tried again.
func TestTimeoutsOfTheServer(t *testing.T) {
	s, other := server(t), poolOf(t)
	for _, setting := range []string{"lock_timeout=50", "statement_timeout=200", "idle_in_transaction_session_timeout=1"} {
		opts := fresh()
		open(t, postgres.New(other, opts), "p", contents{})
		j := open(t, postgres.New(poolAt(t, s.URL()+" options='-c "+setting+"'"), opts), "p", contents{})
		release := hold(t, other, opts)
		time.AfterFunc(500*time.Millisecond, release)
		appendTo(t, j, put("a", "1"))
		appendTo(t, j, put("b", "2"))
		release()
		open(t, postgres.New(other, opts), "p", contents{"a": "1", "b": "2"})
	}
}

// Defaults of the server that would weaken an append do not, and one that is
// stronger stays.
func TestDefaultsOfTheServer(t *testing.T) {
	s := server(t)
	for commit, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		settings := []string{"synchronous_commit=" + commit, "default_transaction_isolation=serializable",
			"default_transaction_read_only=on", "default_transaction_deferrable=on", "client_min_messages=error", "search_path=nowhere"}
		pool, opts := poolAt(t, s.URL()+" options='-c "+strings.Join(settings, " -c ")+"'"), fresh()
		e := postgres.New(pool, opts)
		j := open(t, e, "p", contents{})
		behind(t, poolOf(t), opts, `alter table {}.record add setting text default current_setting('synchronous_commit')`)
		appendTo(t, j, put("a", "1"))
		open(t, e, "p", contents{"a": "1"})
		var got string
		require.NoError(t, pool.QueryRow(t.Context(), in(opts, `select setting from {}.record`)).Scan(&got))
		require.Equal(t, want, got, commit)
	}
}

// A holder whose machine vanishes in an append, and one that waits for a lock longer
// than it listens, are noticed by the server within the timeout. The engine sets what
// that needs, and leaves the defaults of the connection as they are.
func TestWhatAHolderLeavesBehindEnds(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	opts.Timeout = 9 * time.Second
	j := open(t, postgres.New(pool, opts), "p", contents{})
	all := `concat_ws(' ', current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
		current_setting('tcp_keepalives_count'), current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'))`
	behind(t, pool, opts, `alter table {}.record add settings text default `+all)
	appendTo(t, j, put("a", "1"))
	var got string
	require.NoError(t, pool.QueryRow(t.Context(), in(opts, `select settings from {}.record`)).Scan(&got))
	require.Equal(t, "3 3 2 9s 6750ms", got)
	require.NoError(t, pool.QueryRow(t.Context(), `select current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('lock_timeout')`).Scan(&got))
	require.Equal(t, "0 0", got)
}

// An append that cannot be found out about ends with the engine's patience, and
// an Open with its timeout.
func TestAServerThatStopsIsWaitedForNoLongerThanPatience(t *testing.T) {
	s := postgrestest.Start(t, "fsync=off")
	opts := fresh()
	opts.Patience, opts.Timeout = 300*time.Millisecond, 200*time.Millisecond
	e := postgres.New(poolAt(t, s.URL()), opts)
	j := open(t, e, "p", contents{})
	var c chain
	require.NoError(t, c.append(t, j))
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	var err error
	for err == nil {
		err = c.append(t, j)
	}
	require.NoError(t, <-stopped)
	require.ErrorIs(t, err, journal.ErrAmbiguous)
	_, again := j.Append(t.Context(), c.next())
	require.ErrorIs(t, again, journal.ErrAmbiguous)
	_, _, openErr := load(t, e, "p")
	require.Error(t, openErr)
	require.NoError(t, s.Run())
	j, got, openErr := load(t, e, "p")
	require.NoError(t, openErr)
	c.stands(t, got, err)
	require.NoError(t, c.append(t, j))
}

// An append waits for a lock no longer than its timeouts, and Open too.
func TestAPartitionThatIsLocked(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	open(t, postgres.New(pool, opts), "other", contents{}) // so that the tables are there
	opts.Patience, opts.Timeout = time.Second, 500*time.Millisecond
	e := postgres.New(pool, opts)
	j := open(t, e, "p", contents{})
	other := poolOf(t)
	release := hold(t, other, opts)
	var c chain
	err := c.append(t, j)
	require.ErrorIs(t, err, journal.ErrAmbiguous)
	_, _, openErr := load(t, e, "p")
	require.ErrorContains(t, openErr, "lock timeout")
	release()
	_, got, openErr := load(t, postgres.New(other, opts), "p")
	require.NoError(t, openErr)
	c.stands(t, got, err)
}
