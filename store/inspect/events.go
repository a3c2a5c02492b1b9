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
)

const (
	heartbeat = 15 * time.Second       // finds out that a client has gone, and keeps proxies from ending the stream
	pace      = 250 * time.Millisecond // least time between two versions
	patience  = 10 * time.Second       // with a client that does not read
)

// events sends the version of a runtime whenever it has changed, beginning after the
// version that the client has seen. It may skip versions, but never the last.
// Version 0 means that the runtime is gone.
func (h *handler) events(w http.ResponseWriter, r *http.Request) error {
	query, ctx := r.URL.Query(), r.Context()
	id := store.RuntimeID(query.Get("id"))
	after, err := strconv.ParseUint(cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("after"), "0"), 10, 64)
	if err != nil {
		return unreadable("after")
	}
	if _, err := h.source.View(ctx, id); err != nil {
		return err
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		return &problem{http.StatusServiceUnavailable, "Too many live pages", "This one stays as it is until it is reloaded."}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx holds events back
	if r.Method == http.MethodHead {
		return nil
	}
	s := stream{w, http.NewResponseController(w)}
	defer func() { _ = s.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	for err = s.send("retry: 2000\n\n"); err == nil; {
		var version uint64
		switch version, err = h.next(ctx, id, after); {
		case err == nil:
			after = version
			if err = s.send("event: version\nid: %d\ndata: %d\n\n", version, version); err == nil {
				select {
				case <-time.After(pace):
				case <-ctx.Done():
				}
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			err = s.send(": still there\n\n")
		}
	}
	return nil // the answer has begun, so no error page can follow
}

// next waits for another version, for a heartbeat at most.
func (h *handler) next(ctx context.Context, id store.RuntimeID, after uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	for view, err := range h.source.Watch(ctx, id, after) {
		if err != nil {
			return 0, err
		}
		return view.Version(), nil
	}
	return 0, store.ErrClosed // not reached: Watch ends with an error
}

// A stream is an answer that stays open.
type stream struct {
	w http.ResponseWriter
	*http.ResponseController
}

// send writes and flushes. It fails if the client does not read.
func (s stream) send(format string, args ...any) error {
	_ = s.SetWriteDeadline(time.Now().Add(patience)) // not every ResponseWriter has one
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.Flush()
}
