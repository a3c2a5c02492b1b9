//go:build unix

// Package network runs NATS servers for tests of what fails: each server is a process of
// its own, and all that it exchanges with its clients and with the other servers goes
// through proxies. So a server can be killed, stopped, or silenced in one direction.
package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/internal/faultproxy"
)

// A Network is three servers that replicate what they keep. It is not safe for
// concurrent use.
type Network struct {
	dir     string
	servers [servers]*process // nil if killed
	ports   [servers]ports

	// Where clients reach a server, and where one server reaches another.
	clients [servers]*faultproxy.Proxy
	routes  [servers][servers]*faultproxy.Proxy
}

const servers = 3

// ports are where a server listens.
type ports struct{ clients, routes, monitor string }

// Start starts the servers, each of them this program again: main, or TestMain, must
// call [Serve] first. It waits until they have a leader.
func Start(ctx context.Context, dir string) (*Network, error) {
	n := &Network{dir: dir}
	err := n.listen()
	for server := 0; server < servers && err == nil; server++ {
		err = n.Restart(server)
	}
	if err == nil {
		err = n.WaitReady(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("network: %w", errors.Join(err, n.Stop()))
	}
	return n, nil
}

// listen starts the proxies.
func (n *Network) listen() (err error) {
	for s := range n.ports {
		p := &n.ports[s]
		for _, port := range []*string{&p.clients, &p.routes, &p.monitor} {
			if *port, err = freePort(); err != nil {
				return err
			}
		}
		if n.clients[s], err = faultproxy.Start(p.clients); err != nil {
			return err
		}
	}
	for from := range n.routes {
		for to := range n.routes[from] {
			if from == to {
				continue
			}
			if n.routes[from][to], err = faultproxy.Start(n.ports[to].routes); err != nil {
				return err
			}
		}
	}
	return nil
}

// freePort returns an address that is free now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// name is that of a server.
func name(server int) string { return fmt.Sprintf("node-%d", server) }

// configuration is that of a server. It tells nobody where it listens, or others
// would go around the proxies.
func (n *Network) configuration(server int) string {
	var routes []string
	for _, p := range n.routes[server] {
		if p != nil {
			routes = append(routes, "nats-route://"+p.Addr())
		}
	}
	at := n.ports[server]
	return fmt.Sprintf(`server_name: %s
listen: %q
http: %q
jetstream { store_dir: %q, sync_interval: always, max_file_store: 8G, max_memory_store: 64M }
cluster { name: network, listen: %q, advertise: "127.0.0.1:1", no_advertise: true, ping_interval: 1s, ping_max: 2, routes: [%s] }
`, name(server), at.clients, at.monitor, filepath.Join(n.dir, strconv.Itoa(server)), at.routes, strings.Join(routes, ", "))
}

// Restart starts a killed server on what is in its directory.
func (n *Network) Restart(server int) error {
	if n.servers[server] != nil {
		return nil
	}
	file := filepath.Join(n.dir, name(server)+".conf")
	if err := os.WriteFile(file, []byte(n.configuration(server)), 0o600); err != nil {
		return err
	}
	p, err := startProcess(file)
	if err != nil {
		return err
	}
	n.servers[server] = p
	return nil
}

// URL returns where clients reach the servers.
func (n *Network) URL() string {
	var urls []string
	for s := range n.clients {
		urls = append(urls, n.ServerURL(s))
	}
	return strings.Join(urls, ",")
}

// ServerURL returns where clients reach a server. Servers count from 0.
func (n *Network) ServerURL(server int) string { return "nats://" + n.clients[server].Addr() }

// WaitReady waits until all servers run and know their leader, and what each of
// them keeps is up to date.
func (n *Network) WaitReady(ctx context.Context) error {
	return wait(ctx, "the servers are not ready", func() bool {
		for s := range n.servers {
			if !n.ready(ctx, s) {
				return false
			}
		}
		return true
	})
}

func (n *Network) ready(ctx context.Context, server int) bool {
	var jsz struct {
		Meta struct {
			Leader   string     `json:"leader"`
			Size     int        `json:"cluster_size"`
			Replicas []struct { // only the leader's are known to be right
				Offline bool `json:"offline"`
				Current bool `json:"current"`
			} `json:"replicas"`
		} `json:"meta_cluster"`
	}
	if n.monitor(ctx, server, "/healthz", nil) != nil || n.monitor(ctx, server, "/jsz", &jsz) != nil {
		return false
	}
	for _, r := range jsz.Meta.Replicas {
		if jsz.Meta.Leader == name(server) && (r.Offline || !r.Current) {
			return false
		}
	}
	return jsz.Meta.Leader != "" && jsz.Meta.Size == servers
}

// WaitLeader waits until the servers agree on the leader of a stream, and returns
// it.
func (n *Network) WaitLeader(ctx context.Context, stream string) (leader int, err error) {
	err = wait(ctx, "the servers know no leader of "+stream, func() bool {
		found := map[string]int{}
		for s := range n.servers {
			found[n.leaderAt(ctx, s, stream)]++
		}
		for leader = range servers {
			if found[name(leader)] == servers {
				return true
			}
		}
		return false
	})
	return leader, err
}

// Peers returns how many of the other servers a server is connected to.
func (n *Network) Peers(server int) int {
	var routez struct {
		Routes []struct {
			Name string `json:"remote_name"`
		} `json:"routes"`
	}
	if n.monitor(context.Background(), server, "/routez", &routez) != nil {
		return 0
	}
	names := map[string]bool{}
	for _, r := range routez.Routes {
		names[r.Name] = true
	}
	return len(names)
}

// leaderAt returns the leader of a stream as a server knows it, "" if it does not.
func (n *Network) leaderAt(ctx context.Context, server int, stream string) string {
	var jsz struct {
		Accounts []struct {
			Streams []struct {
				Name    string `json:"name"`
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if n.monitor(ctx, server, "/jsz?streams=true", &jsz) != nil {
		return ""
	}
	for _, account := range jsz.Accounts {
		for _, s := range account.Streams {
			if s.Name == stream {
				return s.Cluster.Leader
			}
		}
	}
	return ""
}

// monitor asks a server about itself, around all proxies.
func (n *Network) monitor(ctx context.Context, server int, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ports[server].monitor+path, nil)
	if err != nil {
		return err
	}
	r.Close = true
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	if got.StatusCode != http.StatusOK {
		return errors.New(got.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(got.Body).Decode(answer)
}

// wait waits until ready returns true. It asks ten times a second.
func wait(ctx context.Context, otherwise string, ready func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, context.Cause(ctx))
		}
	}
	return nil
}

// Stop kills all servers, and ends the proxies.
func (n *Network) Stop() (err error) {
	for s := range n.servers {
		n.Kill(s)
		for _, p := range append(n.routes[s][:], n.clients[s]) {
			if p != nil {
				err = errors.Join(err, p.Close())
			}
		}
	}
	return err
}
