package jetstream_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// The three servers that the tests share, and a connection to them.
var (
	cluster *jetstreamtest.Cluster
	shared  *nats.Conn
)

// serveEnv makes this program the servers of another, in which their goroutines
// would look like leaks.
const jetstreamTimeout = 5 * time.Second

const serveEnv = "JETSTREAMTEST_SERVE"

func TestMain(m *testing.M) {
	serve()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if prefix, url, ok := strings.Cut(os.Getenv(holdEnv), " "); ok {
		if err := hold(prefix, url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := jetstreamtest.Start(ctx, dir, jetstreamtest.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop()
	if os.Getenv(serveEnv) != "" {
		fmt.Println(c.URL())
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	}
	cluster = c
	if shared, err = c.Connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Close()
	return m.Run()
}

// elsewhere starts three servers in a process of their own, and returns a
// connection to them.
func elsewhere(t testing.TB) *nats.Conn {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	server := exec.Command(self)
	server.Env = append(os.Environ(), serveEnv+"=1")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	require.NoError(t, err)
	out, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = server.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	conn, err := nats.Connect(strings.TrimSpace(url), nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

var prefixes atomic.Int64

// newPrefix returns a prefix of streams that no other test has.
func newPrefix() string { return fmt.Sprintf("test%d", prefixes.Add(1)) }

// newEngine returns an engine on a connection, with no partition yet.
func newEngine(t testing.TB, conn *nats.Conn, o jetstream.Options) *jetstream.Engine {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = newPrefix()
	}
	e, err := jetstream.New(conn, o)
	require.NoError(t, err)
	t.Cleanup(func() { dropStreams(conn, o.Prefix) })
	return e
}

// dropStreams removes the streams of a prefix, so that the servers have no more to
// do for them. What it cannot remove stays.
func dropStreams(conn *nats.Conn, prefix string) {
	client, err := js.New(conn)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	names := client.StreamNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, prefix+"=") || strings.HasPrefix(name, prefix+"-") {
			_ = client.DeleteStream(ctx, name)
		}
	}
}
