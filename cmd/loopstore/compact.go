package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/journal/disk"
)

func compactCommand() *cobra.Command {
	return &cobra.Command{
		Use: "compact DIR", Short: "shrink a journal by what was replaced or removed in it",
		Long: compactHelp, Args: cli.Exactly(1, "one directory"), ValidArgsFunction: cli.CompleteDirs,
		RunE: func(cmd *cobra.Command, names []string) error {
			name := names[0]
			before, after, err := compactJournal(cmd.Context(), name)
			if err != nil {
				return about(name, err)
			}
			what := fmt.Sprintf("%s, was %s", term.Size(after), term.Size(before))
			if after >= before {
				what += ": there was no room to give back, and the log was brought into the pages"
			}
			term.Say(cmd.OutOrStdout(), "%s: %s\n", term.Printable(name), what)
			return nil
		},
	}
}

// compactJournal returns the journal's size before and after. It opens one partition: that
// compacts them all.
func compactJournal(ctx context.Context, name string) (before, after int64, err error) {
	if _, err := os.Stat(name); err != nil {
		return 0, 0, err
	}
	if journal, err := isJournal(name); err != nil || !journal {
		return 0, 0, cmp.Or(err, errors.New("it is not a journal: "+kindOf(name)))
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
