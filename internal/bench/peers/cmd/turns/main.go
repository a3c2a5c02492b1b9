// Command turns measures what a turn of an agent costs on loopstore and on SQLite, and prints
// a table. Each measurement is a process of its own, whose writes the system counts; so it
// needs Linux.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/loopstore/loopstore/internal/bench/peers/turns"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "turns:", err)
		os.Exit(1)
	}
}

const perTurn = 4 // messages

// config is what the flags say.
type config struct {
	dir                 string
	rounds, turns, seed int
	time                time.Duration
}

func run(ctx context.Context, args []string) error {
	var c config
	flags := flag.NewFlagSet("turns", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", ".", "measure in a new directory in this `directory`, which must be on a disk")
	flags.IntVar(&c.rounds, "rounds", 3, "how often everything is measured; the median is printed")
	flags.IntVar(&c.turns, "turns", 3200, "how many turns each measurement takes, about")
	flags.DurationVar(&c.time, "time", time.Minute, "how long each measurement takes at most, about")
	flags.IntVar(&c.seed, "seed", 16000, "how many turns there are before, about")
	cell := flags.String("cell", "", "measure one `cell`, JSON, and print what was measured; for the command itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *cell != "" {
		return one(ctx, *cell)
	}
	dir, err := os.MkdirTemp(c.dir, "turns-")
	if err != nil {
		return err
	}
	c.dir = dir
	return errors.Join(c.all(ctx), os.RemoveAll(dir))
}

// one measures a cell in this process.
func one(ctx context.Context, text string) error {
	var cell turns.Cell
	if err := json.Unmarshal([]byte(text), &cell); err != nil {
		return err
	}
	sample, err := turns.Measure(ctx, cell)
	return errors.Join(json.NewEncoder(os.Stdout).Encode(sample), err)
}

// A row is a cell, what it is called, and what was measured.
type row struct {
	turns.Cell
	messages int // in a conversation that goes on
	samples  []turns.Sample
}

// all measures everything, and prints it.
func (c *config) all(ctx context.Context) error {
	var rows []row
	var rest []string
	for _, messages := range []int{0, 100, 1000} {
		// New conversations begin beside the same ones that the next size goes on with.
		each := max(messages, 100) / perTurn
		conversations := max(c.seed/each, 1)
		for _, workers := range []int{1, 64} {
			for _, kind := range turns.Kinds {
				cell := turns.Cell{
					Kind: kind, Dir: filepath.Join(c.dir, fmt.Sprintf("%.4s-%d", kind, each)), Conversations: conversations,
					Workers: workers, Turns: max(c.turns/workers, 1) * workers, Time: c.time,
				}
				if err := os.Mkdir(cell.Dir, 0o700); err == nil {
					what := fmt.Sprintf("%.4s: %d conversations of %d messages", kind, conversations, each*perTurn)
					fmt.Fprintln(os.Stderr, what)
					size, err := turns.Seed(ctx, kind, cell.Dir, conversations, each)
					if err != nil {
						return err
					}
					rest = append(rest, fmt.Sprintf("%s, compacted: %d bytes a turn", what, size/int64(conversations*each)))
				} else if !errors.Is(err, fs.ErrExist) {
					return err
				}
				if messages == 0 {
					cell.First, cell.Conversations = conversations, cell.Turns
				}
				rows = append(rows, row{Cell: cell, messages: messages})
			}
		}
	}
	for round := range c.rounds {
		for i := range rows {
			r := &rows[i]
			fmt.Fprintf(os.Stderr, "round %d: %s, %d messages, %d workers\n", round+1, r.Kind, r.messages, r.Workers)
			sample, err := measure(ctx, r.Cell)
			if err != nil {
				return err
			}
			r.samples = append(r.samples, sample)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "messages\tworkers\tstore\tturn\tp50\tp99\tread\topen\tcommits\tbytes\t") // Flush has the error
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s\t%v\t%v\t%v\t%v\t%v\t%.2f\t%d\t\n", r.messages, r.Workers, r.Kind,
			median(r, func(s turns.Sample) time.Duration { return s.Turn }).Round(time.Microsecond),
			median(r, func(s turns.Sample) time.Duration { return s.P50 }).Round(time.Microsecond),
			median(r, func(s turns.Sample) time.Duration { return s.P99 }).Round(time.Microsecond),
			median(r, func(s turns.Sample) time.Duration { return s.Read }).Round(time.Microsecond),
			median(r, func(s turns.Sample) time.Duration { return s.Open }).Round(time.Millisecond),
			median(r, func(s turns.Sample) float64 { return s.Commits }),
			median(r, func(s turns.Sample) int64 { return s.Written }))
	}
	for _, kind := range turns.Kinds[:2] {
		rest = append(rest, fmt.Sprintf("%s: %d lines of code", kind, turns.Lines(kind)))
	}
	_, _ = fmt.Fprintln(w, "\n"+strings.Join(rest, "\n"))
	return w.Flush()
}

// measure measures a cell in a process of its own, on a copy of its directory.
func measure(ctx context.Context, cell turns.Cell) (sample turns.Sample, err error) {
	seed := cell.Dir
	cell.Dir += ".copy"
	defer func() { err = errors.Join(err, os.RemoveAll(cell.Dir)) }()
	if err := os.CopyFS(cell.Dir, os.DirFS(seed)); err != nil {
		return sample, err
	}
	_ = exec.CommandContext(ctx, "sync").Run() // so that nobody syncs the copy later
	text, err := json.Marshal(cell)
	if err != nil {
		return sample, err
	}
	child := exec.CommandContext(ctx, os.Args[0], "-cell", string(text))
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return sample, err
	}
	return sample, json.Unmarshal(out, &sample)
}

func median[N time.Duration | float64 | int64](r row, of func(turns.Sample) N) N {
	all := make([]N, len(r.samples))
	for i, s := range r.samples {
		all[i] = of(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}
