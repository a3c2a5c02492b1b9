package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A try is a command that does what a test says.
func try(do func(cmd *cobra.Command, args []string) error) *cobra.Command {
	root, sub := &cobra.Command{Use: "x"}, &cobra.Command{Use: "try", RunE: do}
	sub.Flags().Bool("quiet", false, "say nothing")
	sub.Flags().String("name", "", "a `name`")
	root.AddCommand(sub)
	return root
}

func run(ctx context.Context, root *cobra.Command, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = Run(ctx, root, args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	terminated, terminate := context.WithCancelCause(t.Context())
	terminate(ErrTerminated)
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		code int
		told string
	}{
		"nothing":                        {t.Context(), nil, OK, ""},
		"nothing, after a signal":        {interrupted, nil, OK, ""},
		"a failure":                      {t.Context(), errors.New("no\x1b"), ExitFailed, "x try: no\\x1b\n"},
		"a failure that was told":        {t.Context(), ErrFailed, ExitFailed, ""},
		"a failure, after a signal":      {interrupted, ErrFailed, ExitFailed, ""},
		"a signal":                       {interrupted, context.Canceled, ExitInterrupted, "x try: context canceled\n"},
		"another signal":                 {terminated, ErrTerminated, ExitTerminated, "x try: terminated\n"},
		"a signal, and so no argument":   {interrupted, Misuse{Err: context.Canceled}, ExitInterrupted, "x try: context canceled\n"},
		"a signal, in good order":        {interrupted, Interrupted(interrupted), ExitInterrupted, ""},
		"no signal, in good order":       {t.Context(), Interrupted(t.Context()), OK, ""},
		"another signal, in good order":  {terminated, Interrupted(terminated), ExitTerminated, ""},
		"names with an end of a line":    {t.Context(), errors.Join(errors.New("a\nx: all is well"), errors.New("b")), ExitFailed, "x try: a\\nx: all is well; b\n"},
		"a misuse":                       {t.Context(), Misused("not so"), ExitMisuse, "x try: not so\n"},
		"a misuse that is wrapped":       {t.Context(), fmt.Errorf("a: %w", Misused("not so")), ExitMisuse, "x try: a: not so\n"},
		"a misuse by an error of others": {t.Context(), Misuse{Err: os.ErrNotExist}, ExitMisuse, "x try: file does not exist\n"},
	} {
		code, stdout, stderr := run(c.ctx, try(func(*cobra.Command, []string) error { return c.err }), "try")
		require.Equal(t, c.code, code, name)
		require.Equal(t, c.told, stderr, name)
		require.Empty(t, stdout)
	}
}

