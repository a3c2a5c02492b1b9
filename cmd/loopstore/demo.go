package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/journal/disk"
)

const demoDuration = 5 * time.Second

func demoCommand() *cobra.Command {
	var f demo.Flags
	var journal, addr string
	cmd := &cobra.Command{
		Use: "demo [SESSION.json ...]", Short: "drive a workload of agent runtimes through a store, and check it",
		Long: demoHelp, Args: cli.Files,
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := f.Read(cmd, demoDuration, files); err != nil {
				return err
			}
			if err := writable(f.Export); err != nil {
				return err
			}
			loop, err := openDemo(cmd.Context(), journal)
			if err != nil {
				return err
			}
			err = runDemo(cmd, &f, loop, addr, len(files) == 0 && journal == "")
			return errors.Join(err, loop.Close())
		},
	}
	flags := cmd.Flags()
	f.Add(flags, demoDuration)
	flags.StringVar(&journal, "journal", "", "keep the store in this `directory`; killed at any moment and started again,\nthe demo continues where it stopped")
	flags.StringVar(&f.Export, "export", "", "export the store to this `file` at the end, for\n\"loopstore inspect\" and \"loopstore verify\"")
	flags.StringVar(&addr, "http", "", "show the store to browsers at this `address`, such as :8080 or\nlocalhost:8080, until Ctrl-C after the report")
	_ = cmd.MarkFlagDirname("journal") // it is there
	return cmd
}

// openDemo opens the partition of a journal that is the demo's own, so that it never
// touches anybody else's runtimes; without a directory a store in memory.
func openDemo(ctx context.Context, journal string) (*loopstore.Loop, error) {
	if journal == "" {
		return loopstore.New(loopstore.Options{}), nil
	}
	return loopstore.Open(ctx, disk.New(journal, disk.Options{}), "demo", loopstore.Options{})
}

// writable returns an error if a file, unless its name is empty, can never be exported to.
func writable(name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return cli.Misuse{Err: fmt.Errorf("--export %s: %w", term.Printable(name), err)}
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return cli.Misused(fmt.Sprintf("--export %s: it is there, and is no file", term.Printable(name)))
	}
	return nil
}

func runDemo(cmd *cobra.Command, f *demo.Flags, loop *loopstore.Loop, addr string, payloads bool) error {
	ctx := cmd.Context()
	site, err := openSite(ctx, addr, loop, payloads, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	r := demo.Run(ctx, f.Settings, loop, f.Progress(cmd))
	if err := errors.Join(f.Write(cmd, r), site.stay(ctx, cmd.ErrOrStderr())); err != nil {
		return err
	}
	return r.Verdict(ctx)
}
