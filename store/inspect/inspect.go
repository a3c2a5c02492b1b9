package inspect

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Source is what is shown. A *loopstore.Loop is one; one that wraps it can hide
// a part of it.
type Source interface {
	state.Viewer
	state.Watcher
	Runtimes(ctx context.Context, page state.Paging) iter.Seq2[state.RuntimeSummary, error]
	Stats() loopstore.Stats
}

var _ Source = (*loopstore.Loop)(nil)

// Options are the settings of a handler. The zero value is useful.
type Options struct {
	// Payloads shows what inputs and session snapshots say. Without it no byte of
	// theirs is sent, only how many there are.
	Payloads bool

	// Streams is how many pages may be live at once. Further ones stay as they
	// are until they are reloaded. 0 means 64, and so does a negative number.
	Streams int
}

const defaultStreams = 64

// Handler returns a handler of the pages. Its links are relative, so it may stand
// under any prefix that ends in a slash, after http.StripPrefix.
func Handler(source Source, opts Options) http.Handler {
	if opts.Streams <= 0 {
		opts.Streams = defaultStreams
	}
	return &handler{source, opts.Payloads, make(chan struct{}, opts.Streams)}
}

type handler struct {
	source   Source
	payloads bool
	streams  chan struct{} // an element for each that is open
}

// ServeHTTP answers a request. Nothing of an answer is kept by a browser, or may
// be shown in a page of others.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Cache-Control":                "no-store",
		"Content-Security-Policy":      policy,
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
	} {
		w.Header().Set(name, value)
	}
	if err := h.serve(w, r); err != nil && r.Context().Err() == nil {
		p := problemOf(err)
		if p.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, HEAD")
		}
		write(w, p.status, page{Template: "problem", Title: p.title, Body: p})
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &problem{http.StatusMethodNotAllowed, "It can only be read", "These pages change nothing, so they take no " + r.Method + "."}
	}
	var show func(*http.Request) (page, error)
	switch r.URL.Path {
	case "/":
		show = h.runtimes
	case "/runtime":
		show = h.runtime
	case "/inputs":
		show = h.inputs
	case "/input":
		show = h.input
	case "/runs":
		show = h.runs
	case "/run":
		show = h.run
	case "/stats":
		show = h.stats
	case "/events":
		return h.events(w, r)
	case "/payload":
		return h.payload(w, r)
	case "/snapshot":
		return h.snapshot(w, r)
	default:
		return &problem{http.StatusNotFound, "No such page", "There is nothing at this address."}
	}
	p, err := show(r)
	if err == nil {
		write(w, http.StatusOK, p)
	}
	return err
}

// write sends a page, or what it is to be if that cannot be made.
func write(w http.ResponseWriter, status int, p page) {
	var body bytes.Buffer
	if err := templates[p.Template].Execute(&body, p); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError) // err may quote what is shown
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // an error means that nobody reads it
}

// A problem is an error that is shown as a page.
type problem struct {
	status int
	title  string
	Text   string
}

func (p *problem) Error() string { return p.title }

func notFound(what string) error {
	return &problem{http.StatusNotFound, "No such " + what, "The store has no such " + what + ", or has it no more."}
}

func unreadable(name string) error {
	return &problem{http.StatusBadRequest, "No such address", "Its part " + strconv.Quote(name) + " cannot be read."}
}

// problemOf says of an error what it means to whoever looks. It quotes nothing.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	p := &problem{http.StatusServiceUnavailable, "Not now", "The store does not answer."}
	switch {
	case errors.Is(err, store.ErrClosed):
		p.title, p.Text = "The store is closed", "It shows nothing any more."
	case errors.Is(err, store.ErrFailed):
		p.title, p.Text = "The store has failed", "It serves nothing any more, after a panic. Its Close returns that."
	}
	return p
}
