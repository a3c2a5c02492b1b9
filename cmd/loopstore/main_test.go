package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
)

// asCommand is a variable of the environment that makes the test binary the
// command.
const asCommand = "LOOPSTORE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// shell runs the command as a shell would.
func shell(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	return shellWith(ctx, strings.NewReader(""), args...)
}

func shellWith(ctx context.Context, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Run(ctx, newRoot(), args, stdin, &out, &err)
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // what must be in them; nothing means that they are empty
	}{
		{nil, cli.ExitMisuse, "", "Usage:\n  loopstore"},
		{[]string{"help"}, cli.OK, "demo        drive a workload", ""},
		{[]string{"-h"}, cli.OK, "Usage:\n  loopstore", ""},
		{[]string{"demo", "-h"}, cli.OK, "--runtimes", ""},
		{[]string{"help", "demo"}, cli.OK, "--runtimes", ""},
		{[]string{"demo", "nowhere.json"}, cli.ExitMisuse, "", "open nowhere.json"},
		{[]string{"inspect", "-h"}, cli.OK, "--payloads", ""},
		{[]string{"inspect"}, cli.ExitMisuse, "", "it takes one path, not 0"},
		{[]string{"inspect", "-nonsense", "x"}, cli.ExitMisuse, "", "-nonsense"},
		{[]string{"verify", "-h"}, cli.OK, "Usage:\n  loopstore verify PATH [flags]", ""},
		{[]string{"compact", "-h"}, cli.OK, "Usage:\n  loopstore compact DIR", ""},
		{[]string{"compact"}, cli.ExitMisuse, "", "it takes one directory, not 0"},
		{[]string{"salvage", "-h"}, cli.OK, "Usage:\n  loopstore salvage DIR OUT [flags]", ""},
		{[]string{"salvage", "x"}, cli.ExitMisuse, "", "it takes a directory and a file, not 1"},
		{[]string{"import", "-h"}, cli.OK, "Usage:\n  loopstore import --partition NAME EXPORT DIR [flags]", ""},
		{[]string{"import", "x"}, cli.ExitMisuse, "", "it takes an exported file and a directory, not 1"},
		{[]string{"carry", "-h"}, cli.OK, "Usage:\n  loopstore carry FILE DIR", ""},
		{[]string{"carry", "x"}, cli.ExitMisuse, "", "it takes a file and a directory, not 1"},
		{[]string{"carry", "nowhere.db", "x"}, cli.ExitMisuse, "", "nowhere.db: no such file"},
		{[]string{"compact", "nowhere.db"}, cli.ExitMisuse, "", "nowhere.db: no such file"},
		{[]string{"verify", "x", "y"}, cli.ExitMisuse, "", "it takes one path, not 2"},
		{[]string{"verify", "nowhere.jsonl"}, cli.ExitMisuse, "", "open nowhere.jsonl"},
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

// What is no file is not shown if it may say how a server is reached, and what is there is a
// file whatever its name is.
func TestConnectionStringsAreNotShown(t *testing.T) {
	file := exported(t)
	for _, args := range [][]string{
		{"inspect", "-runtime", "postgres://me:sesame@h/db", file}, {"inspect", "-runtime", "me:ses/ame@h", file},
		{"inspect", "-partition", "postgres://me:sesame@h/db", journaled(t)}, {"demo", "-http", "nats:/me:s/esame@h"}, {"demo", "-http", "me sesame@h:80"},
		{"demo", "-export", "nats:/me:s/esame@h"}, {"salvage", journaled(t), "nats:/me:s/esame@h"}, {"verify", "host=db pasword=sesame"},
		{"verify", "me@sesame"}, {"import", "-partition", "me:sesame@h", "nowhere", "x"},
	} {
		code, stdout, stderr := shell(t.Context(), args...)
		require.NotEqual(t, cli.OK, code, "%q", args)
		require.NotContains(t, stdout+stderr, "same", "%q", args)
	}
	odd := filepath.Join(t.TempDir(), "2026-11-26T10:30@host token=5.jsonl")
	require.NoError(t, os.Rename(file, odd))
	code, _, stderr := shell(t.Context(), "verify", odd)
	require.Equal(t, cli.OK, code, stderr)
}
