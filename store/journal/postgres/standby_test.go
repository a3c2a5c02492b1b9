package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// pair runs a server whose commits wait for a standby.
func pair(t *testing.T) (primary, standby *postgrestest.Server) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs two servers")
	}
	primary = postgrestest.Start(t, "fsync=off", "wal_sender_timeout=1s")
	standby = primary.Standby(t, "b")
	pool := poolAt(t, primary.URL())
	for _, sql := range []string{`alter system set synchronous_standby_names = 'b'`, `select pg_reload_conf()`} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		var sync bool
		err := pool.QueryRow(t.Context(), `select count(*) = 1 from pg_stat_replication where sync_state = 'sync'`).Scan(&sync)
		return err == nil && sync
	}, time.Minute, 10*time.Millisecond)
	return primary, standby
}

// A server that fails under load loses nothing that it has acknowledged to its
// standby, and nothing is there twice.
func TestFailover(t *testing.T) {
	for name, away := range aways {
		t.Run(name, func(t *testing.T) {
			primary, standby := pair(t)
			proxy, opts := proxyTo(t, primary.Addr()), fresh()
			opts.Patience, opts.Timeout = time.Second, time.Second
			e := postgres.New(through(t, primary, proxy), opts)
			var chains [4]chain
			var errs [4]error
			var wg, loaded sync.WaitGroup
			for i := range chains {
				j := open(t, e, fmt.Sprint(i), contents{})
				loaded.Add(1)
				isLoaded := sync.OnceFunc(loaded.Done)
				wg.Go(func() {
					defer isLoaded()
					for errs[i] == nil {
						errs[i] = chains[i].append(t, j)
						if chains[i].acknowledged == 100 {
							isLoaded()
						}
					}
				})
			}
			loaded.Wait()
			require.NoError(t, away.fail(primary, proxy))
			wg.Wait()
			require.NoError(t, standby.Promote())
			e = postgres.New(poolAt(t, standby.URL()), opts)
			for i := range chains {
				require.ErrorIs(t, errs[i], journal.ErrAmbiguous)
				j, got, err := load(t, e, fmt.Sprint(i))
				require.NoError(t, err)
				require.NotZero(t, chains[i].acknowledged)
				chains[i].stands(t, got, errs[i])
				require.NoError(t, chains[i].append(t, j))
			}
			require.NoError(t, away.undo(primary, proxy))
		})
	}
}

// cancelWaits calls off the waits for a standby, as an impatient operator would.
func cancelWaits(t *testing.T, s *postgrestest.Server, function string) (stop func()) {
	t.Helper()
	pool := poolAt(t, s.URL())
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				_, err := pool.Exec(t.Context(), `select `+function+`(pid) from pg_stat_activity where wait_event = 'SyncRep'`)
				assert.NoError(t, err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { close(done); <-ended })
	t.Cleanup(stop)
	return stop
}

// A batch that is committed here and not on the standby is not acknowledged, even
// if the server calls it committed.
func TestACancelledWaitForTheStandby(t *testing.T) {
	for _, function := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		t.Run(function, func(t *testing.T) {
			primary, standby := pair(t)
			opts := fresh()
			opts.Patience = 500 * time.Millisecond
			pool := poolAt(t, primary.URL()+" options='-c client_min_messages=error -c lc_messages=C'")
			e, d := postgres.New(pool, opts), postgres.NewDirectory(pool, opts, "d")
			j := open(t, e, "p", contents{})
			var c chain
			require.NoError(t, c.append(t, j))
			ok, err := d.Write(t.Context(), []byte("1"), 0)
			require.NoError(t, err)
			require.True(t, ok)
			_, revision, err := d.Read(t.Context())
			require.NoError(t, err)

			require.NoError(t, standby.Stop())
			stop := cancelWaits(t, primary, function)
			appendErr := c.append(t, j)
			require.ErrorIs(t, appendErr, journal.ErrAmbiguous)
			ok, err = d.Write(t.Context(), []byte("2"), revision)
			require.Error(t, err)
			require.False(t, ok)
			_, _, err = load(t, e, "p")
			require.Error(t, err, "what it would show is not on the standby")
			stop()

			require.NoError(t, standby.Run())
			j, got, err := load(t, e, "p")
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(c.tried), got["index"], "it was committed all the same")
			c.stands(t, got, appendErr)
			require.NoError(t, c.append(t, j))
		})
	}
}

// A standby that hangs holds an append up, and takes nothing from it.
func TestTheStandbyHangs(t *testing.T) {
	primary, standby := pair(t)
	opts := fresh()
	opts.Timeout = time.Second
	e := postgres.New(poolAt(t, primary.URL()), opts)
	j := open(t, e, "p", contents{})
	var c chain
	require.NoError(t, c.append(t, j))
	require.NoError(t, standby.Hang())
	resumed := make(chan error, 1)
	time.AfterFunc(3*time.Second, func() { resumed <- standby.Resume() })
	appendErr := c.append(t, j)
	require.NoError(t, <-resumed)
	require.NoError(t, appendErr)
	_, got, err := load(t, e, "p")
	require.NoError(t, err)
	c.stands(t, got, nil)
}

// When the standby comes back in time, the append finds out that it is stored.
func TestTheStandbyComesBack(t *testing.T) {
	primary, standby := pair(t)
	e := postgres.New(poolAt(t, primary.URL()), fresh())
	j := open(t, e, "p", contents{})
	var c chain
	require.NoError(t, c.append(t, j))
	require.NoError(t, standby.Stop())
	stop := cancelWaits(t, primary, "pg_cancel_backend")
	back := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() {
		stop()
		back <- standby.Run()
	})
	appendErr := c.append(t, j)
	require.NoError(t, <-back)
	require.NoError(t, appendErr)
	_, got, err := load(t, e, "p")
	require.NoError(t, err)
	c.stands(t, got, nil)
}
