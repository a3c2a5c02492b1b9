// Command loopstore shows the store at work. Run it without arguments for its
// subcommands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
	exitTerminated  = 143
)

// errTerminated is the cause of a context that SIGTERM ended.
var errTerminated = errors.New("terminated")

// A command is one subcommand. Its run gets the arguments after its name and
// returns the exit code.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

var commands = []command{
	{"bench", "measure the store, and compare it to one behind a lock", bench},
	{"carry", "bring a journal of an earlier version into a directory", carry},
	{"compact", "shrink a journal by what was replaced or removed in it", compact},
	{"demo", "drive a workload of agent runtimes through a store, and check it", runDemo},
	{"doctor", "check servers that keep journals for settings that may lose a write", doctor},
	{"import", "bring an exported file into a journal", importFile},
	{"inspect", "show what is in an exported file or a journal", inspect},
	{"salvage", "bring what is whole in a damaged journal into a file to import", salvage},
	{"verify", "check an exported file or a journal: every record, value, sequence and digest", verify},
	{"version", "print the versions of the module and of Go", version},
}

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go cancelOnSignal(signals, cancel)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// cancelOnSignal waits for the first signal. A second one kills.
func cancelOnSignal(signals chan os.Signal, cancel context.CancelCauseFunc) {
	first := <-signals
	signal.Stop(signals)
	if first == syscall.SIGTERM {
		cancel(errTerminated)
	} else {
		cancel(nil)
	}
}

// interruptedOr returns the exit code of a signal if one has ended ctx, or code.
func interruptedOr(ctx context.Context, code int) int {
	switch {
	case ctx.Err() == nil:
		return code
	case errors.Is(context.Cause(ctx), errTerminated):
		return exitTerminated
	}
	return exitInterrupted
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		term.Say(stderr, "%s", usage())
		return exitUsage
	}
	switch name := args[0]; name {
	case "-version", "--version":
		return version(ctx, nil, stdout, stderr)
	case "help", "-h", "-help", "--help":
		term.Say(stdout, "%s", usage())
		return exitOK
	default:
		for _, c := range commands {
			if c.name == name {
				return c.run(ctx, args[1:], stdout, stderr)
			}
		}
		term.Say(stderr, "loopstore: unknown command %q\n\n%s", name, usage())
		return exitUsage
	}
}

func usage() string {
	var text strings.Builder
	text.WriteString("usage: loopstore <command> [flags] [arguments]\n\ncommands:\n")
	for _, c := range commands {
		fmt.Fprintf(&text, "  %-8s %s\n", c.name, c.summary)
	}
	text.WriteString("\n\"loopstore <command> -h\" lists the flags of a command.\n")
	return text.String()
}
