//go:build unix

// Package network runs NATS servers for tests of what fails: each server is a process of
// its own, and all that it exchanges with its clients and with the other servers goes
// through proxies. So a server can be killed, stopped, or silenced in one direction.
package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
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
// call [Serve] first. It waits until they have a leader, and begins anew if they get
// none soon, as when another process was quicker to take one of their ports.
func Start(ctx context.Context, dir string) (*Network, error) {
	for try := 0; ; try++ {
		n, err := start(ctx, filepath.Join(dir, strconv.Itoa(try)))
		if err == nil || ctx.Err() != nil {
			return n, err
		}
	}
}

// soon is how long servers usually take to have a leader, and much more.
const soon = 20 * time.Second

func start(ctx context.Context, dir string) (*Network, error) {
	n := &Network{dir: dir}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = n.listen()
	}
	for server := 0; server < servers && err == nil; server++ {
		err = n.Restart(server)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, soon)
		defer cancel()
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

// freePort returns an address that is free now. No connection will take it as its own
// end, while a server is away: systems choose those from 32768 on.
func freePort() (address string, err error) {
	for range 100 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(20000)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
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
