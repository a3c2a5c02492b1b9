package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
	"github.com/loopstore/loopstore/store/turn"
)

// A test binary that has these variables is the service itself, to be killed.
const serveAt, serveIn = "CHAT_TEST_ADDR", "CHAT_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveIn); dir != "" {
		if err := run(context.Background(), os.Getenv(serveAt), dir, 16); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func (s *service) send(t *testing.T, agent, key, text string) (answer map[string]any) {
	body, err := json.Marshal(message{Text: text})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/agents/"+agent+"/messages", bytes.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

func (s *service) read(t *testing.T, path string) string {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	return w.Body.String()
}

// TestConversation is in a bubble: it waits for nothing that takes time.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tool, err := openNotebook(filepath.Join(t.TempDir(), "notebook"))
		require.NoError(t, err)
		defer func() { assert.NoError(t, tool.Close()) }()
		s := newService(storetest.New(t, options()), scripted{}, tool)
		defer s.stop()
		ctx, stop := context.WithCancel(t.Context())
		working := make(chan error, 1)
		go func() { working <- s.work(ctx, 3) }()

		first := s.send(t, "anna", "1", "Hello")
		assert.Equal(t, false, first["repeated"])
		s.send(t, "anna", "2", "How are you?")
		synctest.Wait()
		again := s.send(t, "anna", "1", "Hello")
		assert.Equal(t, true, again["repeated"])
		assert.Equal(t, first["input_id"], again["input_id"])
		synctest.Wait()

		var texts []string
		all, err := messages([]byte(s.read(t, "/agents/anna/messages")))
		require.NoError(t, err)
		for _, m := range all {
			texts = append(texts, m.Role+": "+m.Text)
		}
		assert.Equal(t, []string{
			"user: Hello", "assistant: ", "tool: It is line 1.", "assistant: Noted. It is line 1.",
			"user: How are you?", "assistant: ", "tool: It is line 2.", "assistant: Noted. It is line 2.",
		}, texts)
		assert.Contains(t, s.read(t, "/metrics"), "loopstore_")
		assert.Contains(t, s.read(t, "/inspect/"), "anna")
		stop()
		require.NoError(t, <-working)
	})
}

// A broken tool fails, and nobody knows what it has done.
type broken struct{ tool }

func (broken) do(context.Context, turn.Call) (string, error) { return "", errors.New("it is broken") }

// TestAToolThatFails ends the turn: the conversation answers the call, and the user.
func TestAToolThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(storetest.New(t, options()), scripted{}, broken{})
		defer s.stop()
		ctx, stop := context.WithCancel(t.Context())
		working := make(chan error, 1)
		go func() { working <- s.work(ctx, 1) }()
		s.send(t, "anna", "1", "Hello")
		synctest.Wait()
		all, err := messages([]byte(s.read(t, "/agents/anna/messages")))
		require.NoError(t, err)
		require.Len(t, all, 4)
		assert.Equal(t, message{Role: "tool", Of: all[1].Call.ID, Text: "It failed, and may have been done."}, all[2])
		assert.Equal(t, message{Role: "assistant", Text: "Sorry, that did not work."}, all[3])
		stop()
		require.NoError(t, <-working)
	})
}

// TestEvents sends what was said, and what is said while somebody listens.
func TestEvents(t *testing.T) {
	tool, err := openNotebook(filepath.Join(t.TempDir(), "notebook"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, tool.Close()) }()
	s := newService(storetest.New(t, options()), scripted{}, tool)
	ctx, stop := context.WithCancel(t.Context())
	working := make(chan error, 1)
	go func() { working <- s.work(ctx, 1) }()
	server := httptest.NewServer(s)
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/agents/anna/events")
	require.NoError(t, err)
	s.send(t, "anna", "1", "Hello")
	var got strings.Builder
	for b := make([]byte, 1024); strings.Count(got.String(), "data: ") < 4; {
		n, err := answer.Body.Read(b)
		got.Write(b[:n])
		require.NoError(t, err)
	}
	assert.Contains(t, got.String(), "Noted. It is line 1.")
	s.stop() // live events end
	stop()
	require.NoError(t, <-working)
	require.NoError(t, answer.Body.Close())
}