// One dash before a flag is as good as two, and what is no flag stays as it is.
func TestOneDash(t *testing.T) {
	for _, c := range []struct {
		args, rest []string
		quiet      bool
		name       string
	}{
		{[]string{"-quiet", "a"}, []string{"a"}, true, ""},
		{[]string{"--quiet", "a"}, []string{"a"}, true, ""},
		{[]string{"a", "-quiet"}, []string{"a"}, true, ""},
		{[]string{"-quiet=false"}, nil, false, ""},
		{[]string{"-name", "b", "a"}, []string{"a"}, false, "b"},
		{[]string{"-name=b", "a"}, []string{"a"}, false, "b"},
		{[]string{"-name", "-quiet", "a"}, []string{"a"}, false, "-quiet"},
		{[]string{"--name", "-quiet", "-quiet"}, nil, true, "-quiet"},
		{[]string{"-", "-quiet"}, []string{"-"}, true, ""},
		{[]string{"-quiet", "--", "-quiet", "-name"}, []string{"-quiet", "-name"}, true, ""},
		{[]string{"try", "-quiet"}, []string{"try"}, true, ""},
	} {
		ran := false
		code, _, stderr := run(t.Context(), try(func(cmd *cobra.Command, args []string) error {
			ran = true
			quiet, _ := cmd.Flags().GetBool("quiet")
			name, _ := cmd.Flags().GetString("name")
			require.Equal(t, c.quiet, quiet, "%q", c.args)
			require.Equal(t, c.name, name, "%q", c.args)
			require.ElementsMatch(t, c.rest, args, "%q", c.args)
			return nil
		}), append([]string{"try"}, c.args...)...)
		require.Equal(t, OK, code, "%q: %s", c.args, stderr)
		require.True(t, ran)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	root := func() *cobra.Command { return try(func(*cobra.Command, []string) error { return nil }) }
	for _, args := range [][]string{{"-h"}, {"-help"}, {"--help"}, {"help"}} {
		code, stdout, stderr := run(t.Context(), root(), args...)
		require.Equal(t, OK, code)
		require.Contains(t, stdout, "Usage:\n  x", args)
		require.Empty(t, stderr)
	}
	for _, args := range [][]string{{"try", "-h"}, {"try", "-help"}, {"help", "try"}} {
		code, stdout, _ := run(t.Context(), root(), args...)
		require.Equal(t, OK, code)
		require.Contains(t, stdout, "--quiet", args)
	}
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{nil, "Usage:\n  x"},
		{[]string{"tri"}, "x: there is no command tri, did you mean try?\nsee \"x --help\"\n"},
		{[]string{"nonsense"}, "x: there is no command nonsense\nsee \"x --help\"\n"},
		{[]string{"help", "tri"}, "x help: there is no command tri, did you mean try?\n"},
		{[]string{"try", "-nonsense"}, "x try: there is no flag --nonsense\n"},
		{[]string{"try", "-s3cret"}, "x try: there is no such flag\n"},
		{[]string{"try", "--s3cret"}, "x try: there is no such flag\n"},
		{[]string{"s3cret"}, "x: there is no such command\n"},
		{[]string{"try", "-quiet=s3cret"}, "x try: --quiet: it is no value of type bool\n"},
		{[]string{"try", "-name=a://b"}, "x try: --name is not how a server is reached\n"},
		{[]string{"try", "-name=host=h pasword=s3cret"}, "x try: --name is not how a server is reached\n"},
		{[]string{"try", "-name"}, "x try: --name needs a value\nsee \"x try --help\"\n"},
		{[]string{"completion", "bahs"}, "x completion: there is no shell bahs, did you mean bash?\n"},
		{[]string{"completion"}, "x completion: it takes a shell: "},
		{[]string{"completion", "bash", "a"}, "x completion bash: it takes no arguments but flags, not 1\n"},
		{[]string{"version", "a"}, "x version: it takes no arguments but flags, not 1\n"},
	} {
		code, stdout, stderr := run(t.Context(), root(), c.args...)
		require.Equal(t, ExitMisuse, code, "%q", c.args)
		require.Contains(t, stderr, c.stderr, "%q", c.args)
		require.Empty(t, stdout)
	}
}

func TestVersionIsThatOfTheBuild(t *testing.T) {
	require.Equal(t, "v1.2.3 go1.26.0", versionOf(&debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}}))
	require.Equal(t, "(unknown) go1.26.0", versionOf(&debug.BuildInfo{GoVersion: "go1.26.0"}))
	require.Equal(t, "(unknown) "+runtime.Version(), versionOf(nil))
	for _, arg := range []string{"version", "-version", "--version"} {
		code, stdout, _ := run(t.Context(), try(nil), arg)
		require.Equal(t, OK, code)
		require.Equal(t, "x "+version()+"\n", stdout)
	}
}

func TestManualPagesAndCompletion(t *testing.T) {
	dir := t.TempDir()
	code, _, stderr := run(t.Context(), try(func(*cobra.Command, []string) error { return nil }), "man", dir)
	require.Equal(t, OK, code, stderr)
	page, err := os.ReadFile(filepath.Join(dir, "x-try.1"))
	require.NoError(t, err)
	require.Contains(t, string(page), "\\fB--quiet\\fP")
	require.FileExists(t, filepath.Join(dir, "x.1"))
	code, _, stderr = run(t.Context(), try(nil), "man", filepath.Join(dir, "nowhere"))
	require.Equal(t, ExitMisuse, code)
	require.Contains(t, stderr, "nowhere: ")
	code, _, stderr = run(t.Context(), try(nil), "man", "nats:/me=s3cret@h")
	require.Equal(t, ExitMisuse, code)
	require.NotContains(t, stderr, "s3cret")
	code, _, _ = run(t.Context(), try(nil), "man", os.Args[0])
	require.Equal(t, ExitMisuse, code)
	_, stdout, _ := run(t.Context(), try(nil), "__complete", "try", "--")
	require.Contains(t, stdout, "--name\ta name\n")
	for _, shell := range []string{"bash", "fish", "zsh", "powershell"} {
		code, stdout, _ := run(t.Context(), try(nil), "completion", shell)
		require.Equal(t, OK, code)
		require.NotEmpty(t, stdout)
	}
}

