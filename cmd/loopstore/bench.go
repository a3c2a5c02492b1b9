package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/locked"
)

// benchSettings are the flags of bench.
type benchSettings struct {
	rounds           int
	time             time.Duration
	only             *regexp.Regexp // nil for all
	benchstat, quiet bool
}

const (
	maxRounds   = 1000
	maxCellTime = time.Minute
)

// bench is the subcommand.
func bench(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s benchSettings
	err := s.parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		say(stderr, "loopstore bench: %v\n\"loopstore bench -h\" lists the flags\n", err)
		return exitUsage
	}
	cfg := measure.Config{Rounds: s.rounds, Time: s.time, Only: s.only, Progress: stderr}
	if s.quiet {
		cfg.Progress = nil
	}
	return s.report(ctx, cfg, benchSubjects(), stdout, stderr)
}

// report measures, writes what was measured, and returns the exit code.
func (s *benchSettings) report(ctx context.Context, cfg measure.Config, subjects []measure.Subject, stdout, stderr io.Writer) int {
	r, err := measure.Run(ctx, subjects, cfg)
	interrupted := err != nil && ctx.Err() != nil
	write := r.WriteTable
	if s.benchstat {
		write = r.WriteBenchstat
	}
	if interrupted {
		say(stderr, "interrupted; what was measured until then:\n")
		err = nil
	}
	if err := errors.Join(err, write(stdout)); err != nil {
		say(stderr, "loopstore bench: %v\n", err)
		return exitFailed
	}
	if interrupted {
		return interruptedOr(ctx, exitOK)
	}
	return exitOK
}

// benchSubjects are what bench measures. The others are compared to the first.
func benchSubjects() []measure.Subject {
	return []measure.Subject{
		{
			Name: "loop",
			Open: func() (store.RuntimeStore, error) { return loopstore.New(loopstore.Options{}), nil },
			Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*store.View, error) {
				return s.(*loopstore.Loop).Reader(id).View
			},
		},
		{Name: "mutex", Open: func() (store.RuntimeStore, error) { return locked.New(new(store.State)), nil }},
	}
}

func (s *benchSettings) parse(args []string, help io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&s.rounds, "rounds", 5, fmt.Sprintf("how often everything is measured, at most %d", maxRounds))
	flags.DurationVar(&s.time, "time", 50*time.Millisecond, fmt.Sprintf("about how long each measurement is, at most %s", maxCellTime))
	flags.Func("only", "measure only the cells whose names match this `regexp`, such as\ncallers=1$ or ^(operation|hand_off)", s.setOnly)
	flags.BoolVar(&s.benchstat, "benchstat", false, "print a line for each measurement, for benchstat, instead of the table")
	flags.BoolVar(&s.quiet, "quiet", false, "show no progress")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		showHelp(help, flags, benchHelp, benchNotes)
		return err
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("it takes no arguments but flags, not %s", named(flags.Arg(0), 40))
	case s.rounds < 1 || s.rounds > maxRounds:
		return fmt.Errorf("-rounds is %d, and must be from 1 to %d", s.rounds, maxRounds)
	case s.time <= 0 || s.time > maxCellTime:
		return fmt.Errorf("-time is %s, and must be more than 0 and at most %s", s.time, maxCellTime)
	}
	return nil
}

func (s *benchSettings) setOnly(text string) (err error) {
	s.only, err = regexp.Compile(text)
	if err == nil && !slices.ContainsFunc(measure.CellNames(), s.only.MatchString) {
		err = errors.New("it matches no cell's name")
	}
	return err
}
