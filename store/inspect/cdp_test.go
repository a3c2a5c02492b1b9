//go:build unix

package inspect_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("screenshots", "", "a directory for pictures of the pages")

// A browser is one of Chromium's, without a window. It is spoken to in its
// DevTools protocol over two pipes: a JSON object each way, and a zero byte.
type browser struct {
	t       *testing.T
	out     *os.File
	session string // of the one page
	number  int

	mu      sync.Mutex
	answers map[int]chan answer
	faults  []string // what the page's console said, and what broke its policy
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// openBrowser starts one with a blank page. It skips the test if there is none.
func openBrowser(t *testing.T) *browser {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no chromium, chromium-browser or google-chrome here")
	}
	theirIn, in, err := os.Pipe()
	require.NoError(t, err)
	out, theirOut, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-extensions", "--disable-background-networking", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"),
		"--host-resolver-rules=MAP *.example 127.0.0.1", "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // which it has as 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, theirIn.Close())
	require.NoError(t, theirOut.Close())

	b := &browser{t: t, out: in, answers: make(map[int]chan answer)}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(out) })
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it has children
		_ = cmd.Wait()
		_ = in.Close()
		_ = out.Close()
		reading.Wait()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// read takes what the browser sends, until it ends.
func (b *browser) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var message struct {
			ID     int
			Method string
			Params json.RawMessage
			answer
		}
		if json.Unmarshal(text[:len(text)-1], &message) != nil {
			continue
		}
		b.mu.Lock()
		switch message.Method {
		case "":
			if answered, ok := b.answers[message.ID]; ok { // the first answer to a command
				delete(b.answers, message.ID)
				answered <- message.answer
			}
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
			b.faults = append(b.faults, string(message.Params))
		}
		b.mu.Unlock()
	}
}

// call runs a command of the protocol.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	a := b.ask(method, params)
	require.Nil(b.t, a.Error, "%s: %+v", method, a.Error)
	if result != nil {
		require.NoError(b.t, json.Unmarshal(a.Result, result))
	}
}

// ask returns what the browser answers to a command.
func (b *browser) ask(method string, params map[string]any) answer {
	b.t.Helper()
	b.mu.Lock()
	b.number++
	number, answered := b.number, make(chan answer, 1)
	b.answers[number] = answered
	b.mu.Unlock()
	text, err := json.Marshal(map[string]any{"id": number, "method": method, "params": params, "sessionId": b.session})
	require.NoError(b.t, err)
	if b.session == "" {
		text = []byte(strings.Replace(string(text), `,"sessionId":""`, "", 1))
	}
	require.NoError(b.t, b.out.SetWriteDeadline(time.Now().Add(time.Minute)))
	_, err = b.out.Write(append(text, 0))
	require.NoError(b.t, err)
	select {
	case a := <-answered:
		return a
	case <-time.After(time.Minute):
		b.t.Fatalf("the browser has not answered %s in a minute", method)
		return answer{}
	}
}

// eval returns the value of an expression in the page.
func (b *browser) eval(expression string, value any) {
	b.t.Helper()
	a := b.evaluate(expression)
	require.Nil(b.t, a.Error, "%s: %+v", expression, a.Error)
	b.valueOf(a, expression, value)
}

func (b *browser) evaluate(expression string) answer {
	b.t.Helper()
	return b.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
}

func (b *browser) valueOf(a answer, expression string, value any) {
	b.t.Helper()
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	require.NoError(b.t, json.Unmarshal(a.Result, &result))
	require.Empty(b.t, string(result.ExceptionDetails), expression)
	require.NoError(b.t, json.Unmarshal(result.Result.Value, value))
}

// until waits for an expression to be true in the page, or in the one that it gives way to.
func (b *browser) until(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var done bool
		if a := b.evaluate("!!(" + expression + ")"); a.Error == nil {
			b.valueOf(a, expression, &done)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("a minute has gone, and this is not true in the page: %s", expression)
		}
	}
}

// visit opens an address, and waits until it is there.
func (b *browser) visit(url string) {
	b.t.Helper()
	var result struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &result)
	require.Empty(b.t, result.ErrorText)
	b.until("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// look sets how wide the window is, and the scheme that its user prefers.
func (b *browser) look(width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// scripts lets pages run theirs, or not.
func (b *browser) scripts(allowed bool) {
	b.t.Helper()
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !allowed}, nil)
}

// noFaults requires that the page was content, until now.
func (b *browser) noFaults() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.faults)
}

// picture keeps one of the page's beginning, if that is asked for.
func (b *browser) picture(name string, width int) {
	b.t.Helper()
	if *screenshots != "" {
		b.shoot(name, width, 1600)
	}
}

// shoot keeps a picture of the page's beginning.
func (b *browser) shoot(name string, width, height int) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o600))
}
