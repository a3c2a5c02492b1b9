// Package jetstreamtest runs NATS servers with JetStream in this process, for tests
// and demonstrations. The servers listen on loopback ports, have a directory each,
// and sync every write, as package jetstream needs it.
package jetstreamtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A Cluster is a number of servers that replicate what they keep. It is not safe for
// concurrent use.
type Cluster struct {
	dir     string
	options Options
	routes  []string         // where the servers reach each other
	nodes   []*server.Server // nil if stopped
	ports   []int            // for clients
	leaves  []string         // where servers with a domain take leaf nodes
}

// Options are how the servers run.
type Options struct {
	Nodes      int   // 0 means 3; 1 is a single server
	MaxPayload int32 // bytes of a message; 0 means the server's 1 MiB
	Lazy       bool  // do not sync every write: faster, but a power failure loses data
	MaxStore   int64 // bytes of files that the account may have; 0 means no limit

	Domain string   // of JetStream; "" means none
	Hub    *Cluster // whose leaf nodes the servers are; it has a domain
}

// systemUser is the name and the password of a user of the system account.
const systemUser = "system"

// Start starts servers that keep their files under dir, and waits until they have a
// leader.
func Start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	if o.Nodes <= 0 {
		o.Nodes = 3
	}
	c := &Cluster{dir: dir, options: o, nodes: make([]*server.Server, o.Nodes), ports: make([]int, o.Nodes)}
	for range o.Nodes {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		c.routes = append(c.routes, "nats-route://"+address)
		if o.Domain == "" {
			continue
		}
		if address, err = freeAddress(); err != nil {
			return nil, err
		}
		c.leaves = append(c.leaves, address)
	}
	var err error
	for n := 0; n < o.Nodes && err == nil; n++ {
		err = c.Restart(n)
	}
	if err == nil {
		err = c.WaitReady(ctx)
	}
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// freeAddress returns an address whose port is free now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("jetstreamtest: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// Dir returns the directory of a server. Servers count from 0.
func (c *Cluster) Dir(n int) string { return filepath.Join(c.dir, "node-"+strconv.Itoa(n)) }

