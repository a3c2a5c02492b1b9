package inspect_test

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/inspect"
)

// A service shows what its store holds, at http://localhost:8080/loopstore/, to
// those on the same machine.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	mux := http.NewServeMux()
	mux.Handle("/loopstore/", http.StripPrefix("/loopstore", inspect.Handler(loop, inspect.Options{})))
	server := &http.Server{
		Addr: "localhost:8080", Handler: mux,
		BaseContext: func(net.Listener) context.Context { return ctx }, // its end ends live pages, so Shutdown need not wait for them
	}
	go func() {
		<-ctx.Done()
		if err := server.Shutdown(context.WithoutCancel(ctx)); err != nil {
			log.Print(err)
		}
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
}

// Operators, whom a proxy names in a header, may change what the store holds.
func ExampleActions() {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	http.Handle("/loopstore/", http.StripPrefix("/loopstore", inspect.Handler(loop, inspect.Options{
		Actions: &inspect.Actions{
			Hosts: []string{"ops.example.com"},
			Who: func(r *http.Request) (string, error) {
				if user := r.Header.Get("X-Forwarded-User"); user != "" {
					return user, nil
				}
				return "", errors.New("nobody is logged in")
			},
		},
	})))
}
