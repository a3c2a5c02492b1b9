package faultproxy

import (
	"context"
	"net"
	"sync"
	"time"
)

// A link is a client's connection and the one to the server that belongs to it.
type link struct {
	proxy *Proxy
	conns [2]net.Conn // by side
	alive context.Context
	end   context.CancelFunc
}

// serve makes a link of a client's connection, and works until it ends.
func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	l := &link{proxy: p}
	l.alive, l.end = context.WithCancel(p.alive)
	defer l.end()
	if !p.add(l) {
		return
	}
	defer p.remove(l)
	server, err := new(net.Dialer).DialContext(l.alive, "tcp", p.server)
	if err != nil {
		return
	}
	l.conns = [2]net.Conn{Client: client, Server: server}
	stop := context.AfterFunc(l.alive, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	defer func() { _ = server.Close() }()
	var both sync.WaitGroup
	both.Go(func() { l.pass(Client) })
	both.Go(func() { l.pass(Server) })
	both.Wait()
}

// add reports whether a link may begin.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.refuse {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pass passes on what a side sends until that ends, and ends the link with it.
func (l *link) pass(from Side) {
	defer l.end()
	piece := make([]byte, 32<<10)
	for {
		l.heard(from)
		n, err := l.conns[from].Read(piece)
		f, alive := l.heard(from) // it may have fallen silent meanwhile
		if !alive || !l.wait(f.delay) {
			return
		}
		send, cut := piece[:n], false
		if f.cut != nil {
			if most := f.cut(from, n); most >= 0 {
				send, cut = piece[:min(most, n)], true
			}
		}
		_, failed := l.conns[from.other()].Write(send)
		if failed != nil {
			l.heard(from.other()) // the news of its end comes from there
		}
		if failed != nil || err != nil || cut {
			return
		}
	}
}

// heard waits until a side is not silent. It returns the fault of that moment, and
// whether the link still exists.
func (l *link) heard(side Side) (f fault, alive bool) {
	for {
		f, changed := l.proxy.now()
		if !f.silent[side] {
			return f, l.alive.Err() == nil
		}
		select {
		case <-changed:
		case <-l.alive.Done():
			return f, false
		}
	}
}

// wait waits, and reports whether the link still exists.
func (l *link) wait(delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.alive.Done():
		return false
	}
}
