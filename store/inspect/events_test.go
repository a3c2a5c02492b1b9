package inspect_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// A client reads a stream in a synctest bubble.
type client struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
	gone  sync.WaitGroup

	mu  sync.Mutex
	got string // since it was asked for last
}

func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got += string(p)
	return len(p), nil
}

func follow(t *testing.T, h http.Handler, target string, header ...string) *client {
	ctx, cancel := context.WithCancel(t.Context())
	c := &client{ResponseRecorder: httptest.NewRecorder(), leave: cancel}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	c.gone.Go(func() { h.ServeHTTP(c, r) })
	t.Cleanup(func() { cancel(); c.gone.Wait() })
	return c
}

// took returns what came since it was asked for last, when nothing more does.
func (c *client) took() string {
	synctest.Wait()
	return c.text()
}

// text returns what came so far.
func (c *client) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.got
	c.got = ""
	return text
}

func set(t *testing.T, loop *loopstore.Loop, state store.RuntimeState) {
	t.Helper()
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "a", state))
}

const (
	pace, heartbeat = 250 * time.Millisecond, 15 * time.Second // as in events.go
	begun           = "retry: 2000\nevent: begin\ndata\n\n"
)

func TestEventsTellEachNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		c := follow(t, inspect.Handler(loop, inspect.Options{}), "/events?id=a")
		require.Equal(t, begun+"event: version\nid: 1\ndata: 1\n\n", c.took())
		require.Equal(t, "text/event-stream", c.Header().Get("Content-Type"))
		require.True(t, c.Flushed)

		time.Sleep(time.Second)
		set(t, loop, store.RuntimeRunning)
		require.Equal(t, "event: version\nid: 2\ndata: 2\n\n", c.took())
		for range 100 { // more than are told of
			set(t, loop, store.RuntimeIdle)
			set(t, loop, store.RuntimeRunning)
		}
		require.Empty(t, c.took())
		time.Sleep(pace)
		require.Equal(t, "event: version\nid: 202\ndata: 202\n\n", c.took(), "the last one")

		time.Sleep(pace)
		_, err := loop.DeleteRuntime(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "event: version\nid: 0\ndata: 0\n\n", c.took())
		time.Sleep(pace)
		set(t, loop, store.RuntimeIdle)
		time.Sleep(pace) // a runtime that is not there is looked for less often
		require.Equal(t, "event: version\nid: 204\ndata: 204\n\n", c.took())

		time.Sleep(heartbeat + pace)
		require.Equal(t, "event: still\ndata\n\n", c.took())
		set(t, loop, store.RuntimeRunning)
		require.Equal(t, "event: version\nid: 205\ndata: 205\n\n", c.took(), "also after a heartbeat")

		require.NoError(t, loop.Close())
		c.gone.Wait()
		require.Empty(t, c.took())
	})
}

func TestEventsGoOnWhereTheClientWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		set(t, loop, store.RuntimeRunning)
		h := inspect.Handler(loop, inspect.Options{})
		for _, c := range []struct {
			client *client
			took   string
		}{
			{follow(t, h, "/events?id=a&after=2"), ""},
			{follow(t, h, "/events?id=a&after=1"), "event: version\nid: 2\ndata: 2\n\n"},
			{follow(t, h, "/events?id=a&after=1", "Last-Event-ID", "2"), ""},
			{follow(t, h, "/events?id=a", "Last-Event-ID", "1"), "event: version\nid: 2\ndata: 2\n\n"},
			{follow(t, h, "/events?id=nobody"), ""},
		} {
			require.Equal(t, begun+c.took, c.client.took())
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		h := inspect.Handler(loop, inspect.Options{Streams: 2})
		first := follow(t, h, "/events?id=a")
		second := follow(t, h, "/events?id=a")
		require.NotEmpty(t, first.took())
		require.NotEmpty(t, second.took())
		third := follow(t, h, "/events?id=a")
		third.gone.Wait()
		require.Equal(t, http.StatusServiceUnavailable, third.Code)
		require.Equal(t, http.StatusOK, get(t, h, "/").Code, "other pages are shown")

		first.leave()
		first.gone.Wait()
		require.Contains(t, follow(t, h, "/events?id=a").took(), "retry:")
	})
}

func TestHeadOfEventsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inspect.Handler(storetest.New(t), inspect.Options{})
		start, w := time.Now(), httptest.NewRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodHead, "/events", nil))
		require.Equal(t, start, time.Now())
		require.Empty(t, w.Body.String())
		require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	})
}

// A client that reads nothing any more does not keep its stream.
type stalled struct {
	http.ResponseWriter
	deadline time.Time
}

func (s *stalled) Unwrap() http.ResponseWriter               { return s.ResponseWriter }
func (s *stalled) SetWriteDeadline(deadline time.Time) error { s.deadline = deadline; return nil }
func (s *stalled) Write([]byte) (int, error) {
	time.Sleep(time.Until(s.deadline))
	return 0, context.DeadlineExceeded
}

func TestStalledClientIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inspect.Handler(storetest.New(t), inspect.Options{})
		start := time.Now()
		w := &stalled{ResponseWriter: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil))
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Zero(t, w.deadline, "the connection may be used again")
	})
}

// A server whose contexts are cancelled first shuts down, streams or not.
func TestShutdown(t *testing.T) {
	loop := storetest.New(t)
	server := httptest.NewUnstartedServer(inspect.Handler(loop, inspect.Options{}))
	base, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.Config.BaseContext = func(net.Listener) context.Context { return base }
	server.Start()
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
	require.NoError(t, err)
	answer, err := server.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()

	cancel()
	require.NoError(t, server.Config.Shutdown(t.Context()))
}
