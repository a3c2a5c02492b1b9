package inspect_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// pipes is a listener within a synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.IPAddr{} }

// serving runs a server in the bubble, and returns a client of it, and how many connections
// that has made.
func serving(t *testing.T, server *http.Server, http2 bool) (*http.Client, *int) {
	listener, dialed := make(pipes), new(int)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(!http2)
	server.Protocols.SetUnencryptedHTTP2(http2)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	transport := &http.Transport{
		Protocols: server.Protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			*dialed++
			ours, theirs := net.Pipe()
			listener <- theirs
			return ours, nil
		},
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return &http.Client{Transport: transport}, dialed
}

// A quiet stream stays, over both protocols and whatever the server's timeouts are. After
// it, HTTP/1.1's connection serves other requests.
func TestQuietStreamsStay(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				loop := storetest.New(t)
				set(t, loop, store.RuntimeIdle)
				client, dialed := serving(t, &http.Server{
					Handler: inspect.Handler(loop, inspect.Options{}), ReadTimeout: 3 * time.Second, WriteTimeout: 7 * time.Second, IdleTimeout: time.Hour,
				}, http2)
				answer, err := client.Get("http://in.memory/events?id=a&after=1")
				require.NoError(t, err)
				require.Equal(t, name, answer.Proto)
				lines, start := bufio.NewScanner(answer.Body), time.Now()
				next := func() string {
					for lines.Scan() {
						if text := lines.Text(); text != "" {
							return text
						}
					}
					t.Fatalf("it ended after %v: %v", time.Since(start), lines.Err())
					return ""
				}
				require.Equal(t, "retry: 2000", next())
				require.Equal(t, "event: begin", next())
				require.Equal(t, "data", next())
				for time.Since(start) < 24*time.Hour {
					require.Equal(t, "event: still", next())
					require.Equal(t, "data", next())
				}
				set(t, loop, store.RuntimeRunning)
				require.Equal(t, "event: version", next())

				require.NoError(t, loop.Close()) // which ends the stream
				for lines.Scan() {
				}
				require.NoError(t, lines.Err())
				require.NoError(t, answer.Body.Close())
				time.Sleep(time.Minute) // a deadline that was left there would be over
				stats, err := client.Get("http://in.memory/stats")
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, stats.StatusCode)
				require.NoError(t, stats.Body.Close())
				require.Equal(t, 1, *dialed, "the connection was used again")
			})
		})
	}
}

// A client that reads nothing does not keep its stream, over both protocols.
func TestStalledReadersAreGivenUp(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				loop := storetest.New(t)
				ended := make(chan time.Time, 1)
				h := inspect.Handler(loop, inspect.Options{})
				client, _ := serving(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(w, r)
					ended <- time.Now()
				})}, http2)
				answer, err := client.Get("http://in.memory/events?id=a")
				require.NoError(t, err)
				start := time.Now()
				require.Less(t, (<-ended).Sub(start), 24*time.Hour, "until all that is on the way is full")
				_ = answer.Body.Close() // an error says that the stream was reset
			})
		})
	}
}

// A writer that cannot flush.
type unflushable struct{ http.ResponseWriter }

// Where a stream cannot work, its client is told before it begins, also by a wrapper that
// would only find out when it flushes.
func TestStreamsThatCannotFlush(t *testing.T) {
	h := inspect.Handler(storetest.New(t), inspect.Options{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events?id=a", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(unflushable{w}, r)
	require.Equal(t, http.StatusNotImplemented, w.Code)
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "cannot send a part of an answer")
	require.NotContains(t, w.Body.String(), "retry")

	w = httptest.NewRecorder()
	http.TimeoutHandler(h, time.Minute, "").ServeHTTP(w, r)
	require.Equal(t, http.StatusNotImplemented, w.Code)
}

// A source that tells of nothing.
type still struct{ inspect.Source }

func TestSourcesThatTellOfNothingHaveNoLivePages(t *testing.T) {
	loop := storetest.New(t)
	set(t, loop, store.RuntimeIdle)
	live := struct {
		still
		state.Watcher
	}{still{loop}, loop}
	body := get(t, inspect.Handler(live, inspect.Options{}), "/").Body.String()
	require.NotContains(t, body, "as it was kept")
	require.NotContains(t, body, "what the store held when it was read")
	require.NotContains(t, body, `href="stats"`)
	h := inspect.Handler(still{loop}, inspect.Options{})
	for _, target := range []string{"/", "/runtime?id=a"} {
		body := get(t, h, target).Body.String()
		require.NotContains(t, body, "<script>", target)
		require.Contains(t, body, "They show what the store held when it was read.", target)
		require.Contains(t, body, "Not live: as it was kept", target)
	}
	require.Equal(t, http.StatusNotImplemented, get(t, h, "/events?id=a").Code)
}

// However many pages are live, the owner is asked nothing while nothing changes, and for
// one view of what has changed, those of the pages that are loaded again included.
func TestManyReadersOfOneRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		h := inspect.Handler(loop, inspect.Options{})
		clients := make([]*client, 500)
		for i := range clients {
			clients[i] = follow(t, h, "/events?id=a&after=1")
		}
		synctest.Wait()
		before := loop.Stats().Operations
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, before, loop.Stats().Operations)
		for _, c := range clients {
			text := c.text()
			require.True(t, strings.HasPrefix(text, begun+"event: still"))
			require.NotContains(t, text, "version")
		}
		for n := uint64(1); n <= 3; n++ {
			set(t, loop, []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning}[n%2])
			synctest.Wait()
			for i, c := range clients {
				require.Contains(t, c.text(), "event: version")
				if i%10 == 0 {
					require.Equal(t, http.StatusOK, get(t, h, "/runtime?id=a").Code)
				}
			}
			time.Sleep(pace)
			require.Equal(t, before[ops.KindLoadView].Done+n, loop.Stats().Operations[ops.KindLoadView].Done)
		}
	})
}

// A reader that goes while it asks the store leaves the others their answer.
type slow struct {
	inspect.Source
	state.Watcher
	ask chan struct{}
}

func (s slow) View(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	select {
	case <-s.ask:
		return s.Source.View(ctx, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestReadersThatGoWhileTheyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := storetest.New(t)
		set(t, loop, store.RuntimeIdle)
		ask := make(chan struct{})
		h := inspect.Handler(slow{loop, loop, ask}, inspect.Options{})
		first, second := follow(t, h, "/events?id=a"), follow(t, h, "/events?id=a")
		synctest.Wait()
		first.leave()
		first.gone.Wait()
		require.Empty(t, second.took())
		ask <- struct{}{}
		require.Contains(t, second.took(), "id: 1\n")
	})
}
