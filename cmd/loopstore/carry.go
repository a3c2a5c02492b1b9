package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/journal/disk"
)

func carryCommand() *cobra.Command {
	return &cobra.Command{
		Use: "carry FILE DIR", Short: "bring a journal of an earlier version into a directory",
		Long: carryHelp, Args: cli.Exactly(2, "a file and a directory"),
		RunE: func(cmd *cobra.Command, names []string) error {
			file, dir := names[0], names[1]
			partitions, err := carryJournal(cmd.Context(), file, dir)
			if err != nil {
				return about(file, err)
			}
			term.Say(cmd.OutOrStdout(), "%s: %s of %s, which has not changed\n", term.Printable(dir), term.Counted(int64(len(partitions)), "partition"), term.Printable(file))
			return nil
		},
	}
}

// carryJournal returns the names of the partitions that the directory holds, checked.
func carryJournal(ctx context.Context, file, dir string) (partitions []string, err error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, cli.Misused("it is no file; a journal that is a directory needs no carrying")
	case isPart(file):
		return nil, errPart
	}
	if kind := kindOf(file); !strings.HasPrefix(kind, "it is binary") && !strings.Contains(kind, "bbolt") {
		return nil, cli.Misused("it is no journal of version 1 or 2: " + kind)
	}
	if err := disk.Carry(ctx, file, dir, disk.Options{}); err != nil {
		return nil, err
	}
	return disk.Partitions(ctx, dir, disk.Options{})
}