// A full writer takes no more than it has room for.
type full struct{ room int }

var errFull = errors.New("no room")

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	if f.room -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}

// Whatever a command does with the error, what cannot be written is one.
func TestAnOutputThatIsFull(t *testing.T) {
	root := func() *cobra.Command {
		return try(func(cmd *cobra.Command, _ []string) error {
			_, _ = fmt.Fprint(cmd.OutOrStdout(), "a long text")
			_, _ = fmt.Fprint(cmd.OutOrStdout(), "!")
			return nil
		})
	}
	for _, args := range [][]string{{"try"}, {"help"}, {"-h"}, {"try", "-h"}, {"version"}, {"--version"}, {"man", t.TempDir()}, {"completion", "bash"}} {
		var stderr strings.Builder
		code := Run(t.Context(), root(), args, nil, &full{5}, &stderr)
		require.Equal(t, ExitFailed, code, "%q", args)
		require.Contains(t, stderr.String(), ": no room\n", "%q", args)
	}
}

// What waits for an input or for a reader of its output is ended by a signal, and can still
// say something to who listens.
func TestNothingWaitsAfterASignal(t *testing.T) {
	for name, do := range map[string]func(cmd *cobra.Command) error{
		"input": func(cmd *cobra.Command) error {
			_, err := io.ReadAll(cmd.InOrStdin())
			return err
		},
		"input, again": func(cmd *cobra.Command) error {
			_, err := io.ReadAll(cmd.InOrStdin())
			_, again := cmd.InOrStdin().Read(make([]byte, 1))
			return errors.Join(err, again)
		},
		"output": func(cmd *cobra.Command) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), "!")
			return err
		},
		"output, whose error is ignored": func(cmd *cobra.Command) error {
			_, _ = fmt.Fprint(cmd.OutOrStdout(), "!")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent, never := io.Pipe()
				reader, writer := io.Pipe()
				ctx, cancel := context.WithCancelCause(t.Context())
				ended := make(chan int, 1)
				var stderr strings.Builder
				go func() {
					ended <- Run(ctx, try(func(cmd *cobra.Command, _ []string) error { return do(cmd) }), []string{"try"}, silent, writer, &stderr)
				}()
				synctest.Wait()
				require.Empty(t, ended)
				cancel(ErrTerminated)
				require.Equal(t, ExitTerminated, <-ended)
				require.Contains(t, stderr.String(), "x try: terminated\n")
				require.NoError(t, errors.Join(never.Close(), reader.Close())) // so that what was left ends
			})
		})
	}
}

func TestAnInputIsReadWhole(t *testing.T) {
	text := strings.Repeat("0123456789", 50_000)
	root := try(func(cmd *cobra.Command, _ []string) error {
		got, err := io.ReadAll(cmd.InOrStdin())
		require.Equal(t, text, string(got))
		return err
	})
	require.Equal(t, OK, Run(t.Context(), root, []string{"try"}, strings.NewReader(text), io.Discard, io.Discard))
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	got, err := ReadFile(t.Context(), name, int64(len(text)))
	require.NoError(t, err)
	require.Equal(t, text, string(got))
	_, err = ReadFile(t.Context(), name, int64(len(text))-1)
	require.ErrorContains(t, err, "more than 499999 bytes")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(ErrTerminated)
	_, err = ReadFile(ended, name, 1<<20)
	require.ErrorIs(t, err, ErrTerminated)
}
