package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	heartbeat = 15 * time.Second       // finds out that a client has gone, and tells it that the stream has not
	pace      = 250 * time.Millisecond // least time between two versions
	patience  = 10 * time.Second       // with a client that does not read
)

// events sends the version of a runtime whenever it has changed, beginning after the
// version that the client has seen. It may skip versions, but never the last.
// Version 0 means that the runtime is gone.
func (h *handler) events(w http.ResponseWriter, r *http.Request) error {
	id := store.RuntimeID(r.URL.Query().Get("id"))
	after, err := strconv.ParseUint(cmp.Or(seen(r), "0"), 10, 64)
	if err != nil {
		return unreadable("after")
	}
	if _, live := h.source.(state.Watcher); !live {
		return notLive
	}
	followed, leave := h.views.follow(id)
	defer leave()
	if _, err := followed.view(r.Context()); err != nil {
		return err
	}
	return h.stream(w, r, func(ctx context.Context) (string, error) {
		for {
			view, err := followed.view(ctx)
			if errors.Is(err, store.ErrBusy) { // which passes
				view, err = nil, wait(ctx, pace)
			}
			if err != nil {
				return "", err
			}
			if view == nil {
				continue
			}
			if view.Version() != after {
				after = view.Version()
				return strconv.FormatUint(after, 10), nil
			}
			select {
			case <-view.Changed():
			case <-ctx.Done():
				return "", ctx.Err()
			}
			if !view.Exists() { // so it ends whenever some other runtime is made
				if err := wait(ctx, pace); err != nil {
					return "", err
				}
			}
		}
	})
}

// seen returns what a client has seen last.
func seen(r *http.Request) string {
	return cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after"))
}

// notLive is the problem of a stream that the source cannot feed.
var notLive = &problem{http.StatusNotImplemented, "Not live", "The store that these pages show does not tell of changes."}

// stream sends an event for each version that next returns. Nothing ends it but the
// client, the network, ctx, or an error of next; next waits no longer than its context.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, next func(context.Context) (version string, err error)) error {
	ctx := r.Context()
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		return &problem{http.StatusServiceUnavailable, "Too many live pages", "This one stays as it is until it is reloaded."}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform") // what compresses holds events back
	w.Header().Set("X-Accel-Buffering", "no")                 // so does nginx, unless it is told
	if r.Method == http.MethodHead {
		return nil
	}
	s := stream{w, http.NewResponseController(w)}
	_ = s.SetReadDeadline(time.Time{}) // or a server's ReadTimeout ends the request
	if err := s.timely(s.Flush); errors.Is(err, http.ErrNotSupported) {
		return &problem{http.StatusNotImplemented, "Not live", "The program that serves these pages cannot send a part of an answer."}
	}
	err := s.send("retry: 2000\nevent: begin\ndata\n\n")
	for err == nil {
		var version string
		beat, cancel := context.WithTimeout(ctx, heartbeat)
		version, err = next(beat)
		cancel()
		switch {
		case err == nil:
			if err = s.send("event: version\nid: %s\ndata: %s\n\n", version, version); err == nil {
				err = wait(ctx, pace)
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			err = s.send("event: still\ndata\n\n")
		}
	}
	return nil // the answer has begun, so no error page can follow
}

// wait waits for some time, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A stream is an answer that stays open.
type stream struct {
	w http.ResponseWriter
	*http.ResponseController
}

// send writes and flushes. It fails if the client does not read.
func (s stream) send(format string, args ...any) error {
	return s.timely(func() error {
		if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
			return err
		}
		return s.Flush()
	})
}

// timely gives the client a deadline for what is sent. There is none while nothing is:
// over HTTP/2 it would end a quiet stream.
func (s stream) timely(send func() error) error {
	_ = s.SetWriteDeadline(time.Now().Add(patience)) // not every ResponseWriter has one
	defer func() { _ = s.SetWriteDeadline(time.Time{}) }()
	return send()
}
