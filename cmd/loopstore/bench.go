package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
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

func benchCommand() *cobra.Command {
	var s benchSettings
	cmd := &cobra.Command{
		Use: "bench", Short: "measure the store, and compare it to one behind a lock", Long: benchHelp, Args: cli.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(); err != nil {
				return err
			}
			cfg := measure.Config{Rounds: s.rounds, Time: s.time, Only: s.only, Progress: cmd.ErrOrStderr()}
			if s.quiet {
				cfg.Progress = nil
			}
			return s.report(cmd, cfg, benchSubjects())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&s.rounds, "rounds", 5, fmt.Sprintf("how often everything is measured, at most %d", maxRounds))
	flags.DurationVar(&s.time, "time", 50*time.Millisecond, fmt.Sprintf("about how long each measurement is, at most %s", maxCellTime))
	flags.Func("only", "measure only the cells whose names match this `regexp`, such as\ncallers=1$ or ^(operation|hand_off)", s.setOnly)
	flags.BoolVar(&s.benchstat, "benchstat", false, "print a line for each measurement, for benchstat, instead of the table")
	flags.BoolVar(&s.quiet, "quiet", false, "show no progress")
	return cmd
}

// report measures, and writes what was measured.
func (s *benchSettings) report(cmd *cobra.Command, cfg measure.Config, subjects []measure.Subject) error {
	ctx := cmd.Context()
	r, err := measure.Run(ctx, subjects, cfg)
	interrupted := err != nil && ctx.Err() != nil
	write := r.WriteTable
	if s.benchstat {
		write = r.WriteBenchstat
	}
	if interrupted {
		term.Say(cmd.ErrOrStderr(), "interrupted; what was measured until then:\n")
		err = nil
	}
	if err := errors.Join(err, write(cmd.OutOrStdout())); err != nil {
		return err
	}
	if interrupted {
		return cli.Interrupted(ctx)
	}
	return nil
}

// benchSubjects are what bench measures. The others are compared to the first.
func benchSubjects() []measure.Subject {
	return []measure.Subject{
		{
			Name: "loop",
			Open: func() (store.RuntimeStore, error) { return loopstore.New(loopstore.Options{}), nil },
			Reader: func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
				return s.(*loopstore.Loop).Reader(id).View
			},
		},
		{Name: "mutex", Open: func() (store.RuntimeStore, error) { return locked.New(new(state.State)), nil }},
	}
}

func (s *benchSettings) check() error {
	switch {
	case s.rounds < 1 || s.rounds > maxRounds:
		return cli.Misused(fmt.Sprintf("--rounds is %d, and must be from 1 to %d", s.rounds, maxRounds))
	case s.time <= 0 || s.time > maxCellTime:
		return cli.Misused(fmt.Sprintf("--time is %s, and must be more than 0 and at most %s", s.time, maxCellTime))
	}
	return nil
}

func (s *benchSettings) setOnly(text string) (err error) {
	if s.only, err = regexp.Compile(text); err != nil {
		why, _ := errors.AsType[*syntax.Error](err)
		return cli.ValueError("it is no regular expression: " + why.Code.String())
	}
	if !slices.ContainsFunc(measure.CellNames(), s.only.MatchString) {
		return cli.ValueError("it matches no cell's name")
	}
	return nil
}
