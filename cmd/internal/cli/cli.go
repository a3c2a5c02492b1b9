// Package cli is what the commands have in common: their help, exit codes, signals, and
// what becomes of an error or of an output that cannot be written.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// The exit codes.
const (
	OK              = 0
	ExitFailed      = 1
	ExitMisuse      = 2
	ExitInterrupted = 130
	ExitTerminated  = 143
)

// The causes of a context that a signal has ended.
var (
	ErrInterrupted = errors.New("interrupted") // Ctrl-C
	ErrTerminated  = errors.New("terminated")  // SIGTERM
)

// A Misuse is an error of a flag or an argument.
type Misuse struct {
	Err  error  // what the misuse led to
	Hint string // a line below it, if any
}

// Misused returns a Misuse with a text.
func Misused(text string) error { return Misuse{Err: errors.New(text)} }

func (m Misuse) Error() string { return m.Err.Error() }

// Unwrap returns Err.
func (m Misuse) Unwrap() error { return m.Err }

// A silent error has been told to the user, or needs no telling.
type silent int

func (silent) Error() string { return "the user was told" }

// ErrFailed is the error of a command that has itself said what failed.
var ErrFailed error = silent(ExitFailed)

// Interrupted returns the error of a command that a signal has ended before its time, in
// good order: nil if none has.
func Interrupted(ctx context.Context) error {
	if code := interruptedOr(ctx, OK); code != OK {
		return silent(code)
	}
	return nil
}

// Main runs a command with the arguments of the process, until it ends or a signal ends it,
// and exits.
func Main(root *cobra.Command) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Ignore(syscall.SIGPIPE) // so that an output that nobody reads any more is an error
	if completes(os.Args[1:]) {
		quietCompletion()
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go cancelOnSignal(signals, cancel)
	os.Exit(Run(ctx, root, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// cancelOnSignal waits for the first signal. A second one kills.
func cancelOnSignal(signals chan os.Signal, cancel context.CancelCauseFunc) {
	first := <-signals
	signal.Stop(signals)
	if first == syscall.SIGTERM {
		cancel(ErrTerminated)
	} else {
		cancel(ErrInterrupted)
	}
}

// Run runs a command, which must be new, and returns the exit code. Once ctx ends it waits
// for no input, and for an output half a second at most.
func Run(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	out, errs := &output{ctx: ctx, w: stdout}, &output{ctx: ctx, w: stderr}
	root.SetIn(&input{ctx: ctx, r: stdin})
	root.SetOut(out)
	root.SetErr(errs)
	begun := false
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		err := checkFlags(cmd)
		begun = err == nil
		return err
	}
	prepare(root)
	if completes(args) {
		plainUsages(root)
	}
	root.SetArgs(twoDashes(root, args))
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case out.err != nil && err == nil && begun:
		err = fmt.Errorf("it ended well, but not all that it says could be written: %w", out.err)
	case out.err != nil && !begun:
		err = out.err
	case err != nil && !begun:
		err = misread(cmd, err)
	}
	if code, ok := errors.AsType[silent](err); ok {
		return int(code)
	}
	if err == nil {
		return OK
	}
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		err = context.Cause(ctx) // what was under way is no news
	}
	told := err
	if path, ok := errors.AsType[*os.PathError](err); ok && strings.ContainsAny(path.Path, "@=") {
		told = path.Err // the path may be how a server is reached, mistyped
	}
	term.Say(errs, "%s: %s\n", cmd.CommandPath(), oneLine(told))
	if misuse, ok := errors.AsType[Misuse](err); ok {
		if misuse.Hint != "" {
			term.Say(errs, "%s\n", misuse.Hint)
		}
		return ExitMisuse
	}
	return interruptedOr(ctx, ExitFailed)
}

// oneLine returns the text of an error as what [term.Say] prints in one line, whatever the
// names in it are.
func oneLine(err error) string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return term.Printable(err.Error())
	}
	var texts, lines []string
	for _, err := range joined.Unwrap() {
		texts, lines = append(texts, err.Error()), append(lines, oneLine(err))
	}
	if err.Error() != strings.Join(texts, "\n") { // it was not made by errors.Join
		return term.Printable(err.Error())
	}
	return strings.Join(lines, "; ")
}

// interruptedOr returns the exit code of a signal if one has ended ctx, or code.
func interruptedOr(ctx context.Context, code int) int {
	switch {
	case ctx.Err() == nil:
		return code
	case errors.Is(context.Cause(ctx), ErrTerminated):
		return ExitTerminated
	}
	return ExitInterrupted
}

// prepare adds what all commands have.
func prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = version()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return misread(cmd, unknown(root, "command", args[0]))
		}
		term.Say(cmd.ErrOrStderr(), "%s", root.UsageString())
		return silent(ExitMisuse)
	}
	root.AddCommand(versionCommand(root), manCommand(root))
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		cmd.InitDefaultHelpFlag()
		if cmd.Name() == "completion" {
			completionCommand(cmd)
		}
		for _, sub := range cmd.Commands() {
			sub.InitDefaultHelpFlag()
		}
	}
}
