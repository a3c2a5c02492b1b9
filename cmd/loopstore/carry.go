package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// carry is the subcommand.
func carry(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	names, err := parseNames(flag.NewFlagSet("carry", flag.ContinueOnError), args, 2, "a file and a directory", carryHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	file, dir := names[0], names[1]
	partitions, err := carryJournal(ctx, file, dir)
	if err != nil {
		return refuse(ctx, stderr, "carry", file, err)
	}
	term.Say(stdout, "%s: %s of %s, which has not changed\n", term.Printable(dir), term.Counted(int64(len(partitions)), "partition"), term.Printable(file))
	return exitOK
}

// carryJournal returns the names of the partitions that the directory holds, checked.
func carryJournal(ctx context.Context, file, dir string) (partitions []string, err error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, misuse("it is no file; a journal that is a directory needs no carrying")
	case isPart(file):
		return nil, errPart
	}
	if err := disk.Carry(ctx, file, dir, disk.Options{}); err != nil {
		return nil, err
	}
	return disk.Partitions(ctx, dir, disk.Options{})
}
