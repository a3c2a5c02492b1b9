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
	heartbeat = 15 * time.Second       // so that a client that has gone is found out, and no proxy thinks it idle
	pace      = 250 * time.Millisecond // at least, between versions
	patience  = 10 * time.Second       // with a client that does not read
)

// events sends the version of a runtime whenever it is another one, from that on
// which the client names as seen. It may skip versions, and never misses the
// last. Version 0 means that the runtime is gone.
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
	w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps them
	if r.Method == http.MethodHead {
		return nil
	}
	s := stream{w, http.NewResponseController(w)}
	defer func() { _ = s.SetWriteDeadline(time.Time{}) }() // the connection may serve further requests
	for err = s.send("retry: 2000\n\n"); err == nil; {
		var version uint64
		switch version, err = h.next(ctx, id, after); {
		case err == nil:
			after = version
			if err = s.send("event: version\nid: %d\ndata: %d\n\n", version, version); err == nil {
				sleep(ctx, pace)
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			err = s.send(": still there\n\n")
		}
	}
	return nil // the answer has begun: its end says it
}

// next waits for another version, but no longer than a heartbeat.
func (h *handler) next(ctx context.Context, id store.RuntimeID, after uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	for view, err := range h.source.Watch(ctx, id, after) {
		if err != nil {
			return 0, err
		}
		return view.Version(), nil
	}
	return 0, store.ErrClosed // it does not end without an error
}

// A stream is an answer that goes on.
type stream struct {
	w http.ResponseWriter
	*http.ResponseController
}

// send writes at once, or fails if the client does not read.
func (s stream) send(format string, args ...any) error {
	_ = s.SetWriteDeadline(time.Now().Add(patience)) // not every ResponseWriter has one
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.Flush()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
