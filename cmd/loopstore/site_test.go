package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/cli"
)

// get returns a page's text. The connection is closed.
func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode, url)
	return string(body)
}

// The store is shown while it is worked on, and after the report until the demo
// is interrupted, also if a page is live. What a user's files say is not shown.
func TestStoreIsShownUntilInterrupted(t *testing.T) {
	text, err := os.ReadFile("../internal/demo/conversations/travel-booking.json")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "travel-booking.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	journal := []string{"-journal", filepath.Join(t.TempDir(), "journal")} // others may have filled it
	for _, files := range [][]string{nil, {file}, journal} {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		var stdout bytes.Buffer
		messages, stderr := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			args := []string{"demo", "-http", "localhost:0", "-runtimes", "2", "-turns", "2", "-quiet"}
			ended <- cli.Run(ctx, newRoot(), append(args, files...), nil, &stdout, stderr)
			_ = stderr.Close()
		}()
		lines := bufio.NewReader(messages)
		first, err := lines.ReadString('\n')
		require.NoError(t, err)
		url, ok := strings.CutPrefix(strings.TrimSpace(first), "the store is shown at ")
		require.True(t, ok, first)
		require.NotContains(t, first, "other machines")
		require.Contains(t, get(t, url), "<h1>Runtimes</h1>")

		second, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "the store stays at "+url+" until Ctrl-C\n", second)
		require.True(t, strings.HasSuffix(stdout.String(), "\nok\n"), "the report comes before")
		require.Contains(t, get(t, url), `<a href="runtime?id=agent-001">`)
		page := get(t, url+"runtime?id=agent-000")
		require.Equal(t, files == nil, strings.Contains(page, "&#34;role&#34;"), "payloads are those of the demo alone")

		client := http.Client{Transport: &http.Transport{}}
		live, err := client.Get(url + "events?id=agent-000")
		require.NoError(t, err)
		interrupt()
		_, err = io.ReadAll(live.Body)
		require.NoError(t, err)
		require.NoError(t, live.Body.Close())
		require.Equal(t, cli.OK, <-ended, "that is how it is meant to end")
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		require.Empty(t, string(rest))
	}
}

func TestAddressInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	code, stdout, stderr := shell(t.Context(), "demo", "-http", listener.Addr().String())
	require.Equal(t, cli.ExitFailed, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "loopstore demo: --http: listen tcp "+listener.Addr().String())
}

func TestURLIsForThisMachine(t *testing.T) {
	const note = ", also from other machines"
	for addr, want := range map[string]string{
		"0.0.0.0:80": "http://localhost:80/" + note, "[::]:8080": "http://localhost:8080/" + note, "127.0.0.1:80": "http://127.0.0.1:80/",
		"[::1]:80": "http://[::1]:80/", "10.0.0.1:80": "http://10.0.0.1:80/" + note,
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		url, note := urlOf(tcp)
		require.Equal(t, want, url+note)
	}
}

// What a file or a journal holds is shown until it is interrupted, and neither changes.
func TestFilesAreShownUntilInterrupted(t *testing.T) {
	export := filepath.Join(t.TempDir(), "export.jsonl")
	code, _ := reported(t, "-export", export, "-runtimes", "2", "-turns", "2")
	require.Equal(t, cli.OK, code)
	for name, args := range map[string][]string{
		"an export": {export}, "a journal": {journaled(t)}, "with payloads": {export, "--payloads"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			messages, stderr := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				ended <- cli.Run(ctx, newRoot(), append([]string{"inspect", "--http", "localhost:0"}, args...), nil, io.Discard, stderr)
				_ = stderr.Close()
			}()
			lines := bufio.NewReader(messages)
			first, err := lines.ReadString('\n')
			require.NoError(t, err)
			url, ok := strings.CutPrefix(strings.TrimSpace(first), "the store is shown at ")
			require.True(t, ok, first)
			second, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "the store stays at "+url+" until Ctrl-C\n", second)

			list := get(t, url)
			require.True(t, strings.Contains(list, `href="runtime?id=agent-000"`))
			require.False(t, strings.Contains(list, `href="stats"`), "no process has it open")
			page := get(t, url+"runtime?id=agent-000")
			require.False(t, strings.Contains(list+page, `id="live"`))
			require.Equal(t, len(args) > 1, !strings.Contains(page, "is hidden"), "payloads only where they are asked for")
			for _, path := range []string{"stats", "stats/events", "events?id=agent-000", "runtime?id=nobody"} {
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				answer, err := client.Get(url + path)
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				require.GreaterOrEqual(t, answer.StatusCode, 400, path)
			}
			interrupt()
			require.Equal(t, cli.OK, <-ended)
		})
	}
	for _, args := range [][]string{{"--json"}, {"--runtime", "agent-000"}} {
		code, _, stderr := shell(t.Context(), append([]string{"inspect", "--http", "localhost:0", exported(t)}, args...)...)
		require.Equal(t, cli.ExitMisuse, code)
		require.Contains(t, stderr, "--http shows all")
	}
}
