package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/promstats"
	"github.com/loopstore/loopstore/store/turn"
)

// A service is the HTTP side, and what its workers share.
type service struct {
	http.ServeMux

	loop  *loopstore.Loop
	model model
	tool  tool
	asked atomic.Int64 // calls of the tool of which nobody knew whether they were made
	stop  func()       // ends live events
}

func newService(loop *loopstore.Loop, m model, t tool) *service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{loop: loop, model: m, tool: t, stop: cancel}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(promstats.New(loop, nil))
	s.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	s.Handle("/inspect/", http.StripPrefix("/inspect", inspect.Handler(loop, inspect.Options{Payloads: true})))
	s.HandleFunc("POST /agents/{agent}/messages", s.post)
	s.HandleFunc("GET /agents/{agent}/messages", s.get)
	s.HandleFunc("GET /agents/{agent}/events", func(w http.ResponseWriter, r *http.Request) {
		live, done := context.WithCancel(r.Context())
		defer done()
		defer context.AfterFunc(ctx, done)()
		s.events(w, r.WithContext(live))
	})
	return s
}

func agentOf(r *http.Request) store.RuntimeID { return store.RuntimeID(r.PathValue("agent")) }

// post accepts a message. With an Idempotency-Key it may be sent again.
func (s *service) post(w http.ResponseWriter, r *http.Request) {
	var m message
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || m.Text == "" {
		http.Error(w, `a message is JSON, {"text":"…"}, of up to 1 MiB`, http.StatusBadRequest)
		return
	}
	m = message{Role: "user", Text: m.Text}
	in, repeated, err := turn.Enqueue(r.Context(), s.loop, agentOf(r), turn.Message{Key: r.Header.Get("Idempotency-Key"), Body: m.line()})
	if err != nil {
		fail(w, err)
		return
	}
	answer := map[string]any{"input_id": in.State.InputID, "state": in.State.CurrentState, "repeated": repeated}
	if in.Version == 0 {
		answer = map[string]any{"state": "forgotten", "repeated": true} // it was done long ago
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(answer)
}

// get sends the conversation.
func (s *service) get(w http.ResponseWriter, r *http.Request) {
	view, err := s.loop.View(r.Context(), agentOf(r))
	if err != nil {
		fail(w, err)
		return
	}
	snapshot, ok := view.Snapshot()
	if !ok {
		http.Error(w, "nothing was said yet", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = snapshot.WriteTo(w)
}

// events sends each message as a server-sent event, those that there are first.
func (s *service) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	sent, control := 0, http.NewResponseController(w)
	if control.Flush() != nil { // the client knows now that it listens
		return
	}
	for view, err := range s.loop.Watch(r.Context(), agentOf(r), 0) {
		if err != nil {
			return // the client has gone, or the service ends
		}
		snapshot, _ := view.Snapshot()
		conversation, err := messages(snapshot.Bytes())
		if err != nil {
			return
		}
		for ; sent < len(conversation); sent++ {
			if _, err := w.Write(append(append([]byte("data: "), conversation[sent].line()...), '\n')); err != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
	}
}

// fail says what the client can do.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, store.ErrInvalidValue):
		status = http.StatusBadRequest
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFailed), errors.Is(err, store.ErrOutcomeUnknown):
		status = http.StatusServiceUnavailable // send it again, with the same key
	case errors.Is(err, store.ErrLimit), errors.Is(err, journal.ErrRejected):
		status = http.StatusInsufficientStorage
	}
	http.Error(w, http.StatusText(status), status)
}
