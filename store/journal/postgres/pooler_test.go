//go:build unix

package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// pooler runs PgBouncer in front of a server until the test ends, and returns a
// connection string.
func pooler(t testing.TB, s *postgrestest.Server, mode string, size int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("install Debian's package pgbouncer: ", err)
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := portOf(t, l.Addr().String())
	require.NoError(t, l.Close())
	config := []string{
		"[databases]", "postgres = host=127.0.0.1 user=loopstore port=" + portOf(t, s.Addr()),
		"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + filepath.Join(dir, "users"), "pool_mode = " + mode, "default_pool_size = " + strconv.Itoa(size),
	}
	for name, text := range map[string]string{"users": `"loopstore" ""`, "ini": strings.Join(config, "\n")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644))
	}
	cmd := exec.Command(program, "-q", filepath.Join(dir, "ini"))
	if os.Geteuid() == 0 { // as whom it refuses to run
		require.NoError(t, errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)))
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		c := new(syscall.Credential)
		_, err = fmt.Sscan(nobody.Uid+" "+nobody.Gid, &c.Uid, &c.Gid)
		require.NoError(t, err)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Kill())
		var exit *exec.ExitError
		assert.True(t, errors.As(cmd.Wait(), &exit))
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return "host=127.0.0.1 port=" + port + " user=loopstore dbname=postgres"
}

// A pooler gives each transaction any of its connections, and knows nothing of
// statements that were prepared. With each mode of pgx all is as without it.
func TestBehindAPooler(t *testing.T) {
	s := server(t)
	for pooling, size := range map[string]int{"transaction": 4, "session": 8} {
		url := pooler(t, s, pooling, size)
		for _, mode := range modes {
			t.Run(pooling+"/"+mode, func(t *testing.T) {
				pool, opts := at(t, url, mode), fresh()
				var wg sync.WaitGroup
				for n := range 6 {
					wg.Go(func() { shares(t, pool, opts, fmt.Sprint(n)) })
				}
				wg.Wait()
			})
		}
	}
}

// shares uses a partition and a document beside others on the same pool.
func shares(t *testing.T, pool *pgxpool.Pool, opts postgres.Options, name string) {
	e, d := postgres.New(pool, opts), postgres.NewDirectory(pool, opts, name)
	j, _, err := load(t, e, name)
	if !assert.NoError(t, err) {
		return
	}
	want := contents{}
	for n := range 40 {
		c := put(fmt.Sprint(n%30), fmt.Sprint(name, " ", n))
		want[string(c.Key)] = string(c.Value)
		if _, err := j.Append(t.Context(), batchOf(c)); !assert.NoError(t, err) {
			return
		}
		document, revision, err := d.Read(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, n > 0, revision > 0)
		if n > 0 {
			assert.Equal(t, fmt.Sprint(name, n-1), string(document))
		}
		ok, err := d.Write(t.Context(), fmt.Append(nil, name, n), revision)
		assert.NoError(t, err)
		assert.True(t, ok)
	}
	_, got, err := load(t, e, name)
	assert.NoError(t, err)
	assert.Equal(t, want, got)
}

// A batch of several round trips stays on one connection of the pooler.
func TestALargeBatchBehindAPooler(t *testing.T) {
	e := postgres.New(at(t, pooler(t, server(t), "transaction", 4), "cache_statement"), fresh())
	changes, before, after := large()
	fill(t, e, before)
	j, _, err := load(t, e, "p")
	require.NoError(t, err)
	appendTo(t, j, changes...)
	_, got, err := load(t, e, "p")
	require.NoError(t, err)
	same(t, after, got)
}

// Without transactions there is no journal: Open says what to set.
func TestAPoolerOfStatementsIsRefused(t *testing.T) {
	url := pooler(t, server(t), "statement", 4)
	for _, mode := range modes {
		_, _, err := load(t, postgres.New(at(t, url, mode), fresh()), "p")
		require.ErrorContains(t, err, "transaction")
		require.ErrorIs(t, err, postgres.ErrPooler)
	}
}

// A pooler keeps its connections to a standby from the client, which hears of it by
// the server's refusal: then its connection is closed.
func TestAStandbyBehindAPoolerIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs two servers")
	}
	primary := postgrestest.Start(t, "fsync=off")
	standby := primary.Standby(t, "b")
	opts := fresh()
	opts.Timeout = 500 * time.Millisecond
	open(t, postgres.New(poolAt(t, primary.URL()), opts), "p", contents{})
	_, _, err := load(t, postgres.New(at(t, pooler(t, standby, "transaction", 4), "exec"), opts), "p")
	require.ErrorContains(t, err, "standby")
}
