package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/cli"
)

// command returns the command as a process of its own.
func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// One signal ends what waits for an input that has said something, and goes on with
// nothing.
func TestOneSignalEndsWhatWaits(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send these signals there")
	}
	text, err := os.ReadFile(exported(t))
	require.NoError(t, err)
	header, _, _ := bytes.Cut(text, []byte("\n"))
	// The process has read some of it, and so waits for signals, when all of it is written.
	begun := append(append(header, "\n{"...), bytes.Repeat([]byte(" "), 1<<20)...)
	for _, args := range [][]string{{"verify"}, {"inspect"}, {"import", "-partition", "p"}, {"demo"}} {
		for signal, code := range map[os.Signal]int{os.Interrupt: cli.ExitInterrupted, syscall.SIGTERM: cli.ExitTerminated} {
			for _, from := range []string{"-", "/dev/stdin", "pipe"} {
				if args[0] == "demo" && from == "-" {
					continue // it takes files only
				}
				name := from
				if from == "pipe" {
					name = filepath.Join(t.TempDir(), from)
					if err := exec.Command("mkfifo", name).Run(); err != nil {
						t.Skip("there are no pipes with names here: ", err)
					}
				}
				all := append(args[:len(args):len(args)], name)
				if args[0] == "import" {
					all = append(all, filepath.Join(t.TempDir(), "journal"))
				}
				cmd := command(t.Context(), t, all...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				var input interface {
					Write(p []byte) (int, error)
					Close() error
				}
				if input, err = cmd.StdinPipe(); err != nil {
					t.Fatal(err)
				}
				require.NoError(t, cmd.Start())
				if from == "pipe" {
					input, err = os.OpenFile(name, os.O_WRONLY, 0)
					require.NoError(t, err)
				}
				_, err := input.Write(begun)
				require.NoError(t, err)
				require.NoError(t, cmd.Process.Signal(signal))
				_ = cmd.Wait() // the error is the exit code
				require.Equal(t, code, cmd.ProcessState.ExitCode(), "%q, %v: %s", all, signal, &stderr)
				_ = input.Close()
			}
		}
	}
}

// What a command cannot say it has not said.
func TestAFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no file here that is always full: ", err)
	}
	defer func() { require.NoError(t, full.Close()) }()
	journal := journaled(t)
	for _, args := range [][]string{
		{"version"}, {"--version"}, {"help"}, {"verify", "-h"}, {"compact", journal}, {"verify", journal}, {"inspect", journal},
		{"inspect", "-json", journal}, {"demo", "-turns", "1", "-runtimes", "1", "-quiet"}, {"completion", "bash"}, {"man", t.TempDir()},
		{"bench", "-rounds", "1", "-time", "1us", "-only", "^batch", "-quiet"}, {"import", "-partition", "p", exported(t), filepath.Join(t.TempDir(), "j")},
		{"salvage", journal, filepath.Join(t.TempDir(), "out.jsonl")}, {"carry", earlier(t), filepath.Join(t.TempDir(), "carried")},
	} {
		cmd := command(t.Context(), t, args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run() // the error is the exit code
		require.Equal(t, cli.ExitFailed, cmd.ProcessState.ExitCode(), "%q", args)
		require.Contains(t, stderr.String(), "no space left on device", "%q", args)
	}
}

// An output that nobody reads any more is an error too, and no signal that ends it silently.
func TestAnOutputThatNobodyReads(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"help"}, {"inspect", "-json", exported(t)}} {
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, reader.Close())
		cmd := command(t.Context(), t, args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &stderr
		_ = cmd.Run() // the error is the exit code
		require.NoError(t, writer.Close())
		require.Equal(t, cli.ExitFailed, cmd.ProcessState.ExitCode(), "%q", args)
		require.Contains(t, stderr.String(), "loopstore", "%q", args)
	}
}

// Cobra tells what it has read past the command's outputs.
func TestCompletionTellsNothingOfWhatWasTyped(t *testing.T) {
	debug := filepath.Join(t.TempDir(), "debug")
	cmd := command(t.Context(), t, "__complete", "bench", "--rounds", "nats://me:sesame@h", "")
	cmd.Env = append(cmd.Env, "BASH_COMP_DEBUG_FILE="+debug)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "sesame")
	require.NoFileExists(t, debug)
}

// Nothing opens a pipe that stands where a file of a journal would be.
func TestPipesInThePlaceOfFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "format")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip("there are no pipes with names here: ", err)
	}
	text, err := os.ReadFile(exported(t))
	require.NoError(t, err)
	file := filepath.Join(dir, "x.jsonl")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	for _, args := range [][]string{
		{"verify", file}, {"inspect", file}, {"carry", file, filepath.Join(dir, "to")}, {"import", "-partition", "p", file, filepath.Join(dir, "x")},
		{"compact", pipe}, {"carry", pipe, filepath.Join(dir, "to")}, {"salvage", pipe, filepath.Join(dir, "out")}, {"verify", dir}, {"salvage", dir, filepath.Join(dir, "out")},
	} {
		_, _, _ = shell(t.Context(), args...) // that it returns is enough
	}
}
