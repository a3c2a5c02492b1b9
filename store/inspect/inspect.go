package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/state"
)

// A Source is what is shown: a *loopstore.Loop, or something that wraps one and
// hides a part of it.
//
// If it is a state.Watcher, too, the pages of a runtime are live, and if it is a
// state.Follower, so is the list of the runtimes. If it is Running, there are statistics.
type Source interface {
	state.Viewer
	Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error]
}

// Running is a Source that some process has open.
type Running interface{ Stats() loopstore.Stats }

var (
	_ Source         = (*loopstore.Loop)(nil)
	_ Running        = (*loopstore.Loop)(nil)
	_ state.Watcher  = (*loopstore.Loop)(nil)
	_ state.Follower = (*loopstore.Loop)(nil)
)

// Options are the settings of a handler. The zero value is useful.
type Options struct {
	// Payloads shows inputs and session snapshots. Without it no byte of them is
	// sent, only their sizes.
	Payloads bool

	// Streams is how many pages may be live at once. Further ones stay as they are
	// until they are reloaded. 0 or less means 1,000.
	Streams int

	// Members is for ClusterHandler: where another member shows these pages, such as
	// "http://10.0.0.7:8080/loopstore/". An empty address, or no function, leads nowhere.
	Members func(cluster.Member) string

	// History is what the statistics show of the last ten minutes. nil means one that
	// is filled while somebody looks at them.
	History *History

	// Actions let people change what the store holds. nil means that nobody can.
	Actions *Actions
}

const defaultStreams = 1000

// Handler returns a handler that serves the pages. Its links are relative, so it
// may stand under any prefix that ends in a slash, behind http.StripPrefix.
func Handler(source Source, opts Options) http.Handler { return newHandler(source, opts) }

func newHandler(source Source, opts Options) *handler {
	if opts.Streams <= 0 {
		opts.Streams = defaultStreams
	}
	if opts.History == nil {
		opts.History = new(History)
	}
	running, _ := source.(Running)
	_, live := source.(state.Watcher)
	h := &handler{
		source: source, running: running, place: place{Stats: running != nil, Still: running == nil && !live}, payloads: opts.Payloads,
		streams: make(chan struct{}, opts.Streams), acts: actingOf(opts.Actions, source),
		views:   &views{source: source, followed: make(map[store.RuntimeID]*followed)},
		history: opts.History,
	}
	h.hub = &hub{source: source, views: h.views}
	return h
}

type handler struct {
	source   Source
	running  Running // nil if it is not
	payloads bool
	streams  chan struct{} // one element for each open stream
	acts     *acting       // nil if nothing can be changed
	views    *views
	hub      *hub
	history  *History
	place    place
	other    func(http.ResponseWriter, *http.Request) error // serves other pages than a store's, if it is not nil
}

// ServeHTTP answers a request. A browser must not keep an answer, or show it within
// another site's page.
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
	w.Header().Add("Vary", "Accept")
	if err := h.serve(w, r); err != nil && r.Context().Err() == nil {
		p := problemOf(err)
		if p.status == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
			w.Header().Set("Allow", "GET, HEAD")
		}
		write(w, r, p.status, page{Template: "problem", Title: p.title, Place: h.place, Body: p, Changes: h.acts != nil})
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	if h.acts.does(pathOf(r)) {
		return h.act(w, r)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &problem{http.StatusMethodNotAllowed, "Read only", "This page changes nothing, so " + r.Method + " is not allowed."}
	}
	if h.other != nil {
		return h.other(w, r)
	}
	switch r.URL.Path {
	case "/events":
		return h.events(w, r)
	case "/stats/events":
		if h.running == nil {
			return notFound("page")
		}
		return h.statsEvents(w, r)
	case "/changes":
		return h.changes(w, r)
	case "/payload":
		return h.payload(w, r)
	case "/snapshot":
		return h.snapshot(w, r)
	case "/raw":
		return h.raw(w, r)
	}
	var p page
	var err error
	switch pathOf(r) {
	case "/", "/runtimes":
		return h.list(w, r)
	case "/stats":
		p, err = h.stats()
	default:
		p, err = h.ofRuntime(r)
	}
	if err == nil {
		h.complete(r, &p)
		write(w, r, http.StatusOK, p)
	}
	return err
}

// complete adds to a page what every page has.
func (h *handler) complete(r *http.Request, p *page) {
	p.Place = h.place
	h.offers(r, p)
}

// pathOf returns the path of a page, without what asks for its JSON.
func pathOf(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, ".json") }

// render makes a page, or its JSON, and says which kind of text that is.
func render(text io.Writer, r *http.Request, p page) (kind string, err error) {
	if wantsJSON(r) {
		return "application/json", writeJSON(text, p.Body.JSON())
	}
	return "text/html; charset=utf-8", templates[p.Template].Execute(text, p)
}

// write sends a page.
func write(w http.ResponseWriter, r *http.Request, status int, p page) {
	var text bytes.Buffer
	kind, err := render(&text, r, p)
	send(w, status, kind, text.Bytes(), err)
}

// send sends a page, or an error if it could not be made.
func send(w http.ResponseWriter, status int, kind string, text []byte, err error) {
	if err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError) // err may quote what is shown
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that nobody reads it
}

// A problem is an error that is shown as a page.
type problem struct {
	status int
	title  string
	Text   string
}

func (p *problem) Error() string { return p.title }

func notFound(what string) error {
	return &problem{http.StatusNotFound, "No such " + what, "The store does not hold it, or no longer does."}
}

func unreadable(parameter string) error {
	return &problem{http.StatusBadRequest, "Bad address", "The parameter " + strconv.Quote(parameter) + " cannot be read."}
}

// problemOf returns what an error means to whoever looks. It quotes nothing of it.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	title, text := "Not now", "The store does not answer."
	switch {
	case errors.Is(err, store.ErrClosed):
		title, text = "The store is closed", "It no longer answers."
	case errors.Is(err, store.ErrFailed):
		title, text = "The store has failed", "It panicked and no longer answers. Its Close returns the panic."
	}
	return &problem{http.StatusServiceUnavailable, title, text}
}
