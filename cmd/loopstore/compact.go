package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// compact is the subcommand.
func compact(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, err := parseFile(flag.NewFlagSet("compact", flag.ContinueOnError), args, compactHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	before, after, err := compactFile(ctx, name)
	if err != nil {
		return refuse(ctx, stderr, "compact", name, err)
	}
	what := fmt.Sprintf("%s, was %s", term.Size(after), term.Size(before))
	if after >= before {
		what = term.Size(after) + " as before, since less than a quarter of it was free"
	}
	term.Say(stdout, "%s: %s\n", term.Printable(name), what)
	return exitOK
}

// compactFile returns the file's size before and after. It opens one partition: that
// compacts them all.
func compactFile(ctx context.Context, name string) (before, after int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	info, err := file.Stat()
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, 0, err
	}
	if journal, err := isJournal(name); err != nil || !journal {
		return 0, 0, errors.Join(err, errors.New("it is not a journal, or its first pages are damaged"))
	}
	partitions, err := bolt.Partitions(ctx, name, bolt.Options{})
	if err == nil && len(partitions) == 0 {
		err = errors.New("it has no partition")
	}
	if err != nil {
		return 0, 0, err
	}
	loop, err := loopstore.Open(ctx, bolt.New(name, bolt.Options{}), partitions[0], loopstore.Options{})
	if err != nil {
		return 0, 0, err
	}
	if err := errors.Join(loop.Compact(ctx), loop.Close()); err != nil {
		return 0, 0, err
	}
	now, err := os.Stat(name)
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), now.Size(), nil
}
