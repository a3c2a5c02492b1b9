package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/demo"
)

// asCommand is a variable of the environment that makes the test binary the
// command.
const asCommand = "LOOPSTORE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	if dir := os.Getenv(asServer); dir != "" {
		if err := serve(dir); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// shell runs the command as a shell would.
func shell(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // what must be in them; nothing means that they are empty
	}{
		{nil, exitUsage, "", "usage: loopstore <command>"},
		{[]string{"help"}, exitOK, "demo     drive a workload", ""},
		{[]string{"-h"}, exitOK, "usage: loopstore <command>", ""},
		{[]string{"nonsense"}, exitUsage, "", `unknown command "nonsense"`},
		{[]string{"version"}, exitOK, "loopstore ", ""},
		{[]string{"-version"}, exitOK, "loopstore ", ""},
		{[]string{"--version"}, exitOK, "loopstore ", ""},
		{[]string{"version", "demo"}, exitUsage, "", "takes no arguments"},
		{[]string{"demo", "-h"}, exitOK, "-runtimes", ""},
		{[]string{"demo", "nowhere.json"}, exitUsage, "", "open nowhere.json"},
		{[]string{"doctor", "-h"}, exitOK, "-replicas", ""},
		{[]string{"inspect", "-h"}, exitOK, "-payloads", ""},
		{[]string{"inspect"}, exitUsage, "", "it takes one file, not 0"},
		{[]string{"inspect", "-nonsense", "x"}, exitUsage, "", "-nonsense"},
		{[]string{"inspect", "x", "-json"}, exitUsage, "", "-json comes after x, but flags go before files"},
		{[]string{"verify", "-h"}, exitOK, "usage: loopstore verify [flags] FILE", ""},
		{[]string{"compact", "-h"}, exitOK, "usage: loopstore compact DIR", ""},
		{[]string{"compact"}, exitUsage, "", "it takes one directory, not 0"},
		{[]string{"salvage", "-h"}, exitOK, "usage: loopstore salvage [-partition NAME] DIR OUT", ""},
		{[]string{"salvage", "x"}, exitUsage, "", "it takes a directory and a file, not 1"},
		{[]string{"import", "-h"}, exitOK, "usage: loopstore import -partition NAME EXPORT DIR", ""},
		{[]string{"import", "x"}, exitUsage, "", "it takes an exported file and a directory, not 1"},
		{[]string{"carry", "-h"}, exitOK, "usage: loopstore carry FILE DIR", ""},
		{[]string{"carry", "x"}, exitUsage, "", "it takes a file and a directory, not 1"},
		{[]string{"carry", "x", "-y"}, exitUsage, "", "-y comes after x, but flags go before files"},
		{[]string{"carry", "nowhere.db", "x"}, exitUsage, "", "nowhere.db: no such file"},
		{[]string{"compact", "nowhere.db"}, exitUsage, "", "open nowhere.db"},
		{[]string{"verify", "x", "y"}, exitUsage, "", "it takes one file, not 2"},
		{[]string{"verify", "nowhere.jsonl"}, exitUsage, "", "open nowhere.jsonl"},
	} {
		code, stdout, stderr := shell(t.Context(), c.args...)
		require.Equal(t, c.code, code, "%q", c.args)
		requirePart(t, stdout, c.stdout)
		requirePart(t, stderr, c.stderr)
	}
}

func requirePart(t *testing.T, text, part string) {
	t.Helper()
	if part == "" {
		require.Empty(t, text)
	}
	require.Contains(t, text, part)
}

func TestSignalsEndCleanly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send these signals there")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for signal, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "demo", "-duration", "1h", "-runtimes", "5", "-json")
			cmd.Env = append(os.Environ(), asCommand+"=1")
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())

			progress := bufio.NewReader(stderr)
			first, err := progress.ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, first, "turns")
			require.NoError(t, cmd.Process.Signal(signal))
			rest, err := io.ReadAll(progress)
			require.NoError(t, err)
			require.Contains(t, string(rest), "interrupted; checking what was done\n")

			_ = cmd.Wait() // the error is the exit code
			require.Equal(t, code, cmd.ProcessState.ExitCode())
			var r demo.Report
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
			require.True(t, r.Interrupted)
			require.True(t, r.OK)
			require.EqualValues(t, r.Turns, verifiedOf(r)["receipts"])
		})
	}
}
