package demo

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
)

// Flags are those of a command that runs a demo.
type Flags struct {
	Settings
	JSON  bool // what the command prints is JSON
	quiet bool
}

const (
	maxCallers     = 1_000 // each keeps histograms, some 80 KB
	defaultCallers = 8
)

// Add adds the flags. The duration is the default where there is no limit of turns.
func (f *Flags) Add(flags *pflag.FlagSet, duration time.Duration) {
	flags.IntVar(&f.Runtimes, "runtimes", 100, fmt.Sprintf("how many runtimes there are, at most %d", MaxRuntimes))
	flags.IntVar(&f.Turns, "turns", 0, "end when each runtime has taken this many turns; 0 for as many as\nthere is time for")
	flags.Func("duration", fmt.Sprintf("end after this `time`, such as 30s, even if turns are left (default %s,\nand no limit with --turns)", duration), f.setDuration)
	flags.IntVar(&f.Callers, "callers", defaultCallers, fmt.Sprintf("how many goroutines share the runtimes, at most %d; no more than there\nare runtimes, because a runtime is with one at a time", maxCallers))
	flags.BoolVar(&f.JSON, "json", false, "print JSON instead of tables")
	flags.BoolVar(&f.quiet, "quiet", false, "show no progress")
}

func (f *Flags) setDuration(text string) (err error) {
	f.Duration, err = time.ParseDuration(text)
	switch {
	case err != nil:
		return cli.ValueError("a time is a number with a unit, such as 5s")
	case f.Duration <= 0:
		return cli.ValueError("it must be more than 0")
	}
	return nil
}

// Read checks the flags, fills in what follows from others, and reads the files. It says
// what the user should know.
func (f *Flags) Read(cmd *cobra.Command, duration time.Duration, files []string) (err error) {
	for _, c := range []struct {
		name        string
		value, most int
	}{{"runtimes", f.Runtimes, MaxRuntimes}, {"callers", f.Callers, maxCallers}} {
		if c.value < 1 || c.value > c.most {
			return cli.Misused(fmt.Sprintf("--%s is %d, and must be from 1 to %d", c.name, c.value, c.most))
		}
	}
	if f.Turns < 0 {
		return cli.Misused(fmt.Sprintf("--turns is %d, and must not be negative", f.Turns))
	}
	if f.Duration == 0 && f.Turns == 0 {
		f.Duration = duration
	}
	if f.Documents, err = ReadDocuments(cmd.Context(), files); err != nil {
		return cli.Misuse{Err: err}
	}
	if f.Callers > f.Runtimes && cmd.Flags().Changed("callers") {
		Note(cmd, "%s, not %d: a runtime is with one caller at a time", term.Counted(int64(f.Runtimes), "caller"), f.Callers)
	}
	f.Callers = min(f.Callers, f.Runtimes)
	return nil
}

// Note says what the user should know before the demo begins.
func Note(cmd *cobra.Command, format string, args ...any) {
	term.Say(cmd.ErrOrStderr(), "note: "+format+"\n", args...)
}

// Progress returns where the progress of a command goes.
func (f *Flags) Progress(cmd *cobra.Command) io.Writer {
	if f.quiet {
		return io.Discard
	}
	return cmd.ErrOrStderr()
}

// Write writes a report.
func (f *Flags) Write(cmd *cobra.Command, r *Report) error {
	if f.JSON {
		return r.WriteJSON(cmd.OutOrStdout())
	}
	return r.WriteTable(cmd.OutOrStdout())
}

// Verdict returns the error that a command ends with after a demo under ctx.
func (r *Report) Verdict(ctx context.Context) error {
	switch {
	case !r.OK:
		return cli.ErrFailed
	case r.Interrupted:
		return cli.Interrupted(ctx)
	}
	return nil
}