func TestWhatIsRefused(t *testing.T) {
	s := newService(storetest.New(t, options()), scripted{}, nil)
	defer s.stop()
	for _, body := range []string{"", "{}", "hello", `{"text":1}`} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/agents/anna/messages", strings.NewReader(body)))
		assert.Equal(t, http.StatusBadRequest, w.Code, body)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/agents/nobody/messages", nil))
	assert.Equal(t, http.StatusNotFound, w.Code)
}

// TestKilled kills the service again and again while clients send messages to it, each until
// it was accepted. Then each was answered once, in order, and the tool did each thing once.
func TestKilled(t *testing.T) {
	kills, agents, each := 60, 20, 20
	if testing.Short() {
		kills, each = 10, 5
	}
	dir, addr := t.TempDir(), "127.0.0.1:"+freePort(t)
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), serveAt+"="+addr, serveIn+"="+dir)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var clients sync.WaitGroup
	for a := range agents {
		clients.Go(func() {
			for n := range each {
				time.Sleep(20 * time.Millisecond) // so that there is work until the last kill
				for !accepted(client, fmt.Sprintf("http://%s/agents/agent-%d/messages", addr, a), fmt.Sprint(n)) {
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	for n := range kills {
		cmd := start()
		waitFor(t, addr)
		time.Sleep(time.Duration(n*7%60) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	last := start()
	waitFor(t, addr)
	clients.Wait()
	waitUntilDone(t, addr, agents*each)
	require.NoError(t, last.Process.Kill())
	_ = last.Wait()
	check(t, dir, agents, each)
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return port
}

// accepted posts a message, and reports whether the service has it.
func accepted(client *http.Client, url, key string) bool {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(fmt.Sprintf(`{"text":%q}`, "message "+key)))
	if err != nil {
		return false
	}
	r.Header.Set("Idempotency-Key", key)
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.Body.Close() == nil && err == nil && answer.StatusCode == http.StatusAccepted
}

func waitFor(t *testing.T, addr string) {
	for range 1000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the service did not start")
}

// waitUntilDone waits until no input is left to do.
func waitUntilDone(t *testing.T, addr string, inputs int) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3000 {
		done := 0
		for a := 0; ; a++ {
			answer, err := client.Get(fmt.Sprintf("http://%s/agents/agent-%d/messages", addr, a))
			require.NoError(t, err)
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			if answer.StatusCode != http.StatusOK {
				break
			}
			done += strings.Count(string(text), `"Noted. `)
		}
		if done >= inputs {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("not everything was done")
}

// check looks at what the service has left.
func check(t *testing.T, dir string, agents, each int) {
	loop, err := loopstore.Open(t.Context(), disk.New(filepath.Join(dir, "state"), disk.Options{}), "chat", options())
	require.NoError(t, err)
	defer loop.Close()
	keys := map[string]int{}
	notes, err := os.ReadFile(filepath.Join(dir, "notebook"))
	require.NoError(t, err)
	for line := range strings.Lines(string(notes)) {
		key, _, _ := strings.Cut(line, " ")
		keys[key]++
	}
	assert.Len(t, keys, agents*each, "each call was made")
	for key, n := range keys {
		assert.Equal(t, 1, n, "%s was made once", key)
	}
	recovered, again := 0, 0
	for a := range agents {
		view, err := loop.View(t.Context(), store.RuntimeID(fmt.Sprint("agent-", a)))
		require.NoError(t, err)
		assert.Equal(t, map[store.InputLifecycleState]int{store.InputConsumed: 2 * each}, view.CountInputStates(), "messages and calls")
		for in := range view.InputStates() {
			recovered += int(in.RecoveryCount)
			again += max(int(in.AttemptCount), 1) - 1
		}
		is, _ := view.RuntimeState()
		assert.Equal(t, store.RuntimeIdle, is)
		snapshot, _ := view.Snapshot()
		all, err := messages(snapshot.Bytes())
		require.NoError(t, err)
		require.Len(t, all, 4*each)
		for n := range each {
			turn := all[4*n : 4*n+4]
			assert.Equal(t, []string{"user", "assistant", "tool", "assistant"}, []string{turn[0].Role, turn[1].Role, turn[2].Role, turn[3].Role})
			assert.Equal(t, fmt.Sprint("message ", n), turn[0].Text, "in the order in which they were sent")
		}
	}
	t.Logf("%d turns were recovered, and %d calls made that were only intended", recovered, again)
	runtimes := 0
	for _, err := range loop.Runtimes(t.Context(), state.Listing{}) {
		require.NoError(t, err)
		runtimes++
	}
	assert.Equal(t, agents, runtimes)
}
