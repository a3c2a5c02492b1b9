package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// compact is the subcommand.
func compact(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	names, err := parseNames(flag.NewFlagSet("compact", flag.ContinueOnError), args, 1, "one directory", compactHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	name := names[0]
	before, after, err := compactJournal(ctx, name)
	if err != nil {
		return refuse(ctx, stderr, "compact", name, err)
	}
	what := fmt.Sprintf("%s, was %s", term.Size(after), term.Size(before))
	if after >= before {
		what += ": there was no room to give back, and the log was brought into the pages"
	}
	term.Say(stdout, "%s: %s\n", term.Printable(name), what)
	return exitOK
}

// compactJournal returns the journal's size before and after. It opens one partition: that
// compacts them all.
func compactJournal(ctx context.Context, name string) (before, after int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	if err := file.Close(); err != nil {
		return 0, 0, err
	}
	if journal, err := isJournal(name); err != nil || !journal {
		return 0, 0, cmp.Or(err, errors.New("it is not a journal, or was one and its first pages are damaged"))
	}
	partitions, err := disk.Partitions(ctx, name, disk.Options{})
	if err == nil && len(partitions) == 0 {
		err = errors.New("it has no partition")
	}
	if err != nil {
		return 0, 0, err
	}
	if before, err = sizeOf(name); err != nil {
		return 0, 0, err
	}
	loop, err := loopstore.Open(ctx, disk.New(name, disk.Options{}), partitions[0], loopstore.Options{})
	if err != nil {
		return 0, 0, err
	}
	if err := errors.Join(loop.Compact(ctx), loop.Close()); err != nil {
		return 0, 0, err
	}
	after, err = sizeOf(name)
	return before, after, err
}
