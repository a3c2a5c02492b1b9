// Command compare measures loopstore and its peers side by side in one run, and prints a
// table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/internal/bench/peers"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := measure.Config{Progress: os.Stderr}
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.IntVar(&cfg.Rounds, "rounds", 5, "how often everything is measured")
	flags.DurationVar(&cfg.Time, "time", 50*time.Millisecond, "about how long each measurement is")
	flags.Func("only", "measure only the cells whose names match this `regexp`", func(text string) (err error) {
		cfg.Only, err = regexp.Compile(text)
		return err
	})
	among := regexp.MustCompile("")
	flags.Func("peers", "measure only the peers whose names match this `regexp`, and the loop", func(text string) (err error) {
		among, err = regexp.Compile(text)
		return err
	})
	benchstat := flags.Bool("benchstat", false, "print a line for each measurement, for benchstat, instead of the table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report, err := measure.Run(ctx, subjects(among), cfg)
	write := report.WriteTable
	if *benchstat {
		write = report.WriteBenchstat
	}
	return errors.Join(write(os.Stdout), err)
}

// subjects returns the loop, to which the others are compared, and the peers whose names
// match.
func subjects(among *regexp.Regexp) (all []measure.Subject) {
	for i, p := range peers.All() {
		if i == 0 || among.MatchString(p.Name) {
			all = append(all, measure.Subject{Name: p.Name, Open: p.Open})
		}
	}
	all[0].Reader = func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error) {
		return s.(*loopstore.Loop).Reader(id).View
	}
	return all
}
