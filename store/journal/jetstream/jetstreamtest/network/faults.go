//go:build unix

package network

import (
	"fmt"
	"syscall"

	"github.com/loopstore/loopstore/internal/faultproxy"
)

// A Fault is what can befall a server. It lasts until [Network.Heal].
type Fault int

// The faults.
const (
	Killed  Fault = iota // its process ends at once
	Stopped              // its process stands still
	Mute                 // nobody hears it, clients or servers
	Deaf                 // it hears nobody
	Cut                  // it and its clients hear nothing of each other, the servers do
)

// Faults are all of them.
var Faults = []Fault{Killed, Stopped, Mute, Deaf, Cut}

// String returns a few words.
func (f Fault) String() string {
	if f < Killed || f > Cut {
		return fmt.Sprintf("Fault(%d)", int(f))
	}
	return [...]string{"killed", "stopped", "mute", "deaf", "cut off from its clients"}[f]
}

// Break lets a fault befall a server.
func (n *Network) Break(server int, f Fault) error {
	switch f {
	case Killed:
		n.Kill(server)
	case Stopped:
		return n.servers[server].Process.Signal(syscall.SIGSTOP)
	case Mute:
		n.silence(server, faultproxy.Server)
	case Deaf:
		n.silence(server, faultproxy.Client)
	case Cut:
		n.clients[server].Hang()
	}
	return nil
}

// Heal ends what befell a server.
func (n *Network) Heal(server int) error {
	n.each(server, func(p *faultproxy.Proxy, _ bool) { p.Pass() })
	if n.servers[server] == nil {
		return n.Restart(server)
	}
	return n.servers[server].Process.Signal(syscall.SIGCONT)
}

// Kill kills a server.
func (n *Network) Kill(server int) {
	if p := n.servers[server]; p != nil {
		p.kill()
		n.servers[server] = nil
	}
}

// silence holds back what one side of a server's connections sends, as far as its
// clients go: of the connections that the server itself has opened it is the other.
func (n *Network) silence(server int, side faultproxy.Side) {
	n.each(server, func(p *faultproxy.Proxy, opened bool) {
		if opened {
			p.Silence(1 - side)
		} else {
			p.Silence(side)
		}
	})
}

// each calls do with the proxies of all connections of a server, and whether the
// server itself opens them.
func (n *Network) each(server int, do func(p *faultproxy.Proxy, opened bool)) {
	do(n.clients[server], false)
	for other := range n.routes {
		if other != server {
			do(n.routes[server][other], true)
			do(n.routes[other][server], false)
		}
	}
}
