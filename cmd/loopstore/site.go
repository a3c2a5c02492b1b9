package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	pages "github.com/loopstore/loopstore/store/inspect"
)

// A site shows a store to browsers. A nil one shows nothing.
type site struct {
	server *http.Server
	url    string
	leave  context.CancelFunc // ends live pages
	served chan error
}

// openSite serves the pages of a store at an address. It returns nil if that is
// empty.
func openSite(ctx context.Context, addr string, store pages.Source, payloads bool, stderr io.Writer) (*site, error) {
	if addr == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		_, address := errors.AsType[*net.AddrError](err)
		_, name := errors.AsType[*net.DNSError](err)
		if err = fmt.Errorf("--http: %w", err); address || name {
			err = cli.Misuse{Err: err}
		}
		return nil, err
	}
	base, leave := context.WithCancel(context.Background())
	s := &site{leave: leave, served: make(chan error, 1), server: &http.Server{
		Handler:           pages.Handler(store, pages.Options{Payloads: payloads}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return base },
	}}
	var note string
	s.url, note = urlOf(listener.Addr().(*net.TCPAddr))
	term.Say(stderr, "the store is shown at %s%s\n", s.url, note)
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// urlOf returns the URL of an address for a browser on this machine, and a note if
// other machines may reach it.
func urlOf(addr *net.TCPAddr) (url, note string) {
	at := addr.String()
	if addr.IP.IsUnspecified() {
		at = net.JoinHostPort("localhost", strconv.Itoa(addr.Port))
	}
	if !addr.IP.IsLoopback() {
		note = ", also from other machines"
	}
	return "http://" + at + "/", note
}

// stay serves until ctx ends or the site fails.
func (s *site) stay(ctx context.Context, stderr io.Writer) error {
	if s == nil {
		return nil
	}
	if ctx.Err() == nil {
		term.Say(stderr, "the store stays at %s until Ctrl-C\n", s.url)
	}
	select {
	case <-ctx.Done():
	case err := <-s.served:
		s.leave()
		return err
	}
	s.leave()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.server.Shutdown(limited); err != nil { // somebody does not read, or has not asked yet
		if err := s.server.Close(); err != nil {
			return err
		}
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
