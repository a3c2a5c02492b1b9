// Package faultproxy stands between clients and one server, for tests, and lets the
// connections between them fail: at once, silently, in one direction, slowly, or
// behind a certain byte. Faults are switched while connections are open.
//
//	p, err := faultproxy.Start(server)
//	…                                 // clients connect to p.Addr()
//	p.Silence(faultproxy.Server)      // its answers get lost
//	p.Pass()                          // all is well again
//
// Silence is that of a network, or of a stopped process: connections stay open, and
// new ones too are accepted. What a silent side sends is held back rather than
// dropped, and so is the news that it has closed a connection. It comes through
// once the proxy passes again, as TCP would repeat it. A connection that one side has
// closed is closed on both: there are no half-closed ones.
package faultproxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A Side of a connection is who sends.
type Side int

// The two sides.
const (
	Client Side = iota
	Server
)

func (s Side) other() Side { return 1 - s }

// A Proxy passes on what its clients and its server send, until it is told to do
// otherwise. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	server   string
	alive    context.Context
	end      context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex
	fault   fault
	changed chan struct{} // closed with the next change of the fault
	links   map[*link]struct{}
}

// A fault is what a proxy does instead of passing everything on.
type fault struct {
	refuse bool
	silent [2]bool // by side
	delay  time.Duration
	cut    func(from Side, size int) int // nil: nothing is cut
}

// Start returns a proxy in front of a server, on a loopback port of its own.
func Start(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, server: server, changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.alive, p.end = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the address for clients.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all connections. It returns when no goroutine is left, and may be called
// again.
func (p *Proxy) Close() error {
	p.end()
	err := p.listener.Close()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Pass ends every fault.
func (p *Proxy) Pass() { p.set(fault{}) }

// Refuse closes all connections, and each new one at once. A client may see the new
// ones open before they break.
func (p *Proxy) Refuse() { p.set(fault{refuse: true}) }

// Hang passes nothing on in either direction, as if the server had been stopped.
func (p *Proxy) Hang() { p.Silence(Client, Server) }

// Silence passes on nothing of what the given sides send.
func (p *Proxy) Silence(sides ...Side) {
	var f fault
	for _, s := range sides {
		f.silent[s] = true
	}
	p.set(f)
}

// Slow passes each piece on after a delay. A piece is what is read at once, at most 32
// KiB.
func (p *Proxy) Slow(delay time.Duration) { p.set(fault{delay: delay}) }

// Cut asks before each piece how many of its bytes to pass on before the connection
// is closed: less than 0 is all of them, and it stays open. Connections ask
// concurrently.
func (p *Proxy) Cut(most func(from Side, size int) int) { p.set(fault{cut: most}) }

// CutAfter closes a connection, the one over which a side sends the byte behind the
// next n. Before and after that, everything passes.
func (p *Proxy) CutAfter(side Side, n int) {
	var mu sync.Mutex
	done := false
	p.Cut(func(from Side, size int) int {
		mu.Lock()
		defer mu.Unlock()
		if from != side || done {
			return -1
		}
		if n >= size {
			n -= size
			return -1
		}
		done = true
		return n
	})
}

// set replaces the fault.
func (p *Proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if f.refuse {
		for l := range p.links {
			l.end()
		}
	}
}

// now returns the fault, and a channel that is closed when it changes.
func (p *Proxy) now() (fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}
