// Chat is a whole service on loopstore: people post messages to agents, workers answer them
// with a model and a tool, and everybody can look on. Kill it at any moment and start it
// again: no message is lost or answered twice, and no call of the tool is made twice.
//
//	cd examples && GOWORK=off go build -o /tmp/chat ./chat
//	/tmp/chat --dir /tmp/chat-state               # kill this one; go run has a child that goes on
//	curl -H 'Idempotency-Key: 1' -d '{"text":"Hello"}' localhost:8080/agents/anna/messages
//	curl localhost:8080/agents/anna/messages      # the conversation, JSON Lines
//	curl -N localhost:8080/agents/anna/events     # it, as it grows
//
// http://localhost:8080/inspect/ shows the store, /metrics is for Prometheus.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/turn"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "the `address` to listen at")
	dir := flag.String("dir", "chat-state", "the `directory` of the store and of the tool")
	workers := flag.Int("workers", 4, "how many turns may be under way at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *dir, *workers); err != nil {
		log.Fatal(err)
	}
}

// options are those of the store: a message that is sent again is known for a week.
func options() loopstore.Options {
	return loopstore.Options{
		Queue:     turn.Queue,
		Retention: store.Retention{Inputs: store.Keep{Last: 1000}, Keys: store.Keep{For: 7 * 24 * time.Hour}},
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr, dir string, workers int) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	loop, err := loopstore.Open(ctx, disk.New(filepath.Join(dir, "state"), disk.Options{}), "chat", options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	tool, err := openNotebook(filepath.Join(dir, "notebook"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tool.Close()) }()
	s := newService(loop, scripted{}, tool)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Println("listening on", listener.Addr())
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	working, rest := context.WithCancel(ctx)
	defer rest()
	go func() { ended <- s.work(working, workers) }()
	go func() { ended <- server.Serve(listener) }()
	left := 2
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	// No new call, no new turn; those under way end first. Live events never do.
	rest()
	s.stop()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(err, server.Shutdown(patience))
	for range left {
		err = errors.Join(err, <-ended)
	}
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		err = nil
	}
	return err
}