// Restart starts a stopped server on what is in its directory.
func (c *Cluster) Restart(n int) error {
	if c.nodes[n] != nil {
		return nil
	}
	if err := os.MkdirAll(c.Dir(n), 0o700); err != nil {
		return fmt.Errorf("jetstreamtest: %w", err)
	}
	options, err := c.serverOptions(n)
	if err != nil {
		return fmt.Errorf("jetstreamtest: node %d: %w", n, err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("jetstreamtest: node %d: %w", n, err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		s.Shutdown()
		return fmt.Errorf("jetstreamtest: node %d accepts no connections", n)
	}
	c.nodes[n], c.ports[n] = s, s.Addr().(*net.TCPAddr).Port
	return nil
}

// serverOptions reads the options from a configuration file, since only a file can
// enable JetStream for an account.
func (c *Cluster) serverOptions(n int) (*server.Options, error) {
	file := c.Dir(n) + ".conf"
	if err := os.WriteFile(file, []byte(c.configuration(n)), 0o600); err != nil {
		return nil, err
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		return nil, err
	}
	o.NoSigs, o.NoLog = true, true
	return o, nil
}

func (c *Cluster) configuration(n int) string {
	var b strings.Builder
	port, sync := c.ports[n], "always"
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if c.options.Lazy {
		sync = "2m"
	}
	account := "enabled"
	if c.options.MaxStore > 0 {
		account = fmt.Sprintf("{max_file: %d}", c.options.MaxStore)
	}
	fmt.Fprintf(&b, `server_name: %snode-%d
listen: 127.0.0.1:%d
ping_interval: 1s
jetstream { store_dir: %q, sync_interval: %s, max_file_store: 64G, max_memory_store: 256M, %s }
accounts {
  SYS { users: [{user: %[7]s, password: %[7]s}] }
  USERS { jetstream: %[8]s, users: [{user: user, password: user}] }
}
system_account: SYS
no_auth_user: user
`, c.options.Domain, n, port, c.Dir(n), sync, c.domain(), systemUser, account)
	if c.options.MaxPayload > 0 {
		fmt.Fprintf(&b, "max_payload: %d\n", c.options.MaxPayload)
	}
	if len(c.nodes) > 1 {
		fmt.Fprintf(&b, "cluster { name: %q, listen: %q, routes: [%s] }\n", "jetstreamtest"+c.options.Domain, strings.TrimPrefix(c.routes[n], "nats-route://"), strings.Join(c.routes, ", "))
	}
	b.WriteString(c.leafNodes(n))
	return b.String()
}

func (c *Cluster) domain() string {
	if c.options.Domain == "" {
		return ""
	}
	return fmt.Sprintf("domain: %q", c.options.Domain)
}

// leafNodes says where a server takes leaf nodes, and whose leaf node it is.
func (c *Cluster) leafNodes(n int) string {
	switch {
	case c.options.Hub != nil:
		urls := make([]string, len(c.options.Hub.leaves))
		for i, leaf := range c.options.Hub.leaves {
			urls[i] = strconv.Quote("nats-leaf://user:user@" + leaf)
		}
		return fmt.Sprintf("leafnodes { reconnect: 1, remotes: [{ urls: [%s], account: USERS }] }\n", strings.Join(urls, ", "))
	case c.options.Domain != "":
		return fmt.Sprintf("leafnodes { listen: %q }\n", c.leaves[n])
	}
	return ""
}

// WaitLeaf waits until each server that runs is connected to the hub.
func (c *Cluster) WaitLeaf(ctx context.Context) error {
	return c.wait(ctx, "the servers are not connected to the hub", func() bool {
		for _, s := range c.nodes {
			if s != nil && s.NumLeafNodes() == 0 {
				return false
			}
		}
		return true
	})
}

// WaitReady waits until the servers that run have a leader that knows them all.
func (c *Cluster) WaitReady(ctx context.Context) error {
	return c.wait(ctx, "the servers have no leader that knows them all", func() bool {
		running, current, known := 0, 0, 0
		for _, s := range c.nodes {
			if s == nil {
				continue
			}
			running++
			if len(c.nodes) == 1 {
				return true
			}
			if s.JetStreamIsCurrent() {
				current++
			}
			if s.JetStreamIsLeader() {
				known = len(s.JetStreamClusterPeers())
			}
		}
		return running > 0 && current == running && known >= running
	})
}

// wait waits until ready returns true. It asks 50 times a second.
func (c *Cluster) wait(ctx context.Context, otherwise string, ready func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("jetstreamtest: %s: %w", otherwise, context.Cause(ctx))
		}
	}
	return nil
}

// URL returns the addresses of all servers, for nats.Connect.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.ports))
	for n := range c.ports {
		urls[n] = c.NodeURL(n)
	}
	return strings.Join(urls, ",")
}

// NodeURL returns the address of a server.
func (c *Cluster) NodeURL(n int) string {
	return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.ports[n]))
}

// Connect connects to any of the servers, and to another one when that ends.
func (c *Cluster) Connect(options ...nats.Option) (*nats.Conn, error) {
	conn, err := nats.Connect(c.URL(), append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(20*time.Millisecond, 0),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("jetstreamtest: %w", err)
	}
	return conn, nil
}

// ConnectSystem connects as a user of the system account.
func (c *Cluster) ConnectSystem() (*nats.Conn, error) {
	return c.Connect(nats.UserInfo(systemUser, systemUser))
}

// WaitLeader waits until a stream has a leader, and returns that server.
func (c *Cluster) WaitLeader(ctx context.Context, stream string) (leader int, err error) {
	err = c.wait(ctx, "the stream has no leader", func() bool {
		leader = slices.IndexFunc(c.nodes, func(s *server.Server) bool {
			return s != nil && (len(c.nodes) == 1 || s.JetStreamIsStreamLeader("USERS", stream))
		})
		return leader >= 0
	})
	return leader, err
}

// StepDown makes the leader of a stream hand over to another server.
func (c *Cluster) StepDown(conn *nats.Conn, stream string) error {
	_, err := conn.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, 5*time.Second)
	return err
}

// Kill stops a server, which hands over nothing that it leads.
func (c *Cluster) Kill(n int) {
	if s := c.nodes[n]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.nodes[n] = nil
	}
}

// Stop stops all servers.
func (c *Cluster) Stop() {
	for n := range c.nodes {
		c.Kill(n)
	}
}
