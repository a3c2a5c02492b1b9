package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/loopstore/loopstore"
)

// settings are the flags of the demo.
type settings struct {
	runtimes, turns, callers int
	duration                 time.Duration
	json, quiet              bool
}

const demoHelp = `usage: loopstore demo [flags] [session.json ...]

demo drives agent runtimes through a store in memory. Each takes its inputs
through accepted, queued, staged, applied and consumed, with a boundary commit
per turn of a conversation that grows. Then it checks every receipt, sequence,
input and snapshot against what the store has acknowledged. The conversations
are its own, or those of the files: session documents as Meerkat writes them.

It exits with 1 if a check failed, 2 if it was called in a wrong way, and 130
if it was interrupted and all is well.

flags:
`

// parse reads the flags and returns the other arguments.
func (s *settings) parse(args []string, help io.Writer) ([]string, error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&s.runtimes, "runtimes", 100, "how many runtimes there are")
	flags.IntVar(&s.turns, "turns", 0, "turns of each runtime, 0 for as many as there is time for")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "end after this `time`, whatever the turns")
	flags.IntVar(&s.callers, "callers", 16, "how many goroutines share the runtimes")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	flags.BoolVar(&s.quiet, "quiet", false, "show no progress")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		say(help, "%s", demoHelp)
		flags.SetOutput(help)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	case s.runtimes < 1:
		return nil, fmt.Errorf("-runtimes is %d, and must be at least 1", s.runtimes)
	case s.turns < 0:
		return nil, fmt.Errorf("-turns is %d, and must not be negative", s.turns)
	case s.duration <= 0:
		return nil, fmt.Errorf("-duration is %s, and must be more than 0", s.duration)
	case s.callers < 1:
		return nil, fmt.Errorf("-callers is %d, and must be at least 1", s.callers)
	}
	return flags.Args(), nil
}

// demo is the subcommand.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	files, err := s.parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		say(stderr, "loopstore demo: %v\n\"loopstore demo -h\" lists the flags\n", err)
		return exitUsage
	}
	documents, err := readDocuments(files)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return exitUsage
	}
	progress := stderr
	if s.quiet {
		progress = io.Discard
	}
	r := s.drive(ctx, documents, progress)
	write := r.writeTable
	if s.json {
		write = r.writeJSON
	}
	if err := write(stdout); err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return exitFailed
	}
	return r.exitCode()
}

// drive runs the workload, checks it and closes the store.
func (s settings) drive(ctx context.Context, documents []*document, progress io.Writer) *report {
	loop := loopstore.New(loopstore.Options{})
	w := newWorkload(s, loop, documents)

	timed, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	stop := showProgress(progress, &w.tally)
	start := time.Now()
	err := w.run(timed)
	elapsed := time.Since(start)
	stop()

	interrupted := ctx.Err() != nil
	if interrupted {
		say(progress, "interrupted; checking what was done\n")
	}
	start = time.Now()
	c := newChecker(loop)
	c.all(context.WithoutCancel(ctx), w.agents)
	checkElapsed := time.Since(start)

	r := newReport(w, c, documents, elapsed)
	r.Interrupted, r.CheckElapsed = interrupted, checkElapsed
	r.fail(err)
	r.fail(loop.Close())
	return r
}
